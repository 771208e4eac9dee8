"""The body of a chat request: what each field becomes, and what is refused unsent."""

import re

import pytest

from yandex_compat import (
    CompletionRequest,
    ConfigurationError,
    CustomTool,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    UnsupportedError,
    profile_for,
)
from yandex_compat.wires import chat

URI = "gpt://test-folder/yandexgpt/latest"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "Tells the weather", SCHEMA)
PICTURE = ImagePart("data:image/png;base64,AAAA")


def request(*messages: Message, **words: object) -> CompletionRequest:
    return CompletionRequest("yandexgpt", messages or (Message("user", "Hi"),), **words)


def body(asked: CompletionRequest, uri: str = URI, *, stream: bool = False) -> dict:
    return chat.encode(asked, uri, profile_for(uri), stream=stream)


def test_least_request_is_model_and_messages_only():
    assert body(request()) == {"model": URI, "messages": [{"role": "user", "content": "Hi"}]}


def test_empty_and_none_words_are_not_sent():
    asked = request(
        temperature=None, tools=(), tool_choice=None, response_format=None, extra_body={}, stop=()
    )
    assert body(asked).keys() == {"model", "messages"}


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": 2}, {"temperature": 2}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"frequency_penalty": -2}, {"frequency_penalty": -2}),
        ({"presence_penalty": 2.0}, {"presence_penalty": 2.0}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),  # WIRE A7
        ({"max_tokens": 1}, {"max_completion_tokens": 1}),  # WIRE A9
        ({"stop": ("END",)}, {}),  # WIRE A9
        ({"parallel_tool_calls": False}, {}),
        ({"tool_choice": ToolChoice("auto")}, {}),
        ({"tool_choice": ToolChoice("none")}, {}),
        ({"logit_bias": {50256: -100}}, {"logit_bias": {50256: -100}}),
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": True, "top_logprobs": 20}, {"logprobs": True, "top_logprobs": 20}),
        ({"n": 2}, {"n": 2}),
        ({"verbosity": "high"}, {"verbosity": "high"}),
        ({"user": "me"}, {"user": "me"}),
        ({"modalities": ("text",)}, {"modalities": ["text"]}),
        ({"prediction": "a"}, {"prediction": {"type": "content", "content": "a"}}),  # WIRE A15
        (
            {"prediction": (TextPart("a"),)},
            {"prediction": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
        ),
        ({"recover_leaked_calls": False}, {}),
        ({"extra_body": {"seed": 7}}, {"seed": 7}),
    ],
)
def test_each_word_has_its_field(words, sent):
    least = body(request())
    assert body(request(**words)) == least | sent


def test_stream_is_said_only_in_streams():
    assert body(request(), stream=True) == body(request()) | {"stream": True}


def test_extra_body_goes_last_and_untouched():  # D8
    value = object()
    sent = body(request(temperature=0.5, extra_body={"temperature": 9, "odd": value}))
    assert sent["temperature"] == 9
    assert sent["odd"] is value
    assert list(sent)[-1] == "odd"


def test_tool_in_full():
    tool = Tool("weather", "Tells the weather", SCHEMA, strict=False)
    assert body(request(tools=(tool,)))["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells the weather",
                "parameters": SCHEMA,
                "strict": False,
            },
        }
    ]


def test_tools_alone_bring_no_other_word():
    assert body(request(tools=(WEATHER,))).keys() == {"model", "messages", "tools"}


def test_tool_without_description_and_strictness_says_neither():
    assert body(request(tools=(Tool("now"),)))["tools"] == [
        {
            "type": "function",
            "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
        }
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (
            ToolChoice("tool", "weather"),
            {"type": "function", "function": {"name": "weather"}},
        ),
    ],
)
def test_tool_choice_forms(choice, sent):  # WIRE A10
    assert body(request(tools=(WEATHER,), tool_choice=choice))["tool_choice"] == sent


