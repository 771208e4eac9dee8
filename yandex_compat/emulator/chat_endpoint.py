"""``POST /v1/chat/completions``: check, generate or follow the script, deliver."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from .answers import Answer, as_json
from .chat import Completion, JSONObject, usage_of
from .chat_prompt import prompt_of, prompt_tokens
from .chat_requests import ChatRequest, parse_chat_request
from .conversation import check_conversation
from .delivery import Delivery
from .families import Family
from .model_uris import ModelURI, generation_family, parse_model_uri
from .responder import respond
from .scripted import check_streamed, raw_delivery, scripted_events
from .scripts import ScriptedAnswer
from .service import Service


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that passed every check."""

    request: ChatRequest
    uri: ModelURI
    family: Family

    def completion(self, answer: Answer, script: ScriptedAnswer | None = None) -> Completion:
        """Dress an answer for sending; a script may state the usage itself."""
        request = self.request
        choices = request.n or 1
        usage: JSONObject | None = usage_of(
            answer, prompt_tokens(request), choices, self.family, request.predicted
        )
        if script is not None and script.states_usage:
            usage = script.usage
        model = str(self.uri) if self.family.keeps_folder else self.uri.without_folder()
        top_logprobs = (request.top_logprobs or 0) if request.logprobs else None
        return Completion(
            answer,
            self.family,
            model,
            choices,
            usage,
            top_logprobs=top_logprobs,
            functions=request.functions is not None,
        )


class ChatEndpoint:
    """Chat completions for one emulated account."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request) -> Response:
        """Answer one request."""
        raw = await request.body()
        self._service.access.check(request.headers)
        asked = self._asked(raw)
        finished = self._service.start_generation(asked.uri.name)
        try:
            return self._delivery(asked, request.url.path, finished)
        except BaseException:
            finished()
            raise

    def _asked(self, raw: bytes) -> _Asked:
        request = parse_chat_request(raw, refuse_unsupported=self._service.refuse_unsupported)
        uri = parse_model_uri(request.model)
        family = generation_family(uri)
        self._service.access.check_folder(uri.folder)
        check_conversation(request, family)
        return _Asked(request, uri, family)

    def _delivery(self, asked: _Asked, path: str, finished: Callable[[], None]) -> Delivery:
        scripted = self._service.scripts.take(path)
        if scripted is None:
            answer = respond(prompt_of(asked.request, asked.family))
            return self._deliver(
                asked, asked.completion(answer.limited(asked.request.limit)), finished
            )
        script, gate = scripted
        if not isinstance(script, ScriptedAnswer):
            return raw_delivery(script, gate, finished)
        check_streamed(script, stream=bool(asked.request.stream))
        completion = asked.completion(script.answer(), script)
        return self._deliver(asked, completion, finished, script, gate)

    def _deliver(
        self,
        asked: _Asked,
        completion: Completion,
        finished: Callable[[], None],
        script: ScriptedAnswer | None = None,
        gate: asyncio.Event | None = None,
    ) -> Delivery:
        script = script or ScriptedAnswer()
        if not asked.request.stream:
            body = as_json(completion.body()).encode()
            delay = script.delay or 0.0
            return Delivery([body], "application/json", delay=delay, gate=gate, finished=finished)
        return Delivery(
            scripted_events(script, completion),
            "text/event-stream",
            delay=self._service.chunk_delay if script.delay is None else script.delay,
            gate=gate,
            streamed=True,
            reset=script.close == "reset",
            finished=finished,
        )
