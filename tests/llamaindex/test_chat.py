import asyncio
import json

import pytest
from llama_index.core.base.llms.types import TextBlock, ThinkingBlock
from llama_index.core.llms import ChatMessage, CompletionResponse

from llamaindex_yandex_compat import YandexLLM
from llamaindex_yandex_compat.messages import to_completion_response
from yandex_compat import (
    AuthenticationError,
    ConfigurationError,
    MalformedAnswer,
    StreamInterrupted,
    UnsupportedError,
    YandexError,
)

HELLO = [ChatMessage(role="user", content="Привет, мир")]
FORMS = ("chat", "achat", "stream_chat", "astream_chat")
COMPLETIONS = ("complete", "acomplete", "stream_complete", "astream_complete")


async def ask(llm, form, given=None, **words):
    """All responses that one of the eight methods gives."""
    given = given or ("Привет, мир" if "complete" in form else HELLO)
    answer = getattr(llm, form)(given, **words)
    if form.startswith("a"):
        answer = await answer
    if form.startswith("astream"):
        return [response async for response in answer]
    return list(answer) if form.startswith("stream") else [answer]


def text_of(response):
    return response.text if isinstance(response, CompletionResponse) else response.message.content


@pytest.mark.parametrize("form", FORMS + COMPLETIONS)
async def test_every_form_gives_the_same_answer_to_the_same_request(llm, form, bodies):
    responses = await ask(llm, form, temperature=0.5)
    assert text_of(responses[-1]) == "You said: Привет, мир"
    [body] = bodies()
    assert body.pop("stream", False) is ("stream" in form)
    assert body == {
        "model": f"gpt://test-folder/{llm.model}/latest",
        "messages": [{"role": "user", "content": "Привет, мир"}],
        "temperature": 0.5,
    }


@pytest.mark.parametrize("form", ["stream_chat", "astream_chat"])
async def test_streams_are_cumulative_and_deltas_exact(llm, form, emulator):
    text = "Один два.\n\nТри \U0001f600 четыре, пять."
    emulator.script({"text": text})
    responses = await ask(llm, form)
    so_far = ""
    for response in responses:
        so_far += response.delta
        assert response.message.content == so_far
        assert [type(block) for block in response.message.blocks] == [TextBlock]
        assert response.message.role == "assistant"
        assert response.message.additional_kwargs == {}
    assert so_far == text
    assert len(responses) > 2
    assert len({id(response.message) for response in responses}) == len(responses)
    assert responses[-1].additional_kwargs["finish_reason"] == "stop"


@pytest.mark.parametrize("form", ["stream_complete", "astream_complete"])
async def test_streamed_completions_are_cumulative(llm, form):
    responses = await ask(llm, form)
    assert "".join(response.delta for response in responses) == responses[-1].text
    assert responses[-1].additional_kwargs["finish_reason"] == "stop"


