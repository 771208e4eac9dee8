"""The table of the references: complete by what the emulator takes and tells, and true."""

import re
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path
from typing import get_args

import pytest
from pydantic import BaseModel
from starlette.routing import Route

import yandex_compat
from yandex_compat import CompletionRequest, Message, UnsupportedError
from yandex_compat.emulator import chat, native_answers, native_requests
from yandex_compat.emulator.access import Access
from yandex_compat.emulator.answers import Answer, Call
from yandex_compat.emulator.app import create_app
from yandex_compat.emulator.chat_requests import ChatRequest
from yandex_compat.emulator.families import FAMILIES
from yandex_compat.emulator.service import Service
from yandex_compat.emulator.stored_completions import _Query
from yandex_compat.parameters import request_from_words
from yandex_compat.settings import Settings
from yandex_compat.stored import StoredCompletions, StoredQuery

ROWS = run_path(str(Path(__file__).parent / "reference_rows.py"))
OWNERS = {name: getattr(yandex_compat, name) for name in yandex_compat.__all__ if name[0].isupper()}
OWNERS["StoredCompletions"] = StoredCompletions


def test_every_endpoint_has_a_row():
    app = create_app(Service(Access(("k",), ("f",), ("t",))))
    served = {
        f"{method} {route.path.removeprefix('/v1').removeprefix('/foundationModels/v1')}"
        for route in app.routes
        if isinstance(route, Route) and not route.path.startswith(("/_", "/iam", "/computeM"))
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert set(ROWS["ENDPOINTS"]) == served


def leaves(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The dotted path of every field that a model of the emulator takes."""
    for word, described in model.model_fields.items():
        yield from opened(described.annotation, f"{path}{described.alias or word}")


def opened(kind: object, path: str) -> Iterator[str]:
    models = [*models_in(kind)]
    plain = [one for one in get_args(kind) if not [*models_in(one)] and one is not type(None)]
    if plain or not models:
        yield path
    for model in models:
        yield from leaves(model, f"{path}.")


def models_in(kind: object) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from models_in(part)


def told(body: object, path: str, whole: set[str]) -> Iterator[str]:
    """The dotted path of every value in a body, but of those that are handed on as they came."""
    if isinstance(body, list):
        for part in body:
            yield from told(part, path, whole)
    elif isinstance(body, dict) and path not in whole:
        for word, value in body.items():
            yield from told(value, f"{path}.{word}" if path else word, whole)
    else:
        yield path


def test_every_field_of_a_chat_request_has_a_row():
    taken = set(leaves(ChatRequest))
    assert {"tools.function.strict", "messages.content", "messages.content.text"} <= taken
    assert set(ROWS["CHAT_REQUEST"]) == taken


def test_every_word_of_a_list_has_a_row():
    words = set(StoredQuery.__annotations__)
    assert set(ROWS["LIST_QUERY"]) == {*_Query.model_fields, "metadata"} == words


def test_every_field_of_a_native_request_has_a_row():
    assert set(ROWS["NATIVE_REQUEST"]) == set(leaves(native_requests.NativeRequest))


USAGE = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "prompt_tokens_details": {"audio_tokens": 1, "cached_tokens": 1},
    "completion_tokens_details": {
        "accepted_prediction_tokens": 1,
        "rejected_prediction_tokens": 1,
        "audio_tokens": 1,
        "reasoning_tokens": 1,
    },
}  # WIRE A16


def test_every_field_that_the_emulator_answers_with_has_a_row():
    cited = {"start_index": 0, "end_index": 4, "url": "http://h.test", "title": "T"}
    answer = Answer(
        "text", "thoughts", (Call("f", '{"a": 1}'), Call("g", "free", custom=True)), refusal="no",
        annotations=({"type": "url_citation", "url_citation": cited},), audio={"id": "1"},
        service_tier="flex",
    )  # fmt: skip
    family = FAMILIES["gpt-oss-120b"]
    whole = {"choices.message.audio", "choices.logprobs"}
    found = set()
    for functions in (False, True):
        body = chat.Completion(answer, family, "m", usage=USAGE, functions=functions).body()
        found |= set(told(body, "", whole))
    # No recording of the service has it (WIRE A16), so the emulator does not tell it.
    assert set(ROWS["CHAT_ANSWER"]) == found | {"system_fingerprint"}
    native = set()
    for each in (Answer("text"), Answer(calls=(Call("f", '{"a": 1}'),))):
        result = native_answers.NativeCompletion(each, 5, reasons=True).result()
        arguments = "alternatives.message.toolCallList.toolCalls.functionCall.arguments"
        native |= set(told(result, "", {arguments}))
    # The reference has it in every message, and no answer can.
    assert set(ROWS["NATIVE_ANSWER"]) == native | {"alternatives.message.toolResultList"}


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
        with pytest.raises(UnsupportedError, match=field.split(".")[0]):
            request_from_words("m", (Message("user", "Hi"),), {field.split(".")[0]: {"a": 1}})
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
