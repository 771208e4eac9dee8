"""The questions to chat models: each told from what was sent and what came back."""

import asyncio
import json
import pickle
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import metadata
from typing import Any

from comparison import service as paths
from comparison.facts import NO, YES, Fact, Row, told
from comparison.frameworks import FRAMEWORKS, PIXEL, City, Framework
from comparison.service import Service
from comparison.subjects import Subject, with_key

_LABELS = {
    paths.CHAT: "chat",
    paths.NATIVE: "native",
    paths.DEFERRED: "deferred",
    paths.RESPONSES: "Responses",
}
WAIT = 2
"""Seconds a refusal asks to wait: longer than the first wait of any client of HTTP here."""
_AT_ONCE = 30
_FIRST, _SECOND = "one two three four five " * 8, "sixty seventy eighty ninety hundred " * 8
_TRIES = 10  # more than any makes
_ANSWERED = (paths.CHAT, paths.NATIVE, *paths.EMBEDDINGS)


def _of(subject: Subject) -> Framework:
    return FRAMEWORKS[subject.framework]


def apis(subject: Subject, service: Service) -> Fact:
    """The APIs it asked, by the words that it documents; both blocking and async."""
    asked = _of(subject)
    found: dict[str, list[str]] = {}
    for words in subject.apis.values():
        for way in ("invoke", "async"):
            service.clear()
            model = subject.make(service, **words)
            try:
                if way == "invoke":
                    asked.ask(model, "Hi")
                else:
                    asyncio.run(_asked(asked, model))
            except Exception as error:
                if not service.requests():
                    raise RuntimeError(f"{subject.name} asked nothing") from error
            for request in service.requests(*_LABELS):
                found.setdefault(_LABELS[request["path"]], []).append(way)
    label = {name: name for name in found}
    for name, ways in found.items():
        if set(ways) == {"async"}:
            label[name] = f"{name} (async calls only)"
    if subject.grpc:
        label = {name: f"{text}, by gRPC" for name, text in label.items()}
    if "deferred" in subject.beside:
        service.clear()
        subject.beside["deferred"](service)
        if service.requests(paths.DEFERRED):
            label["deferred"] = "deferred by the SDK beside it"
    return Fact("; ".join(label.values()), f"asked: {found}")


async def _asked(asked: Framework, model: Any) -> None:
    try:
        await asked.aask(model, "Hi")
    finally:
        if hasattr(model, "aclose"):
            await model.aclose()


def pieces(subject: Subject, service: Service) -> Fact:
    """Whether text comes while the model still speaks."""
    service.script({"text": "one two three four five six seven eight nine ten " * 4})
    found = _of(subject).stream(subject.make(service, subject.open_model), "Hi").pieces
    return Fact(YES if len(found) > 1 else NO, times(len(found), "piece"))


def tools(subject: Subject, service: Service) -> Fact:
    """Whether tools reach the service, and calls come back."""
    service.script({"tool_calls": [{"name": "weather", "arguments": {"city": "Kazan"}}]})
    model = subject.make(service, **subject.functions)
    try:
        calls = _of(subject).tool(model, "Weather in Kazan?", required=False)
    except NotImplementedError as error:
        return Fact(NO, told(error))
    bodies = [request["body"] for request in service.requests()]
    sent = all(body.get("tools") for body in bodies)
    return Fact(YES if sent and list(calls) == ["weather"] else NO, f"{sent=}, {calls=}")


