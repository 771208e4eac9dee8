"""README's table of the references: complete by what the emulator takes and tells, and true."""

import re
from pathlib import Path
from runpy import run_path

import pytest
from starlette.routing import Route

import yandex_compat
from yandex_compat import CompletionRequest, Message, UnsupportedError
from yandex_compat.emulator import chat, messages, native_answers, native_requests
from yandex_compat.emulator.access import Access
from yandex_compat.emulator.answers import Answer, Call
from yandex_compat.emulator.app import create_app
from yandex_compat.emulator.chat_requests import ChatRequest
from yandex_compat.emulator.families import FAMILIES
from yandex_compat.emulator.service import Service
from yandex_compat.emulator.stored_completions import _Query
from yandex_compat.parameters import request_from_words
from yandex_compat.settings import Settings
from yandex_compat.stored import StoredCompletions

ROWS = run_path(str(Path(__file__).parent / "reference_rows.py"))
OWNERS = {name: getattr(yandex_compat, name) for name in yandex_compat.__all__ if name[0].isupper()}
OWNERS["StoredCompletions"] = StoredCompletions


def test_every_endpoint_has_a_row():
    app = create_app(Service(Access(("k",), ("f",), ("t",))))
    served = {
        f"{method} {route.path.removeprefix('/v1').removeprefix('/foundationModels/v1')}"
        for route in app.routes
        if isinstance(route, Route) and not route.path.startswith("/_")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert set(ROWS["ENDPOINTS"]) == served


def test_every_field_of_a_chat_request_has_a_row():
    assert set(ROWS["CHAT_REQUEST"]) == set(ChatRequest.model_fields)
    kinds = [
        messages.InstructionMessage, messages.UserMessage, messages.AssistantMessage,
        messages.ToolMessage, messages.FunctionMessage,
    ]  # fmt: skip
    assert set(ROWS["CHAT_MESSAGES"]) == {word for kind in kinds for word in kind.model_fields}


def test_every_word_of_a_list_has_a_row():
    assert set(ROWS["LIST_QUERY"]) == {*_Query.model_fields, "metadata"}


def test_every_field_of_a_native_request_has_a_row():
    opened = {
        "completionOptions": native_requests.CompletionOptions,
        "messages": native_requests.Message,
    }
    fields = set()
    for word in native_requests.NativeRequest.model_fields:
        inner = opened.get(word)
        fields |= {f"{word}.{part}" for part in inner.model_fields} if inner else {word}
    assert set(ROWS["NATIVE_REQUEST"]) == fields


def flattened(body, *opened):
    found = set()
    for word, value in body.items():
        if word in opened:
            found |= {f"{word}.{part}" for part in value if part != "role"}
        else:
            found.add(word)
    return found


def test_every_field_that_the_emulator_answers_with_has_a_row():
    answer = Answer(
        "text", "thoughts", (Call("f", "{}"),), refusal="no", annotations=({},), audio={},
        service_tier="flex",
    )  # fmt: skip
    family = FAMILIES["gpt-oss-120b"]
    told = set()
    for functions in (False, True):
        body = chat.Completion(answer, family, "m", usage={"a": 1}, functions=functions).body()
        [choice] = body["choices"]
        told |= set(body) | flattened(choice, "message") - {"index"}
    # No recording of the service has it (WIRE A16), so the emulator does not tell it.
    assert set(ROWS["CHAT_ANSWER"]) == told | {"system_fingerprint"}
    native = set()
    for each in (Answer("text"), answer):
        result = native_answers.NativeCompletion(each, 5).result()
        [alternative] = result["alternatives"]
        native |= set(result) | flattened(alternative, "message")
    assert set(ROWS["NATIVE_ANSWER"]) == native


def test_every_field_of_a_page_has_a_row(emulator):
    import httpx

    headers = {"Authorization": "Api-Key test-key"}
    page = httpx.get(f"{emulator.chat_url}/chat/completions", headers=headers).json()
    assert set(ROWS["LIST_ANSWER"]) == set(page)


PLACES = [
    (part, field, place) for part, rows in ROWS["PARTS"].items() for field, place in rows.items()
]


@pytest.mark.parametrize(("part", "field", "place"), PLACES)
def test_what_a_row_names_is_there(part, field, place):
    if place.startswith("refused"):
        with pytest.raises(UnsupportedError, match=field):
            request_from_words("m", (Message("user", "Hi"),), {field: {"a": 1}})
        return
    if place.startswith(("not told", "not sent")):
        return
    named = re.findall(r"`([\w.]+)`", place.split(":")[0])
    assert named
    for name in named:
        owner, _, member = name.rpartition(".")
        known = [OWNERS[owner]] if owner else [CompletionRequest, Settings]
        assert any(
            member in getattr(one, "__dataclass_fields__", ()) or hasattr(one, member)
            for one in known
        ), name
