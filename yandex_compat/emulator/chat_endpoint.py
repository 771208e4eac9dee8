"""``POST /v1/chat/completions``: check the request, answer it, keep what is to be stored."""

from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .answers import Answer
from .chat import Completion, new_id, now, usage_of
from .chat_prompt import prompt_of, prompt_tokens
from .chat_requests import ChatRequest, parse_chat_request
from .conversation import check_conversation
from .families import Family
from .generation import generate
from .model_uris import ModelURI, generation_family, parse_model_uri
from .prompts import Prompt
from .service import Service
from .stored_completions import StoredCompletions
from .upstream_requests import body_of_chat


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that passed every check."""

    request: ChatRequest
    uri: ModelURI
    family: Family
    stored: StoredCompletions
    id: str = field(default_factory=new_id)
    created: int = field(default_factory=now)

    @property
    def model(self) -> str:
        return self.uri.name

    @property
    def streamed(self) -> bool:
        return bool(self.request.stream)

    @property
    def limit(self) -> int | None:
        return self.request.limit

    def prompt(self) -> Prompt:
        return prompt_of(self.request, self.family)

    def upstream_body(self) -> dict[str, Any]:
        return body_of_chat(self.request, self.family)

    def dressed(self, answer: Answer, *, ended: bool = True) -> Completion:
        request = self.request
        choices = request.n or 1
        usage = answer.usage
        if usage is None:
            given = prompt_tokens(request)
            usage = usage_of(answer, given, choices, self.family, request.predicted)
        model = str(self.uri) if self.family.keeps_folder else self.uri.without_folder()
        top_logprobs = (request.top_logprobs or 0) if request.logprobs else None
        completion = Completion(
            answer,
            self.family,
            model,
            choices,
            usage,
            top_logprobs=top_logprobs,
            functions=request.functions is not None,
            id=self.id,
            created=self.created,
        )
        if request.store and ended:
            self.stored.keep(completion.body(), request)
        return completion


class ChatEndpoint:
    """Chat completions for one emulated account."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def create(self, request: Request) -> Response:
        """Answer one request."""
        raw = await request.body()
        self._service.access.check(request.headers)
        return await generate(self._service, self._asked(raw), request)

    def _asked(self, raw: bytes) -> _Asked:
        request = parse_chat_request(raw, refuse_unsupported=self._service.refuse_unsupported)
        uri = parse_model_uri(request.model)
        family = generation_family(uri)
        self._service.access.check_folder(uri.folder)
        check_conversation(request, family)
        return _Asked(request, uri, family, self._service.stored)
