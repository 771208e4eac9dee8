"""Messages and calls: what can be read off them."""

import pytest

from yandex_compat import ConfigurationError, ImagePart, Message, TextPart, ToolCall
from yandex_compat.messages import content_of
from yandex_compat.tool_calls import call_of

PICTURE = ImagePart("data:,")


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ([], ""),
        ([TextPart("a")], "a"),
        ([PICTURE], (PICTURE,)),
        ([TextPart("a"), TextPart("b")], (TextPart("a"), TextPart("b"))),
        ([TextPart("a"), PICTURE], (TextPart("a"), PICTURE)),
    ],
)
def test_content_is_as_plain_as_its_parts_allow(parts, content):
    assert content_of(iter(parts)) == content


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ((TextPart("a"), ImagePart("data:,"), TextPart("b")), "a\nb"),
        ((ImagePart("data:,"),), ""),
        ((), ""),
    ],
)
def test_text_of_a_message(content, text):
    assert Message("user", content).text == text


def test_a_call_of_a_mapping():
    assert call_of("1", "f", {"a": ["я"]}) == ToolCall("1", "f", '{"a":["я"]}')


def endless() -> dict:
    made: dict = {}
    made["again"] = made
    return made


@pytest.mark.parametrize("arguments", [{"x": object()}, {"x": {1, object()}}, endless()])
def test_a_call_of_what_has_no_json_form_is_refused(arguments):
    with pytest.raises(ConfigurationError, match="'pay' have no JSON form"):
        call_of("1", "pay", arguments)


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", None),
        (" ", None),
        ('{"a": ', None),
        ("[1]", None),
        ("null", None),
    ],
)
def test_arguments_are_parsed_or_none(arguments, parsed):  # D6
    assert ToolCall("1", "f", arguments).parsed_arguments == parsed


@pytest.mark.parametrize("frozen", [Message("user"), ToolCall("1", "f", "{}"), TextPart("a")])
def test_what_was_said_cannot_be_changed(frozen):  # D1
    with pytest.raises(AttributeError):
        setattr(frozen, frozen.__slots__[0], "x")
    assert hash(frozen) == hash(type(frozen)(*(getattr(frozen, name) for name in frozen.__slots__)))
