"""The body of a native request: what each field becomes, and what is refused unsent."""

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
from yandex_compat.catalogue import UNKNOWN
from yandex_compat.tool_calls import mint_id
from yandex_compat.wires import completion

URI = "gpt://test-folder/yandexgpt/latest"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "Tells the weather", SCHEMA)
CLOCK = Tool("clock")
HI = {"role": "user", "text": "Hi"}


def request(*messages: Message, **words: object) -> CompletionRequest:
    return CompletionRequest("yandexgpt", messages or (Message("user", "Hi"),), **words)


def body(asked: CompletionRequest, *, stream: bool = False) -> dict:
    return completion.encode(asked, URI, profile_for(URI), stream=stream)


def call(name: str, arguments: str = "{}", call_id: str | None = None) -> ToolCall:
    return ToolCall(call_id or mint_id(), name, arguments)


def result(call: ToolCall, text: str) -> Message:
    return Message("tool", text, tool_call_id=call.id)


def test_the_least_request():  # WIRE B1
    assert body(request()) == {
        "modelUri": URI,
        "completionOptions": {"stream": False},
        "messages": [HI],
    }


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": 1}, {"temperature": 1}),
        ({"max_tokens": 2000}, {"maxTokens": "2000"}),  # B1: int64 travels as a string
        ({"reasoning_effort": "low"}, {"reasoningOptions": {"mode": "ENABLED_HIDDEN"}}),
        ({"stop": ("END",)}, {}),
        ({"logprobs": False, "n": 1, "modalities": ()}, {}),
    ],
)
def test_options(words, options):  # WIRE B1
    assert body(request(**words))["completionOptions"] == {"stream": False} | options


def test_a_stream_is_asked_for_in_the_options():
    assert body(request(), stream=True)["completionOptions"] == {"stream": True}


@pytest.mark.parametrize("temperature", [-0.1, 1.1, 2, True, "1"])
def test_the_temperature_is_from_0_to_1(temperature):  # WIRE B1
    with pytest.raises(ConfigurationError, match=r"temperature=.* from 0 to 1"):
        body(request(temperature=temperature))


@pytest.mark.parametrize(
    "words",
    [
        {"top_p": 0.5},
        {"frequency_penalty": 1},
        {"presence_penalty": 1},
        {"logit_bias": {1: 1}},
        {"logprobs": True},
        {"top_logprobs": 0},
        {"n": 2},
        {"verbosity": "low"},
        {"modalities": ("text",)},
        {"prediction": "text"},
        {"user": "me"},
    ],
    ids=lambda words: next(iter(words)),
)
def test_what_this_api_lacks_is_refused_by_name(words):
    with pytest.raises(UnsupportedError, match=rf"{next(iter(words))}.*api=\"chat\""):
        body(request(**words))


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (Message("user", (ImagePart("data:image/png;base64,AA"),)), "image"),
        (Message("assistant", audio_id="audio-1"), "audio-1"),
        (Message("assistant", tool_calls=(ToolCall("1", "grep", "x", custom=True),)), "grep"),
    ],
)
def test_content_that_this_api_lacks_is_refused_by_name(message, named):  # WIRE B2
    with pytest.raises(UnsupportedError, match=rf"{named}.*api=\"chat\""):
        body(request(message))


def test_custom_tools_are_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"'grep'.*api=\"chat\""):
        body(request(tools=(CustomTool("grep"),)))


def test_texts_of_every_role():  # WIRE B2
    parts = (TextPart("one"), TextPart("two"))
    asked = request(
        Message("system", "Be brief"),
        Message("user", parts),
        Message("assistant", "Yes"),
        Message("assistant", refusal="No"),
        Message("user"),
    )
    assert body(asked)["messages"] == [
        {"role": "system", "text": "Be brief"},
        {"role": "user", "text": "one\ntwo"},
        {"role": "assistant", "text": "Yes"},
        {"role": "assistant", "text": "No"},
        {"role": "user", "text": ""},
    ]


def calls(*named: tuple[str, dict]) -> dict:
    made = [{"functionCall": {"name": name, "arguments": words}} for name, words in named]
    return {"role": "assistant", "toolCallList": {"toolCalls": made}}