@pytest.mark.parametrize("parallel", [True, False])
def test_parallel_tool_calls_goes_with_tools(parallel):
    sent = body(request(tools=(WEATHER,), parallel_tool_calls=parallel))
    assert sent["parallel_tool_calls"] is parallel


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        (ResponseFormat("text"), {"type": "text"}),
        (ResponseFormat("json_object"), {"type": "json_object"}),
        (
            ResponseFormat("json_schema", "City", SCHEMA, strict=True, description="A city"),
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "City",
                    "schema": SCHEMA,
                    "description": "A city",
                    "strict": True,
                },
            },
        ),
        (
            ResponseFormat("json_schema", schema=SCHEMA),
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
        ),
    ],
)
def test_response_format_forms(form, sent):  # WIRE A8
    assert body(request(response_format=form))["response_format"] == sent


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("List[int]", "List_int"),
        ("Город 2", "Gorod_2"),
        ("a" * 70, "a" * 64),
        ("", "answer"),
        ("a-b_C9", "a-b_C9"),
    ],
)
def test_schema_names_are_made_acceptable(name, sent):  # WIRE A15
    form = ResponseFormat("json_schema", name, SCHEMA)
    assert body(request(response_format=form))["response_format"]["json_schema"]["name"] == sent


def test_json_schema_without_a_schema_is_refused():
    with pytest.raises(ConfigurationError, match="response_format"):
        body(request(response_format=ResponseFormat("json_schema", "City")))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", "0.5"),
        ("temperature", True),
        ("temperature", float("nan")),
        ("top_p", 1.01),
        ("top_p", -1),
        ("frequency_penalty", -2.5),
        ("frequency_penalty", 3),
        ("presence_penalty", 2.5),
        ("presence_penalty", -3),
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("max_tokens", "100"),
        ("reasoning_effort", "max"),
        ("reasoning_effort", ""),
        ("stop", "END"),
        ("stop", (1,)),
    ],
)
def test_values_out_of_range_are_refused_by_name(word, value):  # WIRE A15, D8
    with pytest.raises(ConfigurationError, match=rf"^{word}=.*{re.escape(repr(value))}"):
        body(request(**{word: value}))


@pytest.mark.parametrize("form", ["xml", "", None])
def test_response_formats_of_an_unknown_type_are_refused(form):  # WIRE A8, D8
    with pytest.raises(ConfigurationError, match=r"response_format.*json_object"):
        body(request(response_format=ResponseFormat(form, schema=SCHEMA)))


@pytest.mark.parametrize("extra", ["abc", [("a", 1)], None])
def test_an_extra_body_that_is_no_dict_is_refused(extra):
    with pytest.raises(ConfigurationError, match=f"extra_body.*{type(extra).__name__}"):
        body(request(extra_body=extra))


@pytest.mark.parametrize("tools", [(), (WEATHER,)])
def test_an_unknown_mode_of_tool_choice_is_refused(tools):  # WIRE A10
    with pytest.raises(ConfigurationError, match="'robot'"):
        body(request(tools=tools, tool_choice=ToolChoice("robot")))


@pytest.mark.parametrize("role", ["robot", "developer", ""])
def test_an_unknown_role_is_refused(role):  # D8
    with pytest.raises(UnsupportedError, match=rf"role='{role}'.*assistant"):
        body(request(Message(role, "Hi")))


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_tool_without_a_name_is_refused(name):
    with pytest.raises(ConfigurationError, match="name"):
        body(request(tools=(Tool(name),)))


@pytest.mark.parametrize("name", ["a" * 64, "a-b_C9"])
def test_tool_names_at_the_limit_are_sent(name):
    assert body(request(tools=(Tool(name),)))["tools"][0]["function"]["name"] == name


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match="'weather'"):
        body(request(tools=(WEATHER, Tool("now"), Tool("weather"))))


def test_tool_choice_of_an_unknown_tool_names_both():
    asked = request(tools=(WEATHER, Tool("now")), tool_choice=ToolChoice("tool", "wether"))
    with pytest.raises(ConfigurationError, match=r"'wether'.*weather, now"):
        body(asked)


