"""An OpenAI-compatible server that speaks in the responder's place: Ollama, vLLM, llama.cpp."""

import ipaddress
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from .answers import Answer
from .refusals import refused
from .upstream_answers import Growing, Piece, answer_of
from .upstream_failures import broken_off, not_understood, refusal_of, unreachable

JSONObject = dict[str, Any]
_TIMEOUT = httpx.Timeout(600.0, connect=10.0)  # seconds; a model on a small machine takes its time
_NO_TOKENIZER = (400, 404, 405, 422, 501)  # a server of another kind, or with other words


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the upstream's own tokenizer."""

    id: int
    text: str


class Upstream:
    """A server at ``url``, the root of its chat API, such as ``http://127.0.0.1:11434/v1``.

    Without a ``model``, it is the only one that the server lists. Every failure is raised as
    ``Refused``, in the service's words; ``key`` stands in none of them. Bodies are those of chat
    requests without a model.
    """

    def __init__(self, url: str, model: str | None = None, key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._key = key
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=_TIMEOUT,
            # No proxy of the environment can reach this machine.
            trust_env=not _is_loopback(httpx.URL(url).host),
        )

    async def complete(self, body: JSONObject) -> Answer:
        """Return the whole answer."""
        asked = await self._named(body)
        async with self._reached():
            response = await self._client.post(f"{self._url}/chat/completions", json=asked)
        self._check(response.status_code, response.content)
        payload = self._parsed(response.content)
        self._check_error(payload, response.content)
        return answer_of(self._url, payload)

    async def stream(self, body: JSONObject) -> AsyncGenerator[Piece | Answer, None]:
        """Yield the pieces of an answer as they come, and at last the whole of it."""
        asked = await self._named(body)
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
        growing, ended = Growing(self._url), False
        async with (
            self._reached(),
            self._client.stream("POST", f"{self._url}/chat/completions", json=asked) as response,
        ):
            if not response.is_success:
                self._check(response.status_code, await response.aread())
            async for data in _events(response):
                if ended := data == b"[DONE]":
                    break
                payload = self._parsed(data)
                self._check_error(payload, data)
                piece = growing.add(payload)
                if piece.text or piece.reasoning:
                    yield piece
        if not (ended or growing.finish_reason):
            raise broken_off(self._url)
        yield growing.answer()

    async def tokens(self, text: str) -> list[Token] | None:
        """Return the tokens of a text; None if the server has no tokenizer like llama.cpp's."""
        told = await self._told("tokenize", {"content": text, "with_pieces": True})
        try:
            return [Token(one["id"], _text(one["piece"])) for one in told["tokens"]]
        except (LookupError, TypeError):  # vLLM's has other words
            return None

    async def prompt(self, body: JSONObject) -> str | None:
        """Return a conversation as the model reads it; None as above."""
        told = await self._told("apply-template", body)
        prompt = told.get("prompt")
        return prompt if isinstance(prompt, str) else None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _told(self, path: str, body: JSONObject) -> JSONObject:
        """Return what llama.cpp's own endpoints answer, nothing where there are none."""
        async with self._reached():
            url = f"{self._url.removesuffix('/v1')}/{path}"
            response = await self._client.post(url, json=body)
        if response.status_code in _NO_TOKENIZER:
            return {}
        self._check(response.status_code, response.content)
        return self._parsed(response.content)

    async def _named(self, body: JSONObject) -> JSONObject:
        if self._model is None:
            self._model = await self._only_model()
        return {"model": self._model, **body}

    async def _only_model(self) -> str:
        async with self._reached():
            response = await self._client.get(f"{self._url}/models")
        self._check(response.status_code, response.content)
        listed = self._parsed(response.content).get("data")
        rows = listed if isinstance(listed, list) else []
        names = [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]
        if len(names) == 1:
            return names[0]
        which = f"one of {', '.join(names)}" if names else "the name of its model"
        raise refused(13, f"The upstream {self._url} does not tell its model: give "
                          f"--upstream-model {which}")  # fmt: skip

    def _check(self, status: int, said: bytes) -> None:
        if not 200 <= status < 300:
            raise refusal_of(self._url, status, said, self._key)

    def _check_error(self, payload: JSONObject, said: bytes) -> None:
        """Refuse an error that comes with a good status; some servers send null for none."""
        if error := payload.get("error"):
            self._check(_status(error), said)

    def _parsed(self, raw: bytes) -> JSONObject:
        try:
            payload = json.loads(raw)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            raise not_understood(self._url, "no JSON object")
        return payload

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise unreachable(self._url, error) from None


async def _events(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the data of server-sent events, each of which stands in one line here."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line.removeprefix(b"data:").strip()


def _status(error: object) -> int:
    """Return the status that an error inside a stream stands for."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _text(piece: object) -> str:
    # A piece that is no text of its own, half an emoji, comes as the numbers of its bytes.
    return bytes(piece).decode(errors="replace") if isinstance(piece, list) else str(piece)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
