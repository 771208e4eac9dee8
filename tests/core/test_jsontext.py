"""JSON text: what servers send although it is hardly JSON."""

import pytest

from yandex_compat import jsontext
from yandex_compat.jsontext import SurrogateJoiner


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, null, true, "я"]}', {"a": [1, 2.5, None, True, "я"]}),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"\\ud83d"', "\ud83d"),
        ('\ufeff{"a": 1}', {"a": 1}),
        ("12345678901234567890123", 12345678901234567890123),
    ],
)
def test_decodes_text_and_bytes_alike(text, value):  # D1
    assert jsontext.decode(text) == value
    assert jsontext.decode(text.encode()) == value


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "[1,]", "x", '{"a":' * 100_000])
def test_what_is_no_json_is_a_value_error(text):
    for given in (text, text.encode()):
        with pytest.raises(ValueError):  # noqa: PT011 -- any of its kinds
            jsontext.decode(given)


def test_bytes_outside_utf_8_are_a_value_error():
    with pytest.raises(ValueError):  # noqa: PT011
        jsontext.decode(b'"\xff"')


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"a": [1, None, "я"]}, '{"a":[1,null,"я"]}'.encode()),
        ("\ud83d", b'"?"'),
        ({"a": "\ud83d", "b": [1]}, b'{"a":"?","b":[1]}'),
    ],
)
def test_encodes_compactly(value, data):
    assert jsontext.encode(value) == data


@pytest.mark.parametrize("value", [object(), {"a": object()}])
def test_what_has_no_json_form_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        jsontext.encode(value)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("{}", True),
        (' {"a": 1} \n', True),
        ('{"a": "\\ud83d"}', True),
        ('{"a": 1', False),
        ('{"a": {}', False),
        ('{"a": 1}}', False),
        ('{"a": 1} {}', False),
        ("[1]", False),
        ('"}', False),
        ('["}', False),
        ("", False),
        ("null", False),
        ('{"a":' * 100_000 + "}", False),
    ],
)
def test_is_object(text, whole):
    assert jsontext.is_object(text) is whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": "x', {"a": 1, "b": "x"}),
        ('{"a": [1, 2', {"a": [1, 2]}),
        ('{"a": 1}', {"a": 1}),
        ("{", {}),
        ("", {}),
        ("[1", {}),
        ("rubbish", {}),
    ],
)
def test_the_beginning_of_an_object_is_read_as_far_as_it_goes(text, value):
    assert jsontext.decode_beginning(text) == value


@pytest.mark.parametrize("text", ["😀", "a😀b", "😀😀", "я", ""])
def test_halves_are_joined_wherever_they_are_cut(text):
    halves = text.encode("utf-16-le")
    units = [
        halves[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(halves), 2)
    ]
    joiner = SurrogateJoiner()
    given = [joiner.feed(unit) for unit in units]
    assert "".join(given) + joiner.close() == text
    for piece in given:
        piece.encode()


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["\ude00a"], "\ufffda"),
        (["a\ud83d", "b"], "a\ufffdb"),
        (["\ud83d", "\ud83d", "\ude00"], "\ufffd😀"),
        (["\ud83d", "", "\ude00"], "😀"),
        (["\ud83d"], "\ufffd"),
    ],
)
def test_halves_without_their_other_half_are_replaced(pieces, text):  # D1
    joiner = SurrogateJoiner()
    assert "".join([*map(joiner.feed, pieces), joiner.close()]) == text


def test_nothing_is_held_back_once_closed():
    joiner = SurrogateJoiner()
    joiner.feed("a\ud83d")
    assert joiner.close() == "\ufffd"
    assert joiner.close() == ""


def test_a_growing_object_is_told_often_and_decoded_seldom(monkeypatch):
    whole = '{"text": "' + "a" * 20_000 + '"}'
    decoded: list[int] = []

    def counted(text):
        decoded.append(len(text))
        return decode_beginning(text)

    decode_beginning = jsontext.decode_beginning
    monkeypatch.setattr(jsontext, "decode_beginning", counted)
    decoder = jsontext.BeginningDecoder()
    for length in range(1, len(whole) + 1):
        said = decoder.decode(whole[:length]).get("text", "")
        assert len(said) >= (length - 10) * 8 / 9 - 10
    assert sum(decoded) < 10 * len(whole)
    assert decoder.decode('{"a": 1') == {"a": 1}


WHOLE = '{"a": "}{\\"}", "b": {"c": "\\\\"}, "days": 12345}'


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_whole_object_is_told_as_soon_as_it_is(size):
    decoder = jsontext.BeginningDecoder()
    for end in range(size, len(WHOLE), size):
        told = decoder.decode(WHOLE[:end])
        assert told.get("days", 0) in (0, 1, 12, 123, 1234, 12345)
    for rest in ("", " ", "\n"):
        assert decoder.decode(WHOLE + rest) == {"a": '}{"}', "b": {"c": "\\"}, "days": 12345}
    assert decoder.decode(WHOLE[:20])["a"].startswith("}")


def test_braces_inside_a_text_make_nothing_whole(monkeypatch):
    """A text of braces would else be decoded anew with each of them."""
    given: list[int] = []
    real = jsontext.decode_beginning
    monkeypatch.setattr(
        jsontext, "decode_beginning", lambda text: given.append(len(text)) or real(text)
    )
    decoder, text = jsontext.BeginningDecoder(), '{"code": "' + "}" * 3_000
    for end in range(len(text)):
        decoder.decode(text[:end])
    assert sum(given) < 12 * len(text)


@pytest.mark.parametrize("text", ['{"a": "\ud83d"}', '{"a": "\ud83d'])
def test_half_a_character_is_no_error_of_another_kind(text):
    assert jsontext.decode_beginning(text).get("a", "\ud83d") == "\ud83d"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    "text",
    [WHOLE, WHOLE + " \n", " {}", "{}x", "{} {}", "[{}]", "}{", '{"a": [}', '{"a": "\\', "", "7"],
)
def test_a_growing_text_tells_whether_it_is_an_object(text, size):
    growing = jsontext.GrowingText()
    for end in range(size, len(text) + size, size):
        growing.add(text[end - size : end])
        assert growing.is_object is jsontext.is_object(text[:end])
    assert (growing.text, growing.length) == (text, len(text))
    assert growing.is_blank is (not text.strip())


def test_a_growing_text_is_decoded_once(monkeypatch):
    """Braces in its strings, and after its end, would else have it decoded with each of them."""
    given: list[int] = []
    real = jsontext.decode
    monkeypatch.setattr(jsontext, "decode", lambda text: given.append(len(text)) or real(text))
    for text in ('{"code": "' + "}" * 2_000 + '"}', "{}" * 2_000):
        growing = jsontext.GrowingText()
        for sign in text:
            growing.add(sign)
            growing.is_object  # noqa: B018
    assert len(given) == 2


@pytest.mark.parametrize("depth", [250, 900, *range(980, 1_000), 5_000])
def test_what_is_nested_too_deeply_to_encode_is_a_value_error(depth):
    value: object = "\ud83d"  # of which pydantic_core makes nothing
    for _ in range(depth):
        value = [value]
    try:
        assert jsontext.encode(value) == b"[" * depth + b'"?"' + b"]" * depth
    except ValueError:
        assert depth > 900