@pytest.mark.parametrize("form", ["stream_chat", "astream_chat"])
async def test_reasoning_stands_first_and_apart(words, emulator, form):
    llm = YandexLLM(**words, model="gpt-oss-120b", reasoning_effort="low")
    emulator.script({"text": "Answer to it", "reasoning": "First second third"})
    responses = await ask(llm, form)
    thought = ""
    for response in responses:
        thought += response.additional_kwargs.get("thinking_delta", "")
        assert "First" not in response.delta
        assert isinstance(response.message.blocks[0], ThinkingBlock)
        assert response.message.blocks[0].content == thought
        assert response.message.additional_kwargs == {}
    assert thought == "First second third"
    assert [type(block) for block in responses[-1].message.blocks] == [ThinkingBlock, TextBlock]
    assert responses[-1].raw["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0


def test_reasoning_of_a_whole_answer(words, emulator):
    emulator.script({"text": "Answer", "reasoning": "Thought"})
    message = YandexLLM(**words, model="gpt-oss-20b").chat(HELLO).message
    assert [block.block_type for block in message.blocks] == ["thinking", "text"]
    assert message.content == "Answer"


def test_usage_is_reported_as_integers_under_the_names_the_framework_reads(llm):
    response = llm.chat(HELLO)
    usage = response.raw["usage"]
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert all(type(usage[name]) is int and usage[name] > 0 for name in names)
    assert {name: response.additional_kwargs[name] for name in names} == usage


def test_details_of_usage_are_kept(qwen, emulator):
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    emulator.script({"text": "Hi", "usage": usage})
    assert qwen.chat(HELLO).raw["usage"] == usage


def test_the_last_streamed_response_has_the_usage(qwen, yandexgpt):
    last = list(qwen.stream_chat(HELLO))[-1]
    assert last.raw["usage"]["total_tokens"] == last.additional_kwargs["total_tokens"] > 0
    # WIRE A3: these streams report none, and a key with zeros would be taken for a count.
    last = list(yandexgpt.stream_chat(HELLO))[-1]
    assert "usage" not in last.raw
    assert "total_tokens" not in last.additional_kwargs


@pytest.mark.parametrize("form", FORMS)
async def test_a_content_filter_replaces_the_text(llm, form, emulator):  # WIRE A6, D10
    emulator.script(
        {"text": "One two three four", "finish_reason": "content_filter", "replaced_by": "I can't."}
    )
    responses = await ask(llm, form)
    assert responses[-1].message.content == "I can't."
    assert responses[-1].additional_kwargs["finish_reason"] == "content_filter"
    if "stream" in form:
        assert responses[0].delta == responses[0].message.content != "I can't."
        assert "I can't." in [response.delta for response in responses]


@pytest.mark.parametrize("form", FORMS)
async def test_a_filter_that_comes_first_keeps_deltas_exact(llm, form, emulator):
    emulator.script({"text": "I can't talk of it.", "finish_reason": "content_filter"})
    responses = await ask(llm, form)
    assert responses[-1].message.content == "I can't talk of it."
    if "stream" in form:
        assert "".join(response.delta for response in responses) == "I can't talk of it."


@pytest.mark.parametrize("form", FORMS)
async def test_a_refusal_is_the_text_where_there_is_no_other(llm, form, emulator):
    emulator.script({"refusal": "No."})
    responses = await ask(llm, form)
    assert responses[-1].message.content == "No."
    assert responses[-1].additional_kwargs["refusal"] == "No."
    if "stream" in form:
        assert "".join(response.delta for response in responses) == "No."


@pytest.mark.parametrize("form", FORMS)
async def test_stop_is_cut_on_the_client_and_closes_the_stream(llm, form, emulator):
    emulator.script({"text": "One two END three four five six", "delay": 0.02})
    responses = await ask(llm, form, stop=["END"])
    assert responses[-1].message.content == "One two "
    assert responses[-1].additional_kwargs["finish_reason"] == "stop"
    emulator.settle()
    assert "stop" not in emulator.requests[-1]["body"]
    if "stream" in form:
        assert "".join(response.delta for response in responses) == "One two "
        assert emulator.requests[-1]["closed_early"]


@pytest.mark.parametrize("form", FORMS)
async def test_length_is_reported(llm, form, emulator):
    emulator.script({"text": "cut", "finish_reason": "length"})
    assert (await ask(llm, form))[-1].additional_kwargs["finish_reason"] == "length"


def test_a_word_of_the_call_beats_additional_kwargs_and_those_the_field(words, bodies):
    llm = YandexLLM(
        **words,
        temperature=0.1,
        max_tokens=10,
        top_p=0.3,
        extra_body={"a": 1},
        additional_kwargs={"top_p": 0.5, "max_completion_tokens": 20, "temperature": 0.2},
    )
    llm.extra_body = {}
    llm.chat(HELLO)
    llm.chat(HELLO, top_p=0.9, max_tokens=5, temperature=None)
    llm.complete("Hi", max_completion_tokens=7, model="yandexgpt-lite/rc")
    first, second, third = bodies()
    names = ("temperature", "top_p", "max_completion_tokens")
    assert [first[name] for name in names] == [0.2, 0.5, 20]
    assert [second[name] for name in names] == [0.2, 0.9, 5]
    assert third["max_completion_tokens"] == 7
    assert third["model"] == "gpt://test-folder/yandexgpt-lite/rc"


def test_a_word_of_the_call_can_take_back_stop(words, emulator):
    llm = YandexLLM(**words, stop="said")
    assert llm.chat(HELLO).message.content == "You "
    assert llm.chat(HELLO, stop=[]).message.content.startswith("You said")


@pytest.mark.parametrize("form", FORMS)
async def test_words_are_honoured_or_refused_before_sending(llm, form, emulator):
    for word, error in (
        ({"seed": 1}, UnsupportedError),
        ({"temprature": 1}, ConfigurationError),
        ({"temperature": 3}, ConfigurationError),
        ({"response_format": {"type": "xml"}}, ConfigurationError),
    ):
        with pytest.raises(error):
            await ask(llm, form, **word)
    assert emulator.requests == []


def test_response_formats_go_out(qwen, bodies):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "A", "schema": schema, "strict": True}}
    for given in (form, {"type": "json_object"}):
        qwen.chat([ChatMessage("Give JSON")], response_format=given)
    assert [body["response_format"] for body in bodies()] == [form, {"type": "json_object"}]