def results(*named: tuple[str, str]) -> dict:
    made = [{"functionResult": {"name": name, "content": text}} for name, text in named]
    return {"role": "user", "toolResultList": {"toolResults": made}}


def test_calls_are_objects_and_results_follow_together_by_name():  # WIRE B2, B3, B4
    one, two = call("weather", '{"city":"Омск"}'), call("clock")
    asked = request(
        Message("user", "Hi"),
        Message("assistant", tool_calls=(one, two)),
        result(two, "noon"),
        result(one, "sunny"),
        Message("user", "And?"),
    )
    assert body(asked)["messages"] == [
        HI,
        calls(("weather", {"city": "Омск"}), ("clock", {})),
        results(("weather", "sunny"), ("clock", "noon")),
        {"role": "user", "text": "And?"},
    ]


def test_text_beside_calls_is_a_message_before_them():  # WIRE B2: exactly one of the three
    one = call("clock")
    asked = request(Message("assistant", "Let me see", tool_calls=(one,)), result(one, "noon"))
    assert body(asked)["messages"] == [
        {"role": "assistant", "text": "Let me see"},
        calls(("clock", {})),
        results(("clock", "noon")),
    ]


def test_a_function_called_twice_is_unrolled():  # WIRE B3, D5
    one, other, again = call("weather", '{"n":1}'), call("clock"), call("weather", '{"n":2}')
    asked = request(
        Message("assistant", "Both", tool_calls=(one, other, again)),
        result(again, "two"),
        result(one, "one"),
        result(other, "noon"),
    )
    assert body(asked)["messages"] == [
        {"role": "assistant", "text": "Both"},
        calls(("weather", {"n": 1}), ("clock", {})),
        results(("weather", "one"), ("clock", "noon")),
        calls(("weather", {"n": 2})),
        results(("weather", "two")),
    ]


def test_missing_and_orphaned_results_are_made_good():  # D5
    one, lost = call("clock"), call("weather")
    asked = request(Message("assistant", tool_calls=(one,)), result(lost, "sunny"))
    sent = body(asked)["messages"]
    assert sent[1]["toolResultList"]["toolResults"][0]["functionResult"]["name"] == "clock"
    assert "not run" in sent[1]["toolResultList"]["toolResults"][0]["functionResult"]["content"]
    assert sent[2] == {"role": "user", "text": f"Result of {lost.id}: sunny"}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [("", {}), ('{"a":1', {"INVALID_JSON": '{"a":1'}), ("[1]", {"INVALID_JSON": "[1]"})],
)
def test_arguments_that_are_no_object(arguments, sent):  # D5
    one = call("clock", arguments)
    asked = request(Message("assistant", tool_calls=(one,)), result(one, "noon"))
    assert body(asked)["messages"][0] == calls(("clock", sent))


def test_tools_and_their_choice():  # WIRE B1
    strict = Tool("strict", parameters=SCHEMA, strict=True)
    sent = body(request(tools=(WEATHER, strict), parallel_tool_calls=False))
    assert sent["tools"] == [
        {
            "function": {
                "name": "weather",
                "description": "Tells the weather",
                "parameters": SCHEMA,
            }
        },
        {"function": {"name": "strict", "parameters": SCHEMA, "strict": True}},
    ]
    assert sent["parallelToolCalls"] is False
    assert "toolChoice" not in sent


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "REQUIRED"}),
        (ToolChoice("tool", "clock"), {"functionName": "clock"}),
    ],
)
def test_tool_choices(choice, sent):  # WIRE B1
    assert body(request(tools=(WEATHER, CLOCK), tool_choice=choice))["toolChoice"] == sent


def test_of_allowed_tools_the_others_are_left_out():
    choice = ToolChoice("required", allowed=("clock",))
    sent = body(request(tools=(WEATHER, CLOCK), tool_choice=choice))
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["clock"]
    assert sent["toolChoice"] == {"mode": "REQUIRED"}


def test_without_tools_nothing_is_said_of_them():
    sent = body(request(tool_choice=ToolChoice("auto"), parallel_tool_calls=True))
    assert sent.keys() == {"modelUri", "completionOptions", "messages"}


