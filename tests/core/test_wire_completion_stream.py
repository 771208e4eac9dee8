"""Streamed native answers: JSON lines of whole texts so far, cut at every byte, and broken."""

import itertools
import json
from collections.abc import Iterable

import pytest

from yandex_compat import (
    Accumulator,
    APIError,
    Completion,
    CompletionRequest,
    Delta,
    MalformedAnswer,
    Message,
    RateLimitError,
    StreamInterrupted,
    Tool,
    ToolCall,
    Usage,
    framing,
)
from yandex_compat.wires.completion import StreamDecoder

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
ASKED = CompletionRequest("yandexgpt", (Message("user", "Hi"),), tools=(Tool("f", "", SCHEMA),))


def line(
    text: str | None,
    status: str = "PARTIAL",
    tokens: int = 1,
    *,
    bare: bool = False,
    **more: object,
) -> bytes:
    message = {"role": "assistant", **({} if text is None else {"text": text}), **more}
    body = {
        "alternatives": [{"message": message, "status": f"ALTERNATIVE_STATUS_{status}"}],
        "usage": {
            "inputTextTokens": "9",
            "completionTokens": str(tokens),
            "totalTokens": str(9 + tokens),
            "completionTokensDetails": {},
        },
        "modelVersion": "09.02.2025",
    }
    return json.dumps(body if bare else {"result": body}).encode() + b"\n"


def calls(*functions: tuple[str, dict]) -> dict:
    made = [{"functionCall": {"name": name, "arguments": words}} for name, words in functions]
    return {"toolCallList": {"toolCalls": made}}


def decoder(asked: CompletionRequest = ASKED) -> StreamDecoder:
    numbers = itertools.count(1)
    return StreamDecoder(asked, mint=lambda: f"minted-{next(numbers)}")


def read(*parts: bytes) -> list[Delta]:
    decoding = decoder()
    deltas = [delta for part in parts for delta in decoding.feed(part)]
    return deltas + decoding.close()


def total(deltas: Iterable[Delta]) -> Completion:
    folded = Accumulator()
    for delta in deltas:
        folded.add(delta)
    return folded.completion()