@pytest.mark.parametrize("form", FORMS + COMPLETIONS)
async def test_errors_pass_unchanged(words, form):
    llm = YandexLLM(**{**words, "api_key": "wrong-key-0123"}, max_retries=0)
    with pytest.raises(AuthenticationError) as caught:
        await ask(llm, form)
    assert not isinstance(caught.value, ValueError | TypeError)
    assert "wrong-key-0123" not in str(caught.value)


@pytest.mark.parametrize("form", ["stream_chat", "astream_chat", "stream_complete"])
async def test_a_stream_without_an_end_raises(llm, form, emulator, events):
    emulator.script({"text": "One two three four", "cut_after": 1})
    with pytest.raises(StreamInterrupted) as caught:
        await ask(llm, form)
    assert isinstance(caught.value, YandexError)
    assert events.counts["ExceptionEvent"] >= 1


@pytest.mark.parametrize("form", ["stream_chat", "astream_chat"])
async def test_opening_a_stream_is_retried(llm, form, emulator):
    emulator.script({"status": 503, "body": ""}, {"text": "Here"})
    assert (await ask(llm, form))[-1].message.content == "Here"
    assert len(emulator.requests) == 2


def test_two_streams_of_one_model_do_not_mix(llm, emulator):
    emulator.script({"text": "a b c d e f"}, {"text": "1 2 3 4 5 6"})
    pairs = list(zip(llm.stream_chat(HELLO), llm.stream_chat(HELLO), strict=False))
    assert pairs[-1][0].message.content.startswith("a b")
    assert pairs[-1][1].message.content.startswith("1 2")


def closed_early(emulator):
    emulator.settle()
    return emulator.requests[-1]["closed_early"]


@pytest.mark.parametrize("form", ["stream_chat", "stream_complete"])
def test_closing_a_stream_closes_the_connection(llm, form, emulator):
    emulator.script({"text": "one two three four five", "delay": 0.3})
    stream = getattr(llm, form)("Hi" if form == "stream_complete" else HELLO)
    next(stream)
    stream.close()
    assert closed_early(emulator)


@pytest.mark.parametrize("form", ["astream_chat", "astream_complete"])
async def test_closing_an_async_stream_closes_the_connection(llm, form, emulator):
    emulator.script({"text": "one two three four five", "delay": 0.3})
    stream = await getattr(llm, form)("Hi" if form == "astream_complete" else HELLO)
    await anext(stream)
    await stream.aclose()
    del stream
    assert await asyncio.to_thread(closed_early, emulator)


async def test_a_cancelled_request_closes_the_connection(llm, emulator):
    emulator.script({"text": "late", "gate": True})
    task = asyncio.create_task(llm.achat(HELLO))
    await asyncio.to_thread(emulator.wait_for_request)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(closed_early, emulator)


def test_the_system_prompt_is_added_by_the_framework_alone(words, bodies):
    llm = YandexLLM(**words, system_prompt="Be brief.")
    llm.chat(HELLO)
    assert [message["role"] for message in bodies()[-1]["messages"]] == ["user"]


