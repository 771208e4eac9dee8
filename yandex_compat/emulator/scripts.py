"""Scripts: what the emulator is told to answer next, for tests of particular answers."""

import asyncio
from collections import deque
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from .answers import Answer, Call, FinishReason, as_json
from .messages import Strict
from .refusals import gateway_error

_NATIVE = "/foundationModels/v1"
METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
GENERATION_PATHS = (
    "/v1/chat/completions",
    f"{_NATIVE}/completion",
    f"{_NATIVE}/completionAsync",
)
_PATHS = (
    *GENERATION_PATHS,
    "/v1/embeddings",
    "/v1/models",
    f"{_NATIVE}/textEmbedding",
    f"{_NATIVE}/tokenize",
    f"{_NATIVE}/tokenizeCompletion",
    "/operations",
    "/iam/v1/tokens",
    METADATA_PATH,
)


def _known(path: str | None) -> str | None:
    if path is not None and path not in _PATHS:
        raise ValueError(f"nothing is served at {path}: take one of {', '.join(_PATHS)}")
    return path


class _Scripted(Strict):
    """What every kind of script may say: for which path, how slowly, held until released.

    Without a ``path``, it is for the next generation, whichever API is asked for it. That of all
    operations is ``/operations``.
    """

    path: Annotated[str | None, AfterValidator(_known)] = None
    delay: Annotated[float, Field(ge=0)] | None = None
    gate: bool = False


class ScriptedCall(Strict):
    """A tool call; ``arguments`` as an object, or as the text to be sent as it is."""

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)
    id: str | None = None
    custom: bool = False

    def call(self) -> Call:
        """Return the call as a model makes it."""
        text = self.arguments if isinstance(self.arguments, str) else as_json(self.arguments)
        return Call(self.name, text, self.id, self.custom)


class Citation(Strict):
    """Where a part of an answer comes from (WIRE A16)."""

    start_index: int
    end_index: int
    url: str
    title: str


class Annotation(Strict):
    """What stands beside an answer's text."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: Citation


class Audio(Strict):
    """An answer in sound; ``data`` is base64."""

    id: str
    expires_at: int
    data: str
    transcript: str


class ScriptedAnswer(_Scripted):
    """What the model says; it is sent in the family's shapes.

    ``usage`` null means none. A stream ends after ``cut_after`` events, or goes on with
    ``error`` after ``error_after`` events.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ScriptedCall] = Field(default_factory=list)
    finish_reason: FinishReason | None = None
    usage: dict[str, Any] | None = None
    refusal: str | None = None
    replaced_by: str | None = None
    annotations: list[Annotation] = Field(default_factory=list)
    audio: Audio | None = None
    service_tier: str | None = None
    cut_after: Annotated[int, Field(ge=0)] | None = None
    error_after: Annotated[int, Field(ge=0)] | None = None
    error: Any = Field(default_factory=lambda: gateway_error(13, "Internal error"))
    close: Literal["clean", "reset"] = "clean"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.path not in (None, *GENERATION_PATHS):
            raise ValueError(f"no model answers at {self.path}: script a status or chunks")
        if self.replaced_by is not None and self.finish_reason != "content_filter":
            raise ValueError("replaced_by goes with finish_reason content_filter")
        if self.cut_after is not None and self.error_after is not None:
            raise ValueError("cut_after and error_after exclude each other")
        return self

    @property
    def needs_stream(self) -> bool:
        """Whether the script makes sense for streams only."""
        cut = self.cut_after is not None or self.error_after is not None
        return cut or self.close == "reset"

    def answer(self) -> Answer:
        """Return the answer as the responder would."""
        calls = tuple(call.call() for call in self.tool_calls)
        reason = self.finish_reason or ("tool_calls" if calls else "stop")
        return Answer(
            self.text,
            self.reasoning,
            calls,
            reason,
            self.refusal,
            self.replaced_by,
            tuple(annotation.model_dump() for annotation in self.annotations),
            self.audio.model_dump() if self.audio else None,
            self.service_tier,
            (self.usage or {}) if "usage" in self.model_fields_set else None,
        )


class ScriptedStatus(_Scripted):
    """A whole HTTP answer: a JSON body for an object, a string as it is."""

    status: Annotated[int, Field(ge=200, le=599)]
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = ""


class ScriptedStream(_Scripted):
    """Raw bytes of a stream, given as text; ``delay`` seconds lie between the chunks."""

    chunks: list[str]
    content_type: str = "text/event-stream"
    close: Literal["clean", "reset"] = "clean"


Script = ScriptedAnswer | ScriptedStatus | ScriptedStream


def parse_script(answer: dict[str, Any]) -> Script:
    """Validate one answer of a script; its keys say of which kind it is."""
    if "status" in answer:
        return ScriptedStatus.model_validate(answer)
    if "chunks" in answer:
        return ScriptedStream.model_validate(answer)
    return ScriptedAnswer.model_validate(answer)


class _Posted(Strict):
    answers: list[dict[str, Any]]


def parse_posted(raw: bytes) -> list[dict[str, Any]]:
    """Return the answers of a body posted to ``/_script``, not yet validated."""
    return TypeAdapter(_Posted).validate_json(raw).answers


class ScriptQueue:
    """The scripted answers that were not given yet, and the gates that hold some back."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Script, asyncio.Event]] = deque()
        self._gates: deque[asyncio.Event] = deque()

    def add(self, *answers: dict[str, Any]) -> None:
        """Queue answers, all or none of them."""
        for script in [parse_script(answer) for answer in answers]:
            gate = asyncio.Event()
            self._waiting.append((script, gate))
            if script.gate:
                self._gates.append(gate)
            else:
                gate.set()

    def take(self, path: str) -> tuple[Script, asyncio.Event] | None:
        """Return the next answer for a path with its gate."""
        wanted = (path, None) if path in GENERATION_PATHS else (path,)
        found = next((entry for entry in self._waiting if entry[0].path in wanted), None)
        if found is not None:
            self._waiting.remove(found)
        return found

    def release(self) -> None:
        """Open the oldest gate that is still closed, waited at or not yet."""
        if self._gates:
            self._gates.popleft().set()

    def clear(self) -> None:
        """Forget what was not given yet and let go what is held back."""
        self._waiting.clear()
        while self._gates:
            self.release()
