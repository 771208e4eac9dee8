"""Names of tools that the service can't take: out in its signs, back as they were (WIRE A15)."""

import re

import pytest

from yandex_compat import (
    CompletionRequest,
    CustomTool,
    Message,
    Tool,
    ToolCall,
    ToolChoice,
    YandexClient,
)
from yandex_compat.tool_names import ToolNames, sendable_name

SENDABLE = re.compile(r"[A-Za-z0-9_-]{1,64}")


def request(*names, messages=(), choice=None):
    return CompletionRequest("m", messages, tools=tuple(map(Tool, names)), tool_choice=choice)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("поиск документов", "poisk_dokumentov"),
        ("W[int]", "W_int"),
        ("a.b", "a_b"),
        ("weather\n", "weather"),
        ("日本語", "RiBenYu"),
        ("...", "unnamed"),
        ("я" * 100, "ya" * 32),
        ("kept-As_it1", "kept-As_it1"),
    ],
)
def test_a_name_goes_out_in_signs_of_the_service(name, sent):
    assert sendable_name(name) == sent
    assert SENDABLE.fullmatch(sent)


def test_names_stay_apart_and_find_back():
    own = ["поиск", "поиск ", "poisk", "poisk_2", "a b", "a.b", "a" * 65, "a" * 66, "W[int]", "..."]
    names = ToolNames(request(*own))
    sent = [names.sent(name) for name in own]
    assert all(map(SENDABLE.fullmatch, sent))
    assert len(set(sent)) == len(own)
    assert (names.sent("poisk"), names.sent("poisk_2")) == ("poisk", "poisk_2")
    assert [names.own(name) for name in sent] == own
    assert names.own("invented") == "invented"


def test_a_request_of_plain_names_is_not_touched():
    plain = request("weather", messages=(Message("user", "Hi"),))
    assert ToolNames(plain).outgoing(plain) is plain


def test_every_place_of_a_name_is_renamed_and_nothing_else():
    call = ToolCall("1", "старый", "{}")
    messages = (
        Message("user", "Погода?", name="Анна"),
        Message("assistant", tool_calls=(call,)),
        Message("tool", "sun", tool_call_id="1", name="старый"),
    )
    asked = request("новый", messages=messages, choice=ToolChoice("tool", "новый"))
    sent = ToolNames(asked).outgoing(asked)
    assert [tool.name for tool in sent.tools] == ["novyy"]
    assert sent.tool_choice == ToolChoice("tool", "novyy")
    assert [message.name for message in sent.messages] == ["Анна", None, "staryy"]
    assert sent.messages[1].tool_calls == (ToolCall("1", "staryy", "{}"),)
    assert asked.messages == messages


def test_allowed_and_custom_tools_are_renamed():
    asked = CompletionRequest(
        "m", (), tools=(CustomTool("б"),), tool_choice=ToolChoice("auto", allowed=("б",))
    )
    sent = ToolNames(asked).outgoing(asked)
    assert sent.tools == (CustomTool("b"),)
    assert sent.tool_choice == ToolChoice("auto", allowed=("b",))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_leaked_call_is_known_by_the_name_that_went_out(emulator, streaming):  # WIRE A13
    emulator.script({"text": '[TOOL_CALL_START]pogoda\n{"city": "Tver"}'})
    asked = CompletionRequest("yandexgpt", (Message("user", "?"),), tools=(Tool("погода"),))
    with YandexClient(
        api_key="test-key", folder_id="test-folder", base_url=emulator.chat_url
    ) as client:
        if streaming:
            pieces = [piece for delta in client.stream(asked) for piece in delta.tool_calls]
            names = [piece.name for piece in pieces]
        else:
            names = [call.name for call in client.complete(asked).tool_calls]
    assert names == ["погода"]