CUSTOM = CustomTool("sql", "Runs a query", {"type": "text"})


def test_a_custom_tool_has_its_shape():  # WIRE A11
    described = {"name": "sql", "description": "Runs a query", "format": {"type": "text"}}
    sent = body(request(tools=(CUSTOM, CustomTool("bare"))))["tools"]
    assert sent == [
        {"type": "custom", "custom": described},
        {"type": "custom", "custom": {"name": "bare"}},
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice("tool", "sql"), {"type": "custom", "custom": {"name": "sql"}}),
        (ToolChoice("tool", "weather"), {"type": "function", "function": {"name": "weather"}}),
        (
            ToolChoice("required", allowed=("weather", "sql")),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "weather"}},
                        {"type": "custom", "custom": {"name": "sql"}},
                    ],
                },
            },
        ),
        (
            ToolChoice("auto", allowed=("sql",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "custom", "custom": {"name": "sql"}}],
                },
            },
        ),
    ],
)
def test_each_tool_choice_has_its_shape(choice, sent):  # WIRE A10
    assert body(request(tools=(WEATHER, CUSTOM), tool_choice=choice))["tool_choice"] == sent


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (ToolChoice("auto", allowed=("wether",)), r"'wether'.*weather, sql"),
        (ToolChoice("none", allowed=("sql",)), "take auto or required"),
        (ToolChoice("tool", "sql", ("sql",)), "take auto or required"),
        (ToolChoice("function", "sql"), "unknown mode 'function'"),
    ],
)
def test_tool_choices_that_make_no_sense_are_refused(choice, told):
    with pytest.raises(ConfigurationError, match=told):
        body(request(tools=(WEATHER, CUSTOM), tool_choice=choice))


def test_what_an_answer_refused_or_said_aloud_goes_back():  # WIRE A15
    message = Message("assistant", "", refusal="No.", audio_id="a1")
    (sent,) = body(request(message))["messages"]
    assert sent == {
        "role": "assistant",
        "content": "",
        "refusal": "No.",
        "audio": {"id": "a1"},
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"n": 0}, "n=0"),
        ({"n": True}, "n=True"),
        ({"verbosity": "loud"}, "verbosity='loud'.*low, medium, high"),
        ({"logprobs": 3}, "logprobs=3"),
        ({"top_logprobs": 3}, "top_logprobs needs logprobs"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs=21.*from 0 to 20"),
        ({"top_logprobs": 2.5, "logprobs": True}, "top_logprobs=2.5"),
        ({"logit_bias": {"1": "x"}}, "logit_bias"),
        ({"logit_bias": {"1": True}}, "logit_bias"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"modalities": ("video",)}, "modalities.*text and audio"),
        ({"modalities": "text"}, "modalities"),
        ({"modalities": ({},)}, "modalities"),
        ({"prediction": 5}, "prediction must be"),
        ({"prediction": ("a",)}, "prediction must be"),
        ({"tools": (Tool(5),)}, "named 5"),
        ({"user": 5}, "user must be a text"),
    ],
)
def test_what_is_documented_is_checked_unsent(words, told):  # WIRE A9, A15
    with pytest.raises(ConfigurationError, match=told):
        body(request(**words))


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("tool", "weather")])
def test_asking_for_a_call_without_tools_is_refused(choice):
    with pytest.raises(ConfigurationError, match=r"tool_choice.*tools="):
        body(request(tool_choice=choice))


def test_each_role_has_its_shape():  # WIRE A15
    call = ToolCall("call_1", "weather", '{"city":"Omsk"}')
    asked = request(
        Message("system", "Be brief"),
        Message("user", "Weather?", name="ann"),
        Message("assistant", "Looking", tool_calls=(call,), name="agent"),
        Message("tool", "Snow", tool_call_id="call_1", name="weather"),
        Message("assistant", "It snows"),
    )
    assert body(asked)["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Weather?", "name": "ann"},
        {
            "role": "assistant",
            "content": "Looking",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Omsk"}'},
                }
            ],
        },
        {"role": "tool", "content": "Snow", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "It snows"},
    ]