def repeated(subject: Subject, service: Service) -> Fact:
    """The ids of two calls of one tool in a turn, which yandexgpt gives one id, in an agent."""
    calls = [{"name": "weather", "arguments": {"city": city}} for city in ("Kazan", "Tver")]
    service.script({"tool_calls": calls}, {"text": "Both are sunny"})
    model = subject.make(service, **subject.functions)
    try:
        run = _of(subject).agent(model, "Weather in Kazan and in Tver?")
    except NotImplementedError as error:
        return Fact("no tools", told(error))
    except Exception as error:
        # Whether the service takes such a list no page says; that the emulator does not is no fact.
        sent = service.requests()[-1]["body"]["messages"]
        ids = [call["id"] for one in sent for call in one.get("tool_calls") or ()]
        if len(ids) != 2 or len(set(ids)) != 1:
            raise
        return Fact("one id for both", f"{ids} sent; here: {told(error)}")
    results = _results(service.requests()[-1]["body"])
    if results != ["Kazan is sunny", "Tver is sunny"] or run.text != "Both are sunny":
        raise RuntimeError(f"{subject.name}: {results}, {run}")
    count = len(set(run.ids))
    return Fact("an id for each" if count == 2 else "one id for both", f"{count} ids")


def _results(body: Mapping[str, Any]) -> list[str]:
    return [one["content"] for one in body["messages"] if one["role"] == "tool"]


def results(subject: Subject, service: Service) -> Fact:
    """Whether a tool's result in a conversation reaches the service."""
    marked = "RESULT-7341"
    try:
        _of(subject).result(subject.make(service, **subject.functions), marked)
    except Exception as error:
        if not service.requests():
            return Fact("refused", told(error))
        raise
    sent = json.dumps(service.requests()[-1]["body"]["messages"])
    return Fact(YES if marked in sent else "left out in silence", sent)


def forced(subject: Subject, service: Service) -> Fact:
    """What an answer without the tool call that was required becomes."""
    service.script({"text": "It is sunny"})
    model = subject.make(service, **subject.functions)
    try:
        calls = _of(subject).tool(model, "Weather in Kazan?", required=True)
    except NotImplementedError as error:
        return Fact("no tools", told(error))
    except Exception as error:
        choice = service.requests()[-1]["body"].get("tool_choice")
        return Fact("raises", f"asked with {choice!r}: {told(error)}")
    return Fact("an answer without a call", f"{calls=}")


def parsed(subject: Subject, service: Service) -> Fact:
    """Whether the service is asked for a schema, and fenced JSON is read as well."""
    asked, model = _of(subject), subject.make(service, **subject.schemas)
    try:
        found = asked.parse(model, "A city: Kazan, Russia")
    except NotImplementedError as error:
        return Fact(NO, told(error))
    body = service.requests()[-1]["body"]
    by_schema = "jsonSchema" in body or body.get("response_format", {}).get("type") == "json_schema"
    if not (by_schema and isinstance(found, City)):
        return Fact(NO, f"{by_schema=}, {found!r}")
    service.clear()
    service.script({"text": '```json\n{"name": "Kazan", "country": "Russia"}\n```'})
    try:
        fenced = asked.parse(model, "A city: Kazan, Russia")
    except Exception as error:
        return Fact("yes; fenced JSON raises", told(error))
    right = fenced == City(name="Kazan", country="Russia")
    return Fact("yes; fenced JSON too" if right else f"yes; fenced JSON: {fenced!r}", repr(fenced))


def stop(subject: Subject, service: Service) -> Fact:
    """Whether `stop` cuts the text of a service that has no such word."""
    service.script({"text": "one two STOP three"})
    try:
        found = _of(subject).ask(subject.make(service), "Count", stop=["STOP"])
    except Exception as error:
        return Fact("refused", told(error))
    return Fact("cuts" if found == "one two " else "ignored", repr(found))


def cut(subject: Subject, service: Service) -> Fact:
    """What becomes of a stream that is cut: a connection that breaks, one that ends in order."""
    became = {}
    for close in ("reset", "clean"):
        service.clear()
        service.script({"text": _FIRST, "cut_after": 2, "close": close}, {"text": _SECOND})
        model = subject.make(service, subject.open_model)
        try:
            found = "".join(_of(subject).stream(model, "Count").pieces)
        except Exception as error:
            became[close] = ("raises", told(error))
        else:
            whole = "is whole" if found == _SECOND else "passes for whole"
            joined = found.startswith(_FIRST[:3]) and found.endswith(_SECOND[-3:])
            became[close] = ("a second answer is joined to it" if joined else whole, repr(found))
        if not any(_streams(request["body"]) for request in service.requests()):
            return Fact("asks for no stream", became[close][1])
        if service.ledger()["rows"][0]["ended"]:
            raise RuntimeError(f"{subject.name}: the stream was to end early")
    seen = str({close: text for close, (_, text) in became.items()})
    broken, ended = became["reset"][0], became["clean"][0]
    if broken == ended:
        return Fact(broken, seen)
    return Fact(f"broken: {broken}; ended early: {ended}", seen)


