"""Messages on their way out: every kind, every form of content, and what is refused unsent."""

import pytest
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from yandex_compat import UnsupportedError

YANDEX, IMAGES = "yandexgpt", "gemma-3-27b-it"
PNG = "iVBORw0KGgo="
CALL = {"name": "weather", "args": {}, "id": "x"}


def test_every_kind_of_message(make, body):
    make().invoke(
        [
            SystemMessage("Be brief."),
            ChatMessage(role="developer", content="Be kind."),
            HumanMessage(
                ["Hello", {"type": "text", "text": "there", "cache_control": {}}], name="ann"
            ),
            AIMessage(
                [
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "x1", "name": "weather", "input": {"city": "А"}},
                ],
                tool_calls=[{"name": "weather", "args": {"city": "А"}, "id": "x1"}],
                name="agent",
            ),
            ToolMessage([{"type": "text", "text": "sun", "id": "t"}], tool_call_id="x1"),
            AIMessage("Sunny."),
            HumanMessage("Thanks"),
        ]
    )
    assert body()["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}],
            "name": "ann",
        },
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {
                    "id": "x1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"А"}'},
                }
            ],
        },
        {"role": "tool", "content": "sun", "tool_call_id": "x1"},
        {"role": "assistant", "content": "Sunny."},
        {"role": "user", "content": "Thanks"},
    ]


def test_a_failed_tool_reads_as_failed(make, body):
    calls = [{"name": "weather", "args": {}, "id": "x"}]
    failed = ToolMessage("no such city", tool_call_id="x", status="error")
    make().invoke([HumanMessage("?"), AIMessage("", tool_calls=calls), failed])
    assert body()["messages"][-1]["content"] == "Error: no such city"


def test_an_invalid_call_goes_back_as_an_object(make, body):
    invalid = {"name": "weather", "args": '{"city": "A', "id": "x", "error": "cut"}
    history = [HumanMessage("?"), AIMessage("", invalid_tool_calls=[invalid])]
    make().invoke([*history, ToolMessage("Error: cut", tool_call_id="x")])
    function = body()["messages"][1]["tool_calls"][0]["function"]
    assert function["arguments"] == '{"INVALID_JSON":"{\\"city\\": \\"A"}'


def test_results_without_an_id_or_inside_a_user_message(make, body):
    call = {"name": "weather", "args": {}, "id": "x"}
    result = {"type": "tool_result", "tool_use_id": "x", "content": "sun"}
    make().invoke(
        [HumanMessage("?"), AIMessage("", tool_calls=[call]), HumanMessage([result, "So?"])]
    )
    assert [message["role"] for message in body()["messages"]] == [
        "user",
        "assistant",
        "tool",
        "user",
    ]
    named = FunctionMessage(name="weather", content="rain")
    make().invoke([HumanMessage("?"), AIMessage("", tool_calls=[call]), named])
    assert body()["messages"][-1] == {"role": "tool", "content": "rain", "tool_call_id": "x"}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"},
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "auto"},
        },
        {"type": "image", "base64": PNG, "mime_type": "image/png"},
        {"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    ],
)
def test_an_image_in_every_form(make, block, body):
    make(model=IMAGES).invoke([HumanMessage(["What is it?", block])])
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assert body()["messages"][0]["content"] == [{"type": "text", "text": "What is it?"}, image]


IMAGE = {"type": "image", "base64": PNG, "mime_type": "image/png"}