def test_nothing_of_the_caller_is_changed(llm):
    history, words = list(HELLO), {"stop": ["never"], "extra_body": {}}
    before = [message.model_copy(deep=True) for message in history]
    llm.chat(history, **words)
    assert history == before
    assert words == {"stop": ["never"], "extra_body": {}}


@pytest.mark.parametrize("form", FORMS + COMPLETIONS)
async def test_several_answers_are_refused_by_name(llm, form, emulator):
    with pytest.raises(UnsupportedError, match="n=2"):
        await ask(llm, form, n=2)
    assert emulator.requests == []


@pytest.mark.parametrize("form", COMPLETIONS)
async def test_a_prompt_is_dressed_unless_it_is(words, form):
    llm = YandexLLM(**words, completion_to_prompt=lambda prompt: f"<{prompt}>")
    assert (await ask(llm, form, "Hi"))[-1].text == "You said: <Hi>"
    assert (await ask(llm, form, "Hi", formatted=True))[-1].text == "You said: Hi"


def test_a_completion_leaves_the_message_as_it_was(llm):  # T19
    response = llm.chat(HELLO)
    before = dict(response.message.additional_kwargs)
    assert to_completion_response(response).additional_kwargs["finish_reason"] == "stop"
    assert response.message.additional_kwargs == before


TOKENS = [
    {
        "token": "Hi",
        "logprob": -0.5,
        "bytes": [72, 105],
        "top_logprobs": [{"token": "Ho", "logprob": -0.1, "bytes": None}],
    },
    {"token": "!", "logprob": -1.5, "bytes": [33], "top_logprobs": []},
]


def reported(form, tokens):
    """The script of an answer with these log probabilities."""
    choice = {"logprobs": {"content": tokens}, "finish_reason": "stop"}
    if "stream" in form:
        event = {"choices": [choice | {"delta": {"content": "Hi!"}}]}
        return {"chunks": [f"data: {json.dumps(event)}\n\n", "data: [DONE]\n\n"]}
    return {"status": 200, "body": {"choices": [choice | {"message": {"content": "Hi!"}}]}}


with_log_probabilities = pytest.mark.parametrize(
    "form", ["chat", "stream_chat", "complete", "astream_complete"]
)


@with_log_probabilities
async def test_log_probabilities_are_told(llm, form, emulator):  # WIRE A16, T19
    emulator.script(reported(form, TOKENS))
    *_, last = await ask(llm, form, logprobs=True)
    read = [[(one.token, one.logprob) for one in token] for token in last.logprobs]
    assert read == [[("Ho", -0.1)], [("!", -1.5)]]
    assert last.raw["logprobs"] == {"content": TOKENS}


@with_log_probabilities
@pytest.mark.parametrize(
    "odd", [{"top_logprobs": "x"}, {"top_logprobs": 1}, {"bytes": "x"}, {"token": 5}]
)
async def test_log_probabilities_of_another_shape_are_malformed(llm, form, emulator, odd):  # T4
    emulator.script(reported(form, [TOKENS[1] | odd]))
    with pytest.raises(MalformedAnswer, match="log probabilities"):
        await ask(llm, form, logprobs=True)


async def test_what_else_an_answer_reports_is_in_raw(llm, emulator):  # WIRE A16
    cited = {"url": "https://ya.ru", "title": "Ya", "start_index": 0, "end_index": 2}
    message = {
        "content": "Hi",
        "annotations": [{"type": "url_citation", "url_citation": cited}],
        "audio": {"id": "a1", "data": "AAAA"},
    }
    details = {
        "prompt_tokens_details": {"audio_tokens": 1},
        "completion_tokens_details": {"rejected_prediction_tokens": 0},
    }
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    body = {"choices": [{"message": message}], "usage": usage | details, "service_tier": "flex"}
    emulator.script({"status": 200, "body": body})
    raw = llm.chat(HELLO).raw
    assert raw.pop("request_id")
    assert raw == {
        "annotations": [cited],
        "audio": message["audio"],
        "service_tier": "flex",
        "usage": usage | details,
    }