def _streams(body: Mapping[str, Any]) -> bool:
    return bool(body.get("stream") or body.get("completionOptions", {}).get("stream"))


def usage(subject: Subject, service: Service) -> Fact:
    """The tokens that a stream tells of, beside those that the service told."""
    # On the native API each line tells it anew.
    stated = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    service.script({"text": "one two three four " * 8, "usage": stated})
    found = _of(subject).stream(subject.make(service, subject.open_model), "Count").tokens
    return Fact(
        {18: YES, None: NO}.get(found, f"{found} where each line told 18"), f"{found} of 18"
    )


def reasoning(subject: Subject, service: Service) -> Fact:
    """Whether the reasoning that came with an answer is there to be read."""
    service.script({"text": "Four", "reasoning": "Two and two, THOUGHT-551"})
    found = _of(subject).whole(subject.make(service, subject.open_model), "Two and two?")
    if subject.grpc and "THOUGHT-551" not in found:
        return Fact("the native API tells none", found)
    return Fact(YES if "THOUGHT-551" in found else NO, found)


def pictures(subject: Subject, service: Service) -> Fact:
    """Whether an image reaches the service, of a model that takes them."""
    model = subject.make(service, subject.open_model if subject.grpc else "gemma-3-27b-it")
    try:
        _of(subject).picture(model, "What is this?")
    except Exception as error:
        if service.requests():
            raise
        return Fact("no; the native API takes none" if subject.grpc else NO, told(error))
    sent = json.dumps(service.requests()[-1]["body"]["messages"])
    return Fact(YES if PIXEL in sent else NO, sent)


def credentials(subject: Subject, service: Service) -> Fact:
    """The credentials beside the API key that it was asked with."""
    found = []
    for name, words in subject.credentials.items():
        with warnings.catch_warnings(action="ignore"):
            model = subject.make(service, **words(service))
        _of(subject).ask(model, "Hi")
        found.append(name)
    return Fact(", ".join(found), "each was answered")


def renewed(subject: Subject, service: Service) -> Fact:
    """Whether the next request succeeds once the service has let the token end."""
    found, seen = [], {}
    for name, words in subject.credentials.items():
        with warnings.catch_warnings(action="ignore"):
            model = subject.make(service, **words(service))
        _of(subject).ask(model, "Hi")
        service.expire_tokens()
        with warnings.catch_warnings(action="ignore"):
            words(service)  # whoever keeps a variable fresh has done so by now
        try:
            _of(subject).ask(model, "Hi")
        except Exception as error:
            seen[name] = told(error)
        else:
            found.append(name)
    cell = ", ".join(found) or NO
    if "renewal" in subject.beside:
        cell = f"{cell}; {subject.beside['renewal'](service)}"
    return Fact(cell, str(seen))


def request_id(subject: Subject, service: Service) -> Fact:
    """Where an error has the id that the service's support asks for."""
    body = {"error": {"grpcCode": 3, "httpCode": 400, "message": "no", "details": []}}
    refusal = {"status": 400, "headers": {"x-request-id": "REQ-80211"}, "body": body}
    service.script(*[refusal] * _TRIES)
    try:
        _of(subject).ask(subject.make(service), "Hi")
    except Exception as error:
        sent = [request["headers"].get("x-client-request-id") for request in service.requests()]
        ids = ["REQ-80211", *filter(None, sent)]
        if any(one in str(error) for one in ids):
            return Fact("in its text", told(error))
        held = [getattr(error, name, None) for name in dir(error) if not name.startswith("__")]
        if any(one in held for one in ids):
            return Fact("as an attribute", told(error))
        return Fact(NO, told(error))
    raise RuntimeError(f"{subject.name} raised nothing")