def test_images_and_text_keep_their_order():  # WIRE A12
    asked = request(Message("user", (TextPart("a"), PICTURE, TextPart("b"))))
    (sent,) = body(asked, "gpt://f/gemma-3-27b-it/latest")["messages"]
    assert sent["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "b"},
    ]


def test_an_unknown_model_is_trusted_with_images():  # D13
    asked = request(Message("user", (PICTURE,)))
    (sent,) = body(asked, "gpt://f/brand-new/latest")["messages"]
    assert [part["type"] for part in sent["content"]] == ["image_url"]


def test_images_for_a_model_without_eyes_are_refused_by_its_name():
    with pytest.raises(UnsupportedError, match=r"'yandexgpt'.*gemma"):
        body(request(Message("user", (TextPart("a"), PICTURE))))


@pytest.mark.parametrize("url", ["https://host/cat.png", "cat.png", ""])
def test_images_are_data_urls_only(url):  # WIRE Models
    asked = request(Message("user", (PICTURE, ImagePart(url))))
    with pytest.raises(UnsupportedError, match="data:image"):
        body(asked, "gpt://f/gemma-3-27b-it/latest")


def test_an_image_of_hostile_size_is_refused_by_both_sizes():
    head = "data:image/png;base64,"
    largest = head + "A" * (20_000_000 - len(head))
    eyes = "gpt://f/gemma-3-27b-it/latest"
    (sent,) = body(request(Message("user", (ImagePart(largest),))), eyes)["messages"]
    assert sent["content"][0]["image_url"]["url"] == largest
    asked = request(Message("user", (PICTURE, ImagePart(f"{largest}A"))))
    with pytest.raises(UnsupportedError, match=r"20000001 characters; 20000000 .*smaller") as told:
        body(asked, eyes)
    assert "AAAA" not in str(told.value)


@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
def test_images_stand_in_user_messages_only(role):
    call = Message("assistant", tool_calls=(ToolCall("1", "f", "{}"),))
    asked = request(call, Message(role, (PICTURE,), tool_call_id="1"))
    with pytest.raises(UnsupportedError, match=f"{role} message"):
        body(asked, "gpt://f/gemma-3-27b-it/latest")


@pytest.mark.parametrize(
    ("message", "content"),
    [
        (Message("user", (TextPart("a"),)), "a"),
        (
            Message("user", (TextPart("a"), TextPart("b"))),
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        ),
        (Message("system", (TextPart("a"), TextPart("b"))), "a\nb"),
        (Message("assistant", (TextPart("a"), TextPart("b"))), "a\nb"),
        (Message("user", ()), ""),
    ],
)
def test_text_parts_go_out_as_plainly_as_they_can(message, content):
    assert body(request(message))["messages"][0]["content"] == content


@pytest.mark.parametrize(
    ("model", "messages_out"),
    [("yandexgpt", 5), ("llama", 5), ("aliceai-llm", 5), ("qwen3-235b-a22b-fp8", 4)],
)
def test_repeated_names_are_unrolled_for_models_that_match_by_name(model, messages_out):  # D5
    calls = (ToolCall("a", "weather", "{}"), ToolCall("b", "weather", "{}"))
    asked = request(
        Message("user", "?"),
        Message("assistant", tool_calls=calls),
        Message("tool", "1", tool_call_id="a"),
        Message("tool", "2", tool_call_id="b"),
    )
    assert len(body(asked, f"gpt://f/{model}/latest")["messages"]) == messages_out


def test_encoding_changes_nothing_in_the_request():
    extra = {"seed": 1}
    asked = request(tools=(WEATHER,), extra_body=extra)
    body(asked)["messages"].append("x")
    assert extra == {"seed": 1}
    assert body(asked)["messages"] == [{"role": "user", "content": "Hi"}]
