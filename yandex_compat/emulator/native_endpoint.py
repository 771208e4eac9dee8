"""``POST …/completion`` and ``…/completionAsync``, ``GET /operations/ID``: check, then answer."""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .answers import Answer, as_json
from .delivery import Delivery, unless_gone
from .families import Family
from .generation import generate, said
from .model_uris import ModelURI, native_family, parse_model_uri
from .native_answers import NativeCompletion
from .native_conversation import check_native_conversation, prompt_tokens
from .native_prompt import native_prompt
from .native_requests import NativeRequest, parse_native
from .prompts import Prompt
from .refusals import refused
from .scripted import body_or_script, raw_delivery
from .scripts import ScriptedAnswer
from .service import Service
from .upstream_requests import body_of_native


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that passed every check."""

    request: NativeRequest
    uri: ModelURI
    family: Family

    @property
    def model(self) -> str:
        return self.uri.name

    @property
    def streamed(self) -> bool:
        return bool(self.request.completionOptions.stream)

    @property
    def limit(self) -> int | None:
        return self.request.limit

    def prompt(self) -> Prompt:
        return native_prompt(self.request)

    def upstream_body(self) -> dict[str, Any]:
        return body_of_native(self.request)

    def dressed(self, answer: Answer, *, ended: bool = True) -> NativeCompletion:
        options = self.request.completionOptions.reasoningOptions
        return NativeCompletion(
            answer,
            prompt_tokens(self.request),
            reasons=options is not None and options.mode == "ENABLED_HIDDEN",
        )


class NativeEndpoint:
    """Native completions for one emulated account."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request) -> Response:
        """Answer one request."""
        asked = await self._asked(request)
        return await generate(self._service, asked, request)

    async def defer(self, request: Request) -> Response:
        """Begin an operation whose result is the answer."""
        asked = await self._asked(request)
        if asked.streamed:
            raise refused(3, "completionOptions.stream must not be set for a deferred completion")
        scripted = self._service.scripts.take(request.url.path)
        script, gate = scripted or (ScriptedAnswer(), asyncio.Event())
        if not isinstance(script, ScriptedAnswer):
            return raw_delivery(script, gate)
        if scripted is None:
            gate.set()
        error = _status(script.error) if script.error_after is not None else None
        if scripted:
            dressed = asked.dressed(script.answer())
        else:
            dressed = asked.dressed(await unless_gone(request, said(self._service, asked)))
        request.scope["state"]["row"].text = None if error else dressed.text
        response = None if error else dressed.result()
        operation = self._service.operations.begin(response, error, script.delay, gate)
        return Delivery([as_json(operation).encode()], "application/json")

    async def operation(self, request: Request) -> Response:
        """Return how an operation stands."""
        self._service.access.check_native(request.headers)
        operation = self._service.operations.get(request.path_params["id"])
        return body_or_script(operation, self._service.scripts, "/operations")

    async def _asked(self, request: Request) -> _Asked:
        raw = await request.body()
        self._service.access.check_native(request.headers)
        parsed = parse_native(NativeRequest, raw)
        uri = parse_model_uri(parsed.modelUri)
        family = native_family(uri)
        self._service.access.check_folder(uri.folder)
        check_native_conversation(parsed, family)
        return _Asked(parsed, uri, family)


def _status(error: Any) -> object:  # noqa: ANN401 -- what a script says
    """Return the error of an operation, which has three words of the gateway's only."""
    if not isinstance(error, dict) or "grpcCode" not in error:
        return error
    return {"code": error["grpcCode"], "message": error["message"], "details": error["details"]}