@pytest.mark.parametrize(
    ("model", "message", "named"),
    [
        (YANDEX, HumanMessage([IMAGE]), "yandexgpt"),
        (IMAGES, SystemMessage([IMAGE]), "system"),
        (IMAGES, HumanMessage([{"type": "image", "url": "https://x/y.png"}]), "base64"),
        (
            IMAGES,
            HumanMessage([{"type": "audio", "base64": "x", "mime_type": "audio/wav"}]),
            "audio",
        ),
        (IMAGES, HumanMessage([{"type": "file", "file_id": "x"}]), "file"),
        (
            IMAGES,
            HumanMessage([{"type": "image_url", "image_url": {"url": "data:", "detail": "low"}}]),
            "detail",
        ),
        (IMAGES, HumanMessage([{"no": "type"}]), "None"),
        (IMAGES, AIMessage([{"type": "video", "url": "x"}]), "video"),
        (IMAGES, ChatMessage(role="critic", content="x"), "critic"),
        (IMAGES, RemoveMessage(id="1"), "RemoveMessage"),
    ],
)
def test_content_without_a_place_is_refused_unsent(make, emulator, model, message, named):
    with pytest.raises(UnsupportedError, match=named):
        make(model=model).invoke([message])
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("no such city", "Error: no such city"),
        ("", "Error: "),
        ("Error: no such city", "Error: no such city"),
        (["no such city"], "Error: no such city"),
        ([{"type": "text", "text": "no such city"}], "Error: no such city"),
        ([{"type": "text", "text": "no"}, {"type": "text", "text": "city"}], "Error:\nno\ncity"),
    ],
)
@pytest.mark.parametrize("form", ["ToolMessage", "tool_result"])
def test_a_failure_reads_as_one_whatever_its_content(make, body, content, read, form):
    if form == "ToolMessage":
        failed = ToolMessage(content, tool_call_id="x", status="error")
    else:
        block = {"type": "tool_result", "tool_use_id": "x", "content": content, "is_error": True}
        failed = HumanMessage([block])
    make().invoke([HumanMessage("?"), AIMessage("", tool_calls=[CALL]), failed])
    expected = {"role": "tool", "content": read, "tool_call_id": "x"}
    assert body()["messages"][2:] == [expected]


@pytest.mark.parametrize("nothing", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_a_result_of_nothing_is_an_empty_one(make, body, nothing):
    result = {"type": "tool_result", "tool_use_id": "x", **nothing}
    make().invoke([HumanMessage("?"), AIMessage("", tool_calls=[CALL]), HumanMessage([result])])
    assert body()["messages"][2:] == [{"role": "tool", "content": "", "tool_call_id": "x"}]


@pytest.mark.parametrize("content", ["", []])
def test_a_message_of_nothing_goes_out_all_the_same(make, body, content):
    make().invoke([HumanMessage("?"), AIMessage(content), HumanMessage(content)])
    assert [message["content"] for message in body()["messages"]] == ["?", "", ""]


@pytest.mark.parametrize("content", ["  one\n\n", [{"type": "text", "text": "  one\n\n"}]])
def test_an_answer_s_own_whitespace_goes_back_with_it(make, body, content):
    make().invoke([HumanMessage("?"), AIMessage(content), HumanMessage("!")])
    assert body()["messages"][1]["content"] == "  one\n\n"


@pytest.mark.parametrize("mark", [{}, {"is_error": False}, {"is_error": None}])
def test_a_success_reads_as_it_is(make, body, mark):
    result = {"type": "tool_result", "tool_use_id": "x", "content": "error-free", **mark}
    make().invoke([HumanMessage("?"), AIMessage("", tool_calls=[CALL]), HumanMessage([result])])
    assert body()["messages"][-1]["content"] == "error-free"
    fine = ToolMessage([{"type": "text", "text": "sun"}], tool_call_id="x", status="success")
    make().invoke([HumanMessage("?"), AIMessage("", tool_calls=[CALL]), fine])
    assert body()["messages"][-1]["content"] == "sun"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "reasoning", "reasoning": "SECRET THOUGHT"},
        {"type": "thinking", "thinking": "SECRET THOUGHT", "signature": "x"},
        {"type": "redacted_thinking", "data": "SECRET THOUGHT"},
        {"type": "non_standard", "value": {"type": "anything", "text": "SECRET THOUGHT"}},
        {"type": "tool_use", "id": "x", "name": "weather", "input": {"a": "SECRET THOUGHT"}},
        {"type": "tool_call", "id": "x", "name": "weather", "args": {"a": "SECRET THOUGHT"}},
        {"type": "tool_call_chunk", "id": "x", "name": "weather", "args": "SECRET THOUGHT"},
        {"type": "invalid_tool_call", "id": "x", "name": "weather", "args": "SECRET THOUGHT"},
        {"type": "function_call", "name": "weather", "arguments": "SECRET THOUGHT"},
    ],
    ids=lambda block: block["type"],
)
def test_thoughts_and_repeated_calls_do_not_go_back(make, body, block):  # M26
    call = {"name": "weather", "args": {"city": "A"}, "id": "x"}
    said = AIMessage([block, {"type": "text", "text": "Sunny."}], tool_calls=[call])
    make().invoke(
        [HumanMessage("?"), said, ToolMessage("?", tool_call_id="x"), HumanMessage("So?")]
    )
    assert body()["messages"][1]["content"] == "Sunny."
    [sent] = body()["messages"][1]["tool_calls"]
    assert sent["function"]["arguments"] == '{"city":"A"}'
    assert "SECRET" not in str(body())