PLAIN = line("Один") + line("Один два", tokens=2) + line("Один два.", "FINAL", 3)
TOOLS = line("Let me see") + line(None, "TOOL_CALLS", **calls(("f", {"n": 1.0}), ("f", {"n": 2.0})))
STREAMS = {
    "plain": (PLAIN, "Один два.", "stop"),
    "bare": (line("a", bare=True) + line("ab", "FINAL", bare=True), "ab", "stop"),
    "cut": (line("Один") + line("Один два", "TRUNCATED_FINAL"), "Один два", "length"),
    "filtered": (line("Один два") + line("Нельзя", "CONTENT_FILTER"), "Нельзя", "content_filter"),
    "corrected": (
        line("Один дав") + line("Один два") + line("Один два.", "FINAL"),
        "Один два.",
        "stop",
    ),
    "tools": (TOOLS, "Let me see", "tool_calls"),
    "one line": (line("Всё", "FINAL"), "Всё", "stop"),
    "emoji": (line("a \U0001f600") + line("a \U0001f600!", "FINAL"), "a \U0001f600!", "stop"),
    "unicode line ends": (line("a\u2028b\x85c", "FINAL"), "a\u2028b\x85c", "stop"),
    "crlf": (PLAIN.replace(b"\n", b"\r\n"), "Один два.", "stop"),
    "blank lines": (b"\n\r\n" + PLAIN.replace(b"\n", b"\n\n"), "Один два.", "stop"),
    "no last line end": (PLAIN[:-1], "Один два.", "stop"),
    "unknown status": (line("Да", "SOMETHING_NEW"), "Да", "ALTERNATIVE_STATUS_SOMETHING_NEW"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_adds_up_wherever_it_is_cut(name):
    data, text, reason = STREAMS[name]
    expected = total(read(data))
    assert (expected.text, expected.finish_reason) == (text, reason)
    for at in range(len(data) + 1):
        assert total(read(data[:at], data[at:])) == expected
    assert total(read(*(bytes([byte]) for byte in data))) == expected


def test_deltas_are_what_was_added():  # WIRE B6
    assert [delta.text for delta in read(PLAIN)] == ["Один", " два", ".", ""]


def test_the_end_is_told_once():
    deltas = read(PLAIN)
    [end] = [delta.final for delta in deltas if delta.final]
    assert deltas[-1].final is end
    assert end.usage == Usage(9, 3, 12)  # the last, not the sum
    assert end.model_version == "09.02.2025"
    assert end.finish_reason == "stop"


def test_a_final_status_ends_it_at_once():
    decoding = decoder()
    assert not decoding.feed(line("a"))[-1].final
    assert not decoding.done
    assert not decoding.ended
    assert decoding.feed(line("ab", "FINAL"))[-1].final
    assert decoding.done
    assert decoding.feed(line("abc", "FINAL") + b"garbage\n") == []
    assert decoding.close() == []


def test_calls_come_whole_with_ids_and_integers():  # WIRE B3, B4
    told = total(read(TOOLS))
    assert told.tool_calls == (
        ToolCall("minted-1", "f", '{"n":1}'),
        ToolCall("minted-2", "f", '{"n":2}'),
    )


def test_calls_that_every_line_repeats_are_told_once():
    repeated = calls(("f", {"n": 1.0}))
    data = line(None, **repeated) + line(None, "TOOL_CALLS", **repeated)
    assert total(read(data)).tool_calls == (ToolCall("minted-1", "f", '{"n":1}'),)


def test_calls_stand_although_the_last_line_has_a_text():
    data = line(None, **calls(("f", {}))) + line("Done", "FINAL")
    told = total(read(data))
    assert told.text == "Done"
    assert [call.name for call in told.tool_calls] == ["f"]


@pytest.mark.parametrize("reason", ["CONTENT_FILTER", "FINAL"])
@pytest.mark.parametrize(
    ("first", "added", "replaced"),
    [
        ("", "Нельзя", False),
        ("Не", "льзя", False),
        ("Один", "Нельзя", True),
    ],
)
def test_a_text_that_does_not_go_on_from_the_one_before_replaces_it(
    first, added, replaced, reason
):  # WIRE B7, D10
    deltas = read(line(first) + line("Нельзя", reason))
    assert total(deltas).text == "Нельзя"
    last = deltas[-2]
    assert (last.text, last.replaces_text) == (added, replaced)
    assert last.filtered is (reason == "CONTENT_FILTER")


def test_half_a_character_waits_for_the_other():
    data = line("a?").replace(b"?", b"\\ud83d")
    deltas = read(data + line("a\U0001f600", "FINAL"))
    assert [delta.text for delta in deltas] == ["a", "\U0001f600", ""]
    lost = data.replace(b"PARTIAL", b"FINAL")
    assert total(read(lost)).text == "a\ufffd"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", ""),
        (b"\n", ""),
        (line("Один"), "Один"),
        (line("Один") + b'{"result":{"alt', "Один"),
        (line("Один") + b'{"result":{}}', "Один"),
    ],
)
def test_a_stream_without_a_final_status_is_interrupted(data, said):  # D10
    with pytest.raises(StreamInterrupted) as raised:
        read(data)
    assert raised.value.partial.text == said
    assert raised.value.retryable


@pytest.mark.parametrize("calls", [[1], [{}], [{"functionCall": {"name": 1}}], {"a": 1}, 1])
def test_calls_of_another_shape_under_an_unknown_status_are_malformed(calls):
    """Such an answer ends with its body, when its calls are read."""
    data = line(None, "SOMETHING_NEW", toolCallList={"toolCalls": calls})
    with pytest.raises(MalformedAnswer, match="another shape"):
        read(data)


@pytest.mark.parametrize("page", [b"<html>502</html>", b"<html>\n<b>502</b>", b"\xef\xbb\xbfoops"])
def test_a_body_that_is_no_stream_is_malformed(page):
    with pytest.raises(MalformedAnswer, match=r"'(<html>|oops)"):
        read(page)
    with pytest.raises(StreamInterrupted):
        read(line("Один"), b"<html>")