def wrong_key(subject: Subject, service: Service) -> Fact:
    """How often a key that the service does not know is sent."""
    try:
        _of(subject).ask(subject.make(with_key(service, "wrong-key")), "Hi")
    except Exception as error:
        return Fact(times(len(service.requests()), "request"), told(error))
    raise RuntimeError(f"{subject.name} raised nothing")


def retried(subject: Subject, service: Service) -> Fact:
    """Whether a refusal over the quota is asked again, and not before it is time."""
    return retried_by(subject, service, lambda model: _of(subject).ask(model, "Hi"))


def retried_by(subject: Subject, service: Service, ask: Callable[[Any], object]) -> Fact:
    """The same, of whichever hook."""
    model = subject.make(service)
    error = {"grpcCode": 8, "httpCode": 429, "message": "quota limit exceed", "details": []}
    refusal = {"status": 429, "headers": {"retry-after": str(WAIT)}, "body": {"error": error}}
    service.script(*({**refusal, "path": path} for path in _ANSWERED))
    began = time.monotonic()
    try:
        ask(model)
    except Exception as error:
        return Fact(f"no: {times(len(service.requests()), 'request')}", told(error))
    took = time.monotonic() - began
    statuses = [request["status"] for request in service.requests()]
    if statuses[0] != 429 or len(statuses) != 2:
        raise RuntimeError(f"{subject.name} was to be refused once: {statuses}")
    if subject.grpc:
        return Fact("yes; gRPC tells no time", f"after {took:.1f} s")
    kept = "when it says" if took >= WAIT else "sooner than it says"
    return Fact(f"yes, {kept}", f"after {took:.1f} s of {WAIT}")


def quota(subject: Subject, service: Service) -> Fact:
    """What becomes of thirty calls at once, where ten may run, by the service's count."""
    service.faults(rate=1, kinds=["slow"], pause=0.02)
    model = subject.make(service, **subject.quota)
    answers = _of(subject).ask_all(model, ["Hi"] * _AT_ONCE)
    lost = sum(isinstance(one, BaseException) for one in answers)
    ledger = service.ledger()
    rows = ledger["rows"]
    refused = sum(row["status"] == 429 for row in rows)
    seen = f"{times(len(rows), 'request')}, of which {refused} refused"
    # How many were refused is another number in each run.
    before = "some refused at first" if refused else "none refused"
    return Fact(f"{times(_AT_ONCE - lost, 'answer')}, {before}", seen)


def secrets(subject: Subject, service: Service) -> Fact:
    """Whether the key stands in the model's own repr."""
    model = subject.make(with_key(service, "SECRET-4410"))
    shown = "SECRET-4410" in f"{model!r} {model}"
    return Fact("shown" if shown else "hidden", "repr and str")


def pickled(subject: Subject, service: Service) -> Fact:
    """Whether a model that was pickled asks on."""
    return pickled_by(subject, service, lambda model: _of(subject).ask(model, "Hi"))


def pickled_by(subject: Subject, service: Service, ask: Callable[[Any], object]) -> Fact:
    """The same, of whichever hook."""
    model = subject.make(service)
    ask(model)
    try:
        # What is unpickled was pickled in the same breath.
        ask(pickle.loads(pickle.dumps(model)))  # noqa: S301
    except Exception as error:
        return Fact(NO, told(error))
    return Fact(YES, times(len(service.requests()), "request"))


def unknown_word(subject: Subject, service: Service) -> Fact:
    """What becomes of a misspelt word of the constructor."""
    return unknown_word_by(subject, service, lambda model: _of(subject).ask(model, "Hi"))


