"""What a server that runs for days keeps: the latest of everything, and no more."""

import asyncio

import pytest

from yandex_compat.emulator.chat_requests import ChatRequest
from yandex_compat.emulator.issued_tokens import IssuedTokens
from yandex_compat.emulator.operations import Operations
from yandex_compat.emulator.refusals import Refused
from yandex_compat.emulator.stored_completions import StoredCompletions

YANDEX = "gpt://test-folder/yandexgpt/latest"


async def test_operations_are_kept_up_to_a_bound():
    operations = Operations()
    first, *_, last = [
        operations.begin({}, None, 0.0, asyncio.Event())["id"] for _ in range(10_001)
    ]
    assert operations.get(last)["id"] == last
    with pytest.raises(Refused):
        operations.get(first)


def test_stored_completions_are_kept_up_to_a_bound():
    stored = StoredCompletions()
    asked = ChatRequest(model=YANDEX, messages=[{"role": "user", "content": "Hi"}])
    for number in range(10_001):
        stored.keep({"id": str(number), "model": YANDEX}, asked)
    kept = stored.fitting(None, {})
    assert (len(kept), kept[0]["id"]) == (10_000, "1")


def test_tokens_that_have_expired_are_forgotten():
    issued = IssuedTokens(lifetime=-1.0)
    for _ in range(5):
        issued.issue()
    assert len(issued._ends) == 1
