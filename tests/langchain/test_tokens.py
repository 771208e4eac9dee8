"""Tokens counted offline, and the profile that says how many a model takes."""

import asyncio

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)

CALL = {"name": "weather", "args": {"city": "Omsk"}, "id": "x"}


def test_more_text_is_more_tokens_and_cyrillic_is_denser(make):
    model = make()
    assert model.get_num_tokens("") == 0
    assert model.get_num_tokens("four") == 1
    assert model.get_num_tokens("слово") == 2
    assert model.get_num_tokens("слово" * 40) > model.get_num_tokens("words" * 40)
    assert model.get_num_tokens("東京") == 2
    assert model.get_num_tokens("\U0001f600") == 1


@pytest.mark.parametrize(
    "longer",
    [
        [HumanMessage("Hi"), AIMessage("Hello")],
        [HumanMessage("Hi, and how are you today?")],
        [AIMessage("Hi", tool_calls=[CALL])],
        [
            HumanMessage(
                ["Hi", {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}]
            )
        ],
    ],
)
def test_all_that_is_sent_counts(make, longer):
    model = make()
    assert model.get_num_tokens_from_messages(longer) > model.get_num_tokens_from_messages(
        [HumanMessage("Hi")]
    )


def test_tools_count(make, weather):  # S2: ContextEditingMiddleware passes them second
    model, asked = make(), [HumanMessage("Hi")]
    assert model.get_num_tokens_from_messages(asked, [weather]) > (
        model.get_num_tokens_from_messages(asked)
    )


def test_a_tokenizer_of_one_s_own_counts(make):
    model = make(custom_get_token_ids=lambda text: [ord(sign) for sign in text])
    assert model.get_token_ids("ab") == [97, 98]
    assert model.get_num_tokens("word") == 4
    one, two = ([HumanMessage(text)] for text in ("a", "a" * 101))
    assert model.get_num_tokens_from_messages(two) == model.get_num_tokens_from_messages(one) + 100


def test_trim_messages_by_the_model(make):
    said = [SystemMessage("Be brief.")]
    for number in range(20):
        said += [HumanMessage(f"Question {number}?"), AIMessage(f"Answer {number}.")]
    model = make()
    kept = trim_messages(
        said, max_tokens=80, token_counter=model, include_system=True, start_on="human"
    )
    assert kept[0] == said[0]
    assert kept[1:] == said[-len(kept) + 1 :]
    assert model.get_num_tokens_from_messages(kept) <= 80
    assert model.get_num_tokens_from_messages(said[-len(kept) - 1 :]) + 1 > 80
    assert (trim_messages(max_tokens=80, token_counter=model) | model).invoke(said).text


def test_an_image_of_the_older_form_counts(make):
    block = {"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"}
    said = [HumanMessage([block])]
    assert trim_messages(said, max_tokens=1_000, token_counter=make()) == said


def test_counting_sends_nothing(make, emulator, weather):
    make().get_num_tokens_from_messages([ToolMessage("x", tool_call_id="y")], [weather])
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("model", "window", "images", "reasons"),
    [
        ("yandexgpt", 32_000, False, False),
        ("gpt://folder/yandexgpt/rc", 32_000, False, False),
        ("llama-lite", 8_192, False, False),
        ("gpt-oss-120b", 128_000, False, True),
        ("gemma-3-27b-it", 128_000, True, False),
    ],
)
def test_the_profile_says_what_the_catalogue_knows(make, model, window, images, reasons):  # M9
    profile = make(model=model).profile
    assert profile["max_input_tokens"] == window
    assert (profile["image_inputs"], profile["reasoning_output"]) == (images, reasons)
    assert profile["tool_calling"]
    assert "structured_output" not in profile  # S3


def test_an_unknown_model_has_no_profile_and_one_s_own_wins(make):
    assert make(model="some-new-model").profile is None
    assert make(profile={"max_input_tokens": 7}).profile == {"max_input_tokens": 7}


def test_a_copy_with_another_model_has_that_one_s_profile(make):  # T21
    copied = make().model_copy(update={"model": "gemma-3-27b-it"})
    assert copied.profile["max_input_tokens"] == 128_000
    assert make().model_copy().profile["max_input_tokens"] == 32_000
    kept = make().model_copy(update={"model": "gemma-3-27b-it", "profile": {}})
    assert kept.profile == {}


def test_a_profile_of_the_user_s_stays(make):  # D13
    model = make(profile={"max_input_tokens": 7})
    assert model.model_copy(update={"model": "llama"}).profile == {"max_input_tokens": 7}
    model.model = "llama"
    assert model.profile == {"max_input_tokens": 7}


def test_a_model_that_is_assigned_brings_its_profile(make):  # T21
    model = make()
    model.model = "gemma-3-27b-it"
    assert model.profile["image_inputs"]
    model.model = "some-new-model"
    assert model.profile is None


def test_profiles_are_not_shared(make):
    make().profile["max_input_tokens"] = 1
    assert make().profile["max_input_tokens"] == 32_000


def test_a_fraction_of_the_window_triggers_a_summary(make, emulator):
    model = make(model="llama-lite")
    summing = SummarizationMiddleware(model, trigger=("fraction", 0.5), keep=("messages", 1))
    agent = create_agent(model, [], middleware=[summing])
    text = "word " * 800  # some 1,000 tokens
    long = [message for _ in range(3) for message in (HumanMessage(text), AIMessage(text))]
    long.append(HumanMessage("And now?"))
    emulator.script({"text": "They spoke."}, {"text": "Done"})
    state = asyncio.run(agent.ainvoke({"messages": long}))
    assert [message.text for message in state["messages"]][-2:] == ["And now?", "Done"]
    assert "They spoke." in state["messages"][0].text
