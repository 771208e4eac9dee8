"""An answer as it is read, whole or streamed, but no I/O.

Both go the same way: decoding, then what the service leaves to the client, which is calls that
leaked into the text (D6), fences around JSON, calls too many (D8) and stop sequences (D7).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import httpx

from yandex_compat.completion import Completion, CompletionRequest, Delta, StreamEnd
from yandex_compat.errors import ToolChoiceIgnored
from yandex_compat.fences import FenceFilter, asks_for_json, without_fence
from yandex_compat.leaked_calls import LeakedCallFilter, callable_names, with_leaked_call
from yandex_compat.stop import StopFilter, cut_completion
from yandex_compat.tool_calls import refuse_ignored_choice, trimmed
from yandex_compat.wires.apis import API


def whole_completion(request: CompletionRequest, response: httpx.Response, api: API) -> Completion:
    """The completion of a response that was read to its end, the alternatives treated as it is."""
    completion = api.decode(response.content, request)
    first, *others = [_treated(one, request) for one in (completion, *completion.alternatives)]
    first.alternatives = tuple(others)
    headers = _reported(response)
    for one in (first, *others):
        one.headers, one.request_id = headers, headers.get("x-request-id")
    return first


def _treated(completion: Completion, request: CompletionRequest) -> Completion:
    if names := callable_names(request):
        completion = with_leaked_call(completion, names)
    if asks_for_json(request):
        completion = without_fence(completion)
    if request.parallel_tool_calls is False:
        completion = trimmed(completion)
    cut = cut_completion(completion, request.stop) if request.stop else completion
    if cut is completion:
        called = bool(completion.tool_calls)
        refuse_ignored_choice(request, completion.finish_reason, called=called)
    return cut


_KEPT_BACK = {"authorization", "set-cookie"}
_SHORTEST_SECRET = 8


def _reported(response: httpx.Response) -> dict[str, str]:
    """The headers of an answer, but for those that are for nobody's eyes.

    Some servers repeat the credential in one of another name.
    """
    sent = response.request.headers.get("authorization", "").rpartition(" ")[2]
    return {
        name: value
        for name, value in response.headers.items()
        if name not in _KEPT_BACK and not (len(sent) >= _SHORTEST_SECRET and sent in value)
    }


class StreamReading:
    """Turns the bytes of one open response into the deltas its reader is given."""

    def __init__(self, request: CompletionRequest, response: httpx.Response, api: API) -> None:
        self.response = response
        self.piece = b""
        self.done = False
        """Whether the answer has ended, so that whatever the connection does next means nothing."""
        self.end: StreamEnd | None = None
        """How it has ended, once it has."""
        self._request = request
        self._decoder = api.stream_decoder(request)
        headers = self._decoder.end.headers = _reported(response)
        self._decoder.end.request_id = headers.get("x-request-id")
        self._stop = StopFilter(request.stop) if request.stop else None
        self._filters = list(self._filters_of(request))
        # Then nothing need be looked at before the end.
        self._is_plain = not self._filters and request.tool_choice is None
        self._called = False
        self._failure: ToolChoiceIgnored | None = None

    @property
    def partial(self) -> Completion:
        """What has arrived so far."""
        return self._decoder.partial

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, even if its end mark has not come (D10)."""
        return self._decoder.ended

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence was met, so that the connection should be closed."""
        return self._stop is not None and self._stop.stopped

    def feed(self, data: bytes) -> list[Delta]:
        """The deltas that these bytes complete; a failure waits until those before it are out."""
        if self._failure:
            raise self._failure
        deltas = self._decoder.feed(data)
        return deltas if self._is_plain and not self._decoder.done else self._given_out(deltas)

    def close(self) -> list[Delta]:
        """The deltas left at the end; StreamInterrupted where it was no end (D10)."""
        if self._failure:
            raise self._failure
        return self._given_out(self._decoder.close(), last=True)

    def _given_out(self, deltas: list[Delta], *, last: bool = False) -> list[Delta]:
        for filtered in self._filters:
            deltas = filtered(deltas)
        for delta in deltas:
            if delta.tool_calls:
                self._called = True
        if deltas and (end := deltas[-1].final):
            self.done, self.end = True, end
            if self.stopped:
                return deltas
            try:
                refuse_ignored_choice(self._request, end.finish_reason, called=self._called)
            except ToolChoiceIgnored as error:
                if last or len(deltas) == 1:
                    raise
                self._failure = error
                return deltas[:-1]
        return deltas

    def _filters_of(
        self, request: CompletionRequest
    ) -> Iterator[Callable[[list[Delta]], list[Delta]]]:
        """What the deltas go through, in this order; nothing, for most requests."""
        if names := callable_names(request):
            yield LeakedCallFilter(names).feed
        if asks_for_json(request):
            yield FenceFilter().feed
        if request.parallel_tool_calls is False:
            yield self._with_first_call
        if self._stop:
            yield partial(self._stop.feed, end=self._decoder.end)

    def _with_first_call(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas without calls that were not to come beside the first (D8)."""
        kept = []
        for delta in deltas:
            if delta.final:
                delta.final.trimmed_tool_calls = self.partial.tool_calls[1:]
            first = tuple(piece for piece in delta.tool_calls if piece.index == 0)
            if first != delta.tool_calls:
                delta = replace(delta, tool_calls=first)
            if not delta.is_empty:
                kept.append(delta)
        return kept