def test_reasoning_of_an_answer_does_not_go_back(make, emulator, body):  # M22, M26
    emulator.script({"text": "4", "reasoning": "Two and two."})
    for version in ("v0", "v1"):
        model = make(model="gpt-oss-120b", output_version=version)
        answer = model.invoke("2+2?")
        model.invoke([HumanMessage("2+2?"), answer, HumanMessage("Sure?")])
        assert body()["messages"][1].keys() == {"role", "content"}
        assert "Two and two" not in str(body())


@pytest.mark.parametrize("content", ["", [], [{"type": "tool_use", "id": "x", "name": "weather"}]])
def test_a_call_without_text(make, body, content):
    history = [HumanMessage("?"), AIMessage(content, tool_calls=[CALL])]
    make().invoke([*history, ToolMessage("sun", tool_call_id="x")])
    said = body()["messages"][1]
    assert not said["content"]
    assert [call["function"]["name"] for call in said["tool_calls"]] == ["weather"]


def test_nothing_of_the_caller_is_changed(make):  # M31
    messages = [
        HumanMessage(["Hi", {"type": "text", "text": "there", "cache_control": {}}]),
        AIMessage("", tool_calls=[CALL]),
        ToolMessage([{"type": "text", "text": "sun", "id": "t"}], tool_call_id="x", status="error"),
    ]
    before = [message.model_copy(deep=True) for message in messages]
    make().invoke(messages)
    assert messages == before


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use", "id": "x", "name": "weather", "input": {"city": "A"}},
        {"type": "tool_call", "id": "x", "name": "weather", "args": {"city": "A"}},
        {"type": "function_call", "call_id": "x", "name": "weather", "arguments": '{"city":"A"}'},
        {"type": "tool_use", "id": "x", "name": "weather", "input": '{"city":"A"}'},
        {"type": "function_call", "call_id": "x", "name": "weather", "arguments": {"city": "A"}},
    ],
    ids=lambda block: block["type"],
)
def test_a_call_that_stands_in_the_content_alone_goes_out_as_a_call(make, body, block):  # D8
    said = AIMessage([{"type": "text", "text": "Let me see."}, block])
    make().invoke([HumanMessage("?"), said, ToolMessage("sun", tool_call_id="x")])
    _, assistant, result = body()["messages"]
    [call] = assistant["tool_calls"]
    assert (assistant["content"], call["function"]["name"]) == ("Let me see.", "weather")
    assert call["function"]["arguments"] == '{"city":"A"}'
    assert (result["role"], result["content"]) == ("tool", "sun")


def test_a_text_cut_into_blocks_is_one_text(make, body):
    blocks = [{"type": "text", "text": "The sky is "}, {"type": "text", "text": "blue"}, "."]
    make().invoke([HumanMessage("?"), AIMessage(blocks), HumanMessage("Really?")])
    assert body()["messages"][1]["content"] == "The sky is blue."


def test_the_names_of_users_and_systems_go_out(make, body):  # A15
    make().invoke([SystemMessage("Be brief.", name="rules"), HumanMessage("Hi", name="anna")])
    assert [message["name"] for message in body()["messages"]] == ["rules", "anna"]


def test_a_call_block_without_an_id_is_a_call_where_none_is_listed(make, body):
    block = {"type": "tool_call", "id": None, "name": "weather", "args": {"city": "A"}}
    make().invoke([HumanMessage("?"), AIMessage([block]), HumanMessage("So?")])
    [call] = body()["messages"][1]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"city":"A"}'}


def test_a_call_block_without_a_name_is_refused(make, emulator):
    with pytest.raises(UnsupportedError, match="tool_use"):
        make().invoke([HumanMessage("?"), AIMessage([{"type": "tool_use", "id": "x"}])])
    assert emulator.requests == []


def test_an_image_of_an_assistant_is_refused(make, emulator):
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    said = AIMessage([{"type": "text", "text": "Look."}, image])
    with pytest.raises(UnsupportedError, match="assistant"):
        make(model=IMAGES).invoke([HumanMessage("?"), said, HumanMessage("So?")])
    assert emulator.requests == []