def test_names_of_other_signs_go_out_in_those_of_the_service():
    tool, made = Tool("погода"), call("погода")
    asked = request(
        Message("assistant", tool_calls=(made,)),
        result(made, "sunny"),
        tools=(tool,),
        tool_choice=ToolChoice("tool", "погода"),
    )
    sent = body(asked)
    assert sent["messages"] == [calls(("pogoda", {})), results(("pogoda", "sunny"))]
    assert sent["tools"][0]["function"]["name"] == "pogoda"
    assert sent["toolChoice"] == {"functionName": "pogoda"}


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        (ResponseFormat("text"), {}),
        (ResponseFormat("json_object"), {"jsonObject": True}),
        (ResponseFormat("json_schema", schema=SCHEMA), {"jsonSchema": {"schema": SCHEMA}}),
        (
            ResponseFormat("json_schema", "city", SCHEMA, strict=True, description="Of a map"),
            {"jsonSchema": {"schema": {"title": "city", "description": "Of a map", **SCHEMA}}},
        ),
        (
            ResponseFormat("json_schema", "city", {"title": "City", **SCHEMA}),
            {"jsonSchema": {"schema": {"title": "City", **SCHEMA}}},
        ),
    ],
)
def test_forms_of_the_answer(form, sent):  # WIRE B1
    known = {"modelUri", "completionOptions", "messages"}
    rest = {w: v for w, v in body(request(response_format=form)).items() if w not in known}
    assert rest == sent


def test_extra_body_goes_over_it_and_into_the_options():
    extra = {
        "modelUri": "gpt://other/yandexgpt/rc",
        "completionOptions": {"reasoningOptions": {"mode": "DISABLED"}},
    }
    sent = body(request(temperature=0.5, extra_body=extra), stream=True)
    assert sent["modelUri"] == "gpt://other/yandexgpt/rc"
    assert sent["completionOptions"] == {
        "stream": True,
        "temperature": 0.5,
        "reasoningOptions": {"mode": "DISABLED"},
    }
    assert extra["completionOptions"] == {"reasoningOptions": {"mode": "DISABLED"}}


def test_a_refusal_beside_a_text_is_sent_too():
    [sent] = body(request(Message("assistant", "Half", refusal="No.")))["messages"]
    assert sent == {"role": "assistant", "text": "Half\nNo."}


def test_a_schema_that_need_not_be_kept_to_is_refused_by_name():
    """The native API enforces each (reference), so that True asks for what happens anyway."""
    form = ResponseFormat("json_schema", "A", {"type": "object"}, strict=True)
    assert "strict" not in str(body(request(response_format=form)))
    lax = ResponseFormat("json_schema", "A", {"type": "object"}, strict=False)
    with pytest.raises(UnsupportedError, match="strict=False"):
        body(request(response_format=lax))


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_reasoning_of_any_degree_is_switched_on(effort):  # WIRE B1
    options = body(request(reasoning_effort=effort))["completionOptions"]
    assert options["reasoningOptions"] == {"mode": "ENABLED_HIDDEN"}


def test_extra_body_overrides_an_option():
    extra = {"completionOptions": {"maxTokens": "7", "reasoningOptions": {"mode": "DISABLED"}}}
    options = body(request(max_tokens=5, temperature=0.5, extra_body=extra))["completionOptions"]
    assert options["maxTokens"] == "7"
    assert options["temperature"] == 0.5
    assert options["reasoningOptions"] == {"mode": "DISABLED"}


def test_a_function_called_twice_is_unrolled_for_any_model():  # D5: the native wire always
    one, two = call("f", call_id="1"), call("f", call_id="2")
    talk = (Message("assistant", "", tool_calls=(one, two)), result(one, "a"), result(two, "b"))
    asked = CompletionRequest("some-new-model", talk)
    sent = completion.encode(asked, "gpt://f/some-new-model/latest", UNKNOWN, stream=False)
    kinds = [next(iter(message.keys() - {"role"})) for message in sent["messages"]]
    assert (
        kinds
        == [
            "toolCallList",
            "toolResultList",
        ]
        * 2
    )


def test_a_tool_that_is_not_strict_says_so():
    [sent] = body(request(tools=(Tool("f", strict=False),)))["tools"]
    assert sent["function"]["strict"] is False