def unknown_word_by(subject: Subject, service: Service, ask: Callable[[Any], object]) -> Fact:
    """The same, of whichever hook."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            model = subject.make(service, temprature=0.3)
        except Exception as error:
            return Fact("refused", told(error))
    warns = any("temprature" in str(one.message) for one in warned)
    before = "warns; " if warns else ""
    try:
        ask(model)
    except Exception as error:
        return Fact(f"{before}each call raises", told(error))
    sent = "temprature" in json.dumps(service.requests()[-1]["body"])
    return Fact(before + ("sent" if sent else "left out in silence"), f"{warns=}, {sent=}")


def tokens(subject: Subject, service: Service) -> Fact:
    """Whether its counts of tokens can be the service's own."""
    if subject.counts:
        count = _of(subject).count(subject.make(service, **subject.counts), "Hello there")
        asked = service.requests(*paths.TOKENIZE)
        return Fact(YES if asked and count else NO, f"{count}, {len(asked)} requests")
    if "tokens" in subject.beside:
        subject.beside["tokens"](service)
        if service.requests(*paths.TOKENIZE):
            return Fact("by the SDK beside it", "tokenize")
    return Fact(NO, "none of its words asks the tokenizer")


def any_server(subject: Subject, service: Service) -> Fact:
    """Whether a name of a model goes out as it is given, as another's server knows it."""
    name = "llama3.1:8b"
    with suppress(Exception):  # the emulator knows no such model
        _of(subject).ask(subject.make(service, name), "Hi")
    bodies = [request["body"] for request in service.requests()]
    sent = {body.get("model") or body.get("modelUri") for body in bodies}
    return Fact(YES if sent == {name} else NO, f"sent: {sorted(sent)}")


def others(subject: Subject, service: Service) -> Fact:
    """What else of AI Studio its package reaches."""
    if "others" not in subject.beside:
        return Fact(NO, "no class for it")
    return Fact(str(subject.beside["others"](service)), "the fields of AIStudio")


def version(subject: Subject, service: Service) -> Fact:
    """How far it says it is."""
    found = metadata(subject.package)
    known = [one for one in found.get_all("Classifier", ()) if one.startswith("Development Status")]
    status = known[0].rpartition(" - ")[2] if known else "no status told"
    return Fact(f"{found['Version']}, {status}", "its metadata")


def times(count: int, of: str) -> str:
    """A number of things in words."""
    return f"{count} {of}{'' if count == 1 else 's'}"


ROWS: Sequence[Row] = (
    Row("version", "Version, and status as it tells it", version),
    Row("apis", "APIs it asks", apis),
    Row("others", "Other parts of AI Studio in the same package", others),
    Row(
        "any-server", "Any OpenAI-compatible server: the model's name goes out as given", any_server
    ),
    Row("credentials", "Credentials beside the API key", credentials),
    Row(
        "renewed", "A token that ended before its time is replaced, and the call answered", renewed
    ),
    Row("pieces", "A stream comes in pieces", pieces),
    Row("cut", "A stream that is cut", cut),
    Row("usage", "Token counts in a stream, where the service tells them", usage),
    Row("tools", "Tools are sent, and calls come back", tools),
    Row("repeated", "Ids of two calls of one tool in a turn (yandexgpt gives both one)", repeated),
    Row("results", "A tool's result in a conversation reaches the service", results),
    Row("forced", "A required tool call that does not come", forced),
    Row("parsed", "Structured output by the service's JSON schema", parsed),
    Row("reasoning", "The reasoning that came with an answer", reasoning),
    Row("pictures", "Images, for models that take them", pictures),
    Row("stop", "`stop`, which the service lacks", stop),
    Row("quota", f"{_AT_ONCE} calls at once, where the service lets 10 run", quota),
    Row("retried", "A refusal with Retry-After is asked again", retried),
    Row("wrong-key", "A wrong key is sent in", wrong_key),
    Row("request-id", "The request's id in an error", request_id),
    Row("unknown-word", "A misspelt word of the constructor", unknown_word),
    Row("secrets", "The key in the model's repr", secrets),
    Row("pickled", "Pickles, and asks on", pickled),
    Row("tokens", "Tokens counted by the service's tokenizer", tokens),
)