def test_text_before_a_line_too_large_is_given_out_first(monkeypatch):
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 400)
    large = line("x" * 400)
    decoding = decoder()
    assert decoding.feed(line("a") + large) == [Delta("a")]
    for refused in (lambda: decoding.feed(b""), decoding.close, lambda: decoder().feed(large)):
        with pytest.raises(MalformedAnswer, match="larger than 400 bytes"):
            refused()
    assert read(line("a", "FINAL") + large, large)[-1].final


def test_every_shorter_beginning_is_interrupted_with_what_came():
    for at in range(len(PLAIN) - 1):
        with pytest.raises(StreamInterrupted) as raised:
            read(PLAIN[:at])
        # A line counts as soon as its JSON is whole, be its end there or not.
        lines = PLAIN[: at + 1].count(b"\n")
        assert raised.value.partial.text == ("", "Один", "Один два")[lines]


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (b'{"error":{"grpcCode":8,"httpCode":429,"message":"quota"}}\n', RateLimitError),
        (b'{"error":"broken"}\n', APIError),
        (b"<html>502</html>\n", MalformedAnswer),
        (b"[]\n", MalformedAnswer),
        (
            line("a", **calls(("f", {}))).replace(b'"f"', b"5").replace(b"PARTIAL", b"FINAL"),
            MalformedAnswer,
        ),
    ],
)
def test_an_error_comes_after_what_was_said_before_it(broken, kind):  # WIRE C
    decoding = decoder()
    assert [delta.text for delta in decoding.feed(line("Один") + broken)] == ["Один"]
    with pytest.raises(kind):
        decoding.feed(b"")
    with pytest.raises(kind):
        decoder().feed(broken)


def test_lines_without_alternatives_bring_usage():
    usage = b'{"result":{"usage":{"inputTextTokens":"1","completionTokens":"2"}}}\n'
    decoding = decoder()
    assert decoding.feed(line("a") + usage)[-1].text == "a"
    bare = line("ab", "FINAL").replace(b'"usage"', b'"other"').replace(b"modelVersion", b"other2")
    end = decoding.feed(bare)[-1].final
    assert end.usage == Usage(1, 2, 3)
    assert end.model_version == "09.02.2025"


def test_work_is_linear_in_the_bytes_received(monkeypatch):
    """Each line is decoded once; how often its text is compared is not counted here."""
    read_bytes: list[int] = []
    from yandex_compat.wires import values

    real = values.jsontext.decode
    monkeypatch.setattr(
        values.jsontext, "decode", lambda data: read_bytes.append(len(data)) or real(data)
    )
    data = b"".join(line("слово " * n) for n in range(1, 200)) + line("слово " * 200, "FINAL")
    pieces = [data[at : at + 777] for at in range(0, len(data), 777)]
    assert total(read(*pieces)).text == "слово " * 200
    assert sum(read_bytes) == len(data) - data.count(b"\n")


def test_a_filter_that_says_nothing_withdraws_the_text_all_the_same():  # WIRE B7
    told = read(line("bad words") + line(None, "CONTENT_FILTER"))
    assert [(delta.text, delta.replaces_text) for delta in told][1] == ("", True)
    assert total(told).text == ""


def test_an_unspecified_status_is_none():  # WIRE B9
    with pytest.raises(StreamInterrupted):
        read(line("a", "UNSPECIFIED"))
    assert total(read(line("a", "UNSPECIFIED") + line("ab", "FINAL"))).text == "ab"


def test_calls_go_with_the_text_that_a_filter_withdraws():  # WIRE B7
    told = total(read(line(None, **calls(("f", {"n": 1}))) + line("No.", "CONTENT_FILTER")))
    assert (told.text, told.tool_calls) == ("No.", ())


def test_a_call_cut_before_its_arguments_is_no_call_without_any():  # D6
    bare = {"toolCallList": {"toolCalls": [{"functionCall": {"name": "f"}}]}}
    assert total(read(line(None, "TRUNCATED_FINAL", **bare))).tool_calls[0].arguments == ""
    assert total(read(line(None, "TOOL_CALLS", **bare))).tool_calls[0].arguments == "{}"


@pytest.mark.parametrize("status", ["PARTIAL", "FINAL", "TRUNCATED_FINAL"])
def test_a_line_without_a_text_takes_none_back(status):
    data = line("a") + line(None, status) + (line("a", "FINAL") if status == "PARTIAL" else b"")
    assert total(read(data)).text == "a"
