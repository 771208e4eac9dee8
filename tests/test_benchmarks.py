"""The benchmarks: what their server says is read as it was sent, and their arithmetic is right."""

import asyncio
import base64
import json
import platform
import random
import struct
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from llama_index.core.llms import ChatMessage

from benchmarks import arithmetic, machine, server, subjects, tell
from benchmarks.arithmetic import ENDS, VALUE, Measured, Spread, Target, verdict, verdicts
from benchmarks.machine import PACKAGES
from benchmarks.measures import FULL, QUICK, Bench, FirstChunk, Metric, Timed, WrongAnswer, metrics
from benchmarks.report import as_json, from_json, summary, tables, told_targets
from benchmarks.run import measure
from benchmarks.subjects import FLOOR, OURS, Subject
from benchmarks.targets import HOOKS, TARGETS

TOOL = {
    "type": "function",
    "function": {
        "name": server.TOOL,
        "description": "Looks up.",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
}
TEXT = "".join(server.words(7))


@pytest.fixture(scope="module")
def origin():
    with server.canned_server() as found:
        yield found


@pytest.fixture
def make(origin):
    """Makes a subject for a path of the server, and closes its blocking connections."""
    models: list[Any] = []

    def made(group: str, name: str = OURS, path: str = "", root: str = origin) -> Any:
        models.append(subjects.subject_of(group, name).make(root + path))
        return models[-1]

    yield made
    for model in models:
        (model._http if hasattr(model, "_http") else model).close()


async def aclose(model: Any) -> None:
    await (model._ahttp if hasattr(model, "_ahttp") else model).aclose()


def summed(chunks):
    whole, *rest = chunks
    for chunk in rest:
        whole += chunk
    return whole


@pytest.mark.parametrize("name", [OURS, FLOOR])
@pytest.mark.parametrize("group", ["langchain", "native"])
def test_streams_are_read_as_they_were_sent(make, group, name):
    model = make(group, name, "/chunks/7")
    texts = [chunk.text for chunk in model.stream("Hi")]
    assert [text for text in texts if text] == server.words(7)


@pytest.mark.parametrize(("group", "tokens"), [("langchain", 12), ("native", 7)])
def test_ours_reads_usage_and_reason(make, group, tokens):
    model = make(group, path="/chunks/7")
    for answer in (model.invoke("Hi"), summed(model.stream("Hi"))):
        assert answer.text == TEXT
        assert answer.usage_metadata["output_tokens"] == tokens
        assert answer.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("name", [OURS, FLOOR])
def test_a_tool_call_is_read_whole_and_streamed(make, name):
    model = make("langchain", name, "/chunks/7").bind_tools([TOOL])
    text = "".join(server.arguments(7)[1:-1])
    for answer in (model.invoke("Hi"), summed(model.stream("Hi"))):
        [call] = answer.tool_calls
        assert (call["name"], call["args"]) == (server.TOOL, {"text": text})


@pytest.mark.parametrize("name", [OURS, FLOOR])
async def test_both_frameworks_read_without_blocking(make, name):
    chat, llm = make("langchain", name, "/chunks/7"), make("llamaindex", name, "/chunks/7")
    said = [ChatMessage(role="user", content="Hi")]
    assert "".join([chunk.text async for chunk in chat.astream("Hi")]) == TEXT
    assert (await llm.achat(said)).message.content == TEXT
    responses = [response async for response in await llm.astream_chat(said)]
    assert responses[-1].message.content == TEXT
    await aclose(chat)
    await aclose(llm)


@pytest.mark.parametrize("name", [OURS, FLOOR])
def test_embeddings_are_read(make, name):
    vectors = make("embeddings", name).embed_documents(["a", "b"])
    assert vectors == [[number / 256 for number in range(256)]] * 2


def test_embeddings_come_as_a_peer_asks_for_them(origin):
    body = {"model": "m", "input": ["a", "b", "c"], "encoding_format": "base64"}
    data = httpx.post(f"{origin}/v1/embeddings", json=body).json()["data"]
    vectors = [struct.unpack("<256f", base64.b64decode(one["embedding"])) for one in data]
    assert len(vectors) == 3
    assert vectors[0] == tuple(number / 256 for number in range(256))


def test_a_delay_keeps_the_pieces_apart_and_whole(make):
    model = make("langchain", path="/chunks/7/delay/1")
    assert summed(model.stream("Hi")).text == TEXT


def test_an_unknown_path_is_refused(origin):
    assert httpx.post(f"{origin}/v1/other").status_code == 404


# A stream longer than what a socket takes at once.
def test_a_long_stream_comes_to_its_end(origin):
    with httpx.stream("POST", f"{origin}/chunks/20000{server.CHAT}", json={"stream": True}) as sent:
        lines = [line for line in sent.iter_lines() if line]
    assert len(lines) == 20_000 + 3
    assert lines[-1] == "data: [DONE]"


class Eager:
    """Reads two chunks before it gives out one."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def stream(self, asked):
        chunks = iter(self._model.stream(asked))
        yield from (next(chunks), next(chunks), *chunks)


def test_the_gate_tells_who_waits_for_a_second_chunk(origin, make):
    metric = FirstChunk("x.stream.first", "x", "pieces", "langchain", 1, hook="stream")
    with asyncio.Runner() as runner:
        bench = Bench(origin, runner)
        made = partial(make, "langchain", OURS)
        assert metric.sample(bench, Subject(OURS, lambda root: made(root=root), ""), 1)() == 1
        assert (
            metric.sample(
                bench, Subject("eager", lambda root: Eager(made("/patience/50", root=root)), ""), 1
            )()
            > 1
        )


FIRST_CHUNKS = [metric for metric in metrics(QUICK) if isinstance(metric, FirstChunk)]


@pytest.mark.parametrize("metric", FIRST_CHUNKS, ids=lambda metric: metric.name)
def test_every_stream_hook_gives_a_chunk_before_the_next_is_sent(origin, metric):
    ours = subjects.subject_of(metric.group, OURS)
    with asyncio.Runner() as runner:
        assert metric.sample(Bench(origin, runner), ours, 1)() == 1


def test_the_hooks_are_all_there_are():
    assert {metric.name.removesuffix(".first") for metric in FIRST_CHUNKS} == set(HOOKS)
    assert len(HOOKS) == 10


def test_medians_and_quartiles():
    assert Spread.of([3, 1, 2, 5, 4]) == Spread(3, 2, 4)
    assert Spread.of([7]) == Spread(7, 7, 7)
    with pytest.raises(ValueError, match="no median"):
        Spread.of([])


def test_a_ratio_is_of_medians_and_its_quartiles_are_of_rounds():
    found = arithmetic.ratio([2, 4, 30], [1, 2, 10])
    assert found.of_medians == 2
    assert (found.low, found.high) == (2, 2.5)
    with pytest.raises(ValueError, match="shorter"):
        arithmetic.ratio([1, 2], [1])


def grown(counted: str | None) -> Measured:
    samples = {OURS: {10: [20.0, 40.0, 30.0], 100: [300.0, 600.0, 900.0]}}
    return Measured("x", "X", "ms", "langchain", (10, 100), counted, samples)


def test_growth_is_told_for_each_unit():
    assert grown("chunk").per_unit(OURS, 10).median == 3
    assert grown("chunk").ratio_of_ends(OURS).of_medians == 2
    assert grown(None).ratio_of_ends(OURS).of_medians == 20


def seen(**samples: list[float]) -> Measured:
    named = {OURS: samples.pop("ours"), **samples}
    return Measured(
        "x", "X", "ms", "langchain", (1,), None, {name: {1: one} for name, one in named.items()}
    )


@pytest.mark.parametrize(
    ("target", "found", "met"),
    [
        (Target("x", 1.2), 1.2, True),
        (Target("x", 1.1), 1.2, False),
        (Target("x", 0.25, "ChatOpenAI"), 0.24, True),
        (Target("x", 12, VALUE), 12, True),
        (Target("x", 11, VALUE), 12, False),
        (Target("x", 2, "nobody"), None, False),
    ],
)
def test_targets_are_held_against_their_metric(target, found, met):
    metric = seen(ours=[12.0], floor=[10.0], ChatOpenAI=[50.0])
    result = verdict(target, {"x": metric})
    assert result.seen == (None if found is None else pytest.approx(found))
    assert result.met is met


def test_growth_has_targets_too():
    assert verdict(Target("x", 2, ENDS), {"x": grown("chunk")}).met
    assert not verdict(Target("x", 2, ENDS), {"x": grown(None)}).met


def test_what_is_kept_for_a_promise_is_told_beside_the_growth():
    target = Target("x", 13, ENDS, beside=1)
    found = verdict(target, {"x": grown(None)})
    assert found.seen == 25  # (600 - 100) / (30 - 10)
    assert not found.met
    assert target.text == "at most 13 of the smallest size, beside the text that is kept"
    assert verdict(Target("x", 25, ENDS, beside=1), {"x": grown(None)}).met


def test_only_metrics_that_were_chosen_have_verdicts():
    assert verdicts([Target("y", 1)], {"x": seen(ours=[1.0])}) == []


def test_every_target_has_a_metric_with_what_it_is_a_ratio_to():
    known = {metric.name: metric for metric in metrics(FULL)}
    assert len(known) == len(metrics(FULL))
    assert {metric.name for metric in metrics(QUICK)} <= {*known}
    for target in TARGETS:
        metric = known[target.metric]
        names = {subject.name for subject in metric.subjects}
        assert target.of in {*names, VALUE, ENDS}
        assert OURS in names
        assert (target.of == ENDS) == (len(metric.sizes) > 1)


@dataclass(frozen=True)
class Counting(Metric):
    """Notes who is measured when; the floor fails in the third of four turns."""

    turns: list[tuple[str, int]] = field(default_factory=list)

    def sample(self, bench, subject, size):
        def sample():
            self.turns.append((subject.name, size))
            if subject.name == FLOOR and self.turns.count((FLOOR, size)) == 3:
                raise RuntimeError("no more")
            return float(len(self.turns))

        return sample


def test_each_round_measures_everybody_once_in_an_order_of_its_own():
    metric = Counting("x", "X", "ms", "embeddings", 12, (1, 2), without=frozenset({FLOOR}))
    found = measure(None, metric, random.Random(7))
    warm, rounds = metric.turns[:4], metric.turns[4:]
    orders = [tuple(rounds[start : start + 4]) for start in range(0, len(rounds), 4)]
    assert len(orders) == 12
    assert {frozenset(order) for order in orders} == {frozenset(warm)}
    assert len(set(orders)) > 1
    assert [len(numbers) for sizes in found.samples.values() for numbers in sizes.values()] == (
        [12] * 4
    )
    assert found.failures == {}


def test_who_fails_is_told_of_and_left_out():
    metric = Counting("x", "X", "ms", "embeddings", 4)
    found = measure(None, metric, random.Random(7))
    assert found.failures == {FLOOR: "RuntimeError: no more"}
    assert set(found.samples) == {OURS, "OpenAIEmbeddings"}
    assert "| x | floor | RuntimeError: no more |" in tables([found], [])
    assert verdict(Target("x", 1), {"x": found}).met is False


def test_who_reads_what_was_not_sent_is_not_timed():
    metric = Timed(
        "x", "X", "ms", "langchain", 1, act=lambda model, size: lambda sink: sink.append(model),
        read=lambda seen: seen[0], expected=lambda size: "right", calls=3,
    )  # fmt: skip
    with asyncio.Runner() as runner:
        bench = Bench("http://127.0.0.1:1", runner)
        assert metric.sample(bench, Subject("good", lambda root: "right", ""), 1)() >= 0
        with pytest.raises(WrongAnswer, match="bad read 'wrong', where 'right' was sent"):
            metric.sample(bench, Subject("bad", lambda root: "wrong", ""), 1)


def test_blocking_and_async_acts_are_done_as_often_as_asked():
    async def act(sink):
        sink.append("async")

    seen: Any = []
    with asyncio.Runner() as runner:
        bench = Bench("http://127.0.0.1:1", runner)
        bench.do(act, seen, 3)
        bench.do(lambda sink: sink.append("blocking"), seen, 2)
    assert seen == ["async"] * 3 + ["blocking"] * 2


def test_what_follows_one_is_done_once_untimed_before_each_sample(monkeypatch):
    seen: list[str] = []

    def act(sink):
        sink.append("right")
        seen.append("act")

    def clock():
        seen.append("clock")
        return float(len(seen))

    metric = Timed(
        "x", "X", "ms", "langchain", 1, act=lambda model, size: act, read=lambda seen: seen[0],
        expected=lambda size: "right", calls=3, follows_one=True,
    )  # fmt: skip
    with asyncio.Runner() as runner:
        bench = Bench("http://127.0.0.1:1", runner)
        sample = metric.sample(bench, Subject("good", lambda root: "right", ""), 1)
        seen.clear()
        monkeypatch.setattr("time.perf_counter", clock)
        sample()
        monkeypatch.undo()
    assert seen == ["act", "clock", "act", "act", "act", "clock"]


@pytest.mark.parametrize("width", FULL.concurrency)
async def test_a_batch_has_as_many_under_way_as_it_says(width):
    model = Batches()
    for name in ("batch", "abatch"):
        [metric] = [one for one in metrics(FULL) if one.name == f"langchain.{name}.{width}"]
        assert isinstance(metric, Timed)
        done = metric.act(model, width)([])
        if done:
            await done
    assert model.asked == [(500, width)] * 2


class Batches:
    """Notes how many are asked at once."""

    def __init__(self):
        self.asked = []

    def batch(self, prompts, config):
        self.asked.append((len(prompts), config["max_concurrency"]))
        return []

    async def abatch(self, prompts, config):
        return self.batch(prompts, config)


def test_batches_follow_one():
    batches = [one for one in metrics(FULL) if isinstance(one, Timed) and "batch" in one.name]
    assert len(batches) == 6
    assert all(one.follows_one for one in batches)


def test_tables_and_json_tell_ratios_and_targets():
    metric = seen(ours=[12.0, 13.0, 14.0], floor=[10.0, 10.0, 10.0])
    missed = verdicts([Target("x", 1.2)], {"x": metric})
    assert (
        "| X | yandex-compat | 13 ms | 12.5 … 13.5 | 1.30 | 1.25 … 1.35 | "
        "at most 1.2 of floor: 1.30, MISSED |"
    ) in tables([metric], missed)
    assert json.loads(json.dumps(told_targets(missed))) == [
        {"metric": "x", "at_most": 1.2, "of": "floor", "beside": 0, "seen": 1.3, "met": False}
    ]
    [told] = json.loads(json.dumps(as_json([metric])))
    [row] = told["subjects"][OURS]["sizes"]
    assert (row["median"], row["ratio_to_floor"]) == (13, 1.3)
    assert row["samples"] == [12, 13, 14]


def test_a_summary_of_what_was_written_is_that_of_what_was_measured():
    metrics = [seen(ours=[12.0, 13.0, 14.0], floor=[10.0, 10.0, 10.0]), grown("chunk")]
    found = verdicts([Target("x", 1.2)], {"x": metrics[0]})
    written = json.loads(json.dumps(as_json(metrics)))
    told = summary(metrics, found)
    assert summary(from_json(written), found) == told
    first, last = told.splitlines()[-2:]
    assert first.startswith("| X | 13 ms | ")
    assert first.endswith(" | 10 ms | 1.30 | at most 1.2 of floor: 1.30, MISSED |")
    assert "3,000 … 6,000 µs" in last


def test_the_stream_hooks_share_a_row_of_a_summary_which_tells_the_worst():
    hooks = [
        Measured("a", "A", "pieces", "langchain", (1,), None, {OURS: {1: [1]}, FLOOR: {1: [1]}}),
        Measured("b", "B", "pieces", "llamaindex", (1,), None, {OURS: {1: [2]}}),
    ]
    found = verdicts([Target("a", 1, VALUE), Target("b", 1, VALUE)], {h.name: h for h in hooks})
    row = summary(hooks, found).splitlines()[-1]
    assert row.startswith("| pieces sent when a stream hook gave its first chunk | 2 | ")
    assert row.endswith(" | 1 |  | at most 1: MISSED by b |")
    met = verdicts([Target("a", 1, VALUE)], {"a": hooks[0]})
    assert summary(hooks[:1], met).endswith(" | at most 1: met by all 1 hooks |")


def test_where_ours_failed_the_others_are_summed_up_all_the_same():
    failed = seen(ours=[12.0], floor=[10.0])
    del failed.samples[OURS]
    told = summary([failed], verdicts([Target("x", 1.2)], {"x": failed}))
    assert told.splitlines()[-1].endswith(
        " | 10 ms |  | at most 1.2 of floor: not measured, MISSED |"
    )


def found_of(name: str, **other: Any) -> dict[str, Any]:
    metric = Measured(name, "X", "ms", "g", (1,), None, {OURS: {1: [1.0]}, FLOOR: {1: [2.0]}})
    return {
        "began": "2026-01-02", "minutes": 3.0, "whole": True, "seed": 7, "machine": {"cpu": "c"},
        "load_before": 0.1, "versions": {"openai": name}, "metrics": as_json([metric]), **other,
    }  # fmt: skip


def test_what_was_found_of_both_frameworks_is_one_result():
    runs = {"langchain": found_of("langchain.invoke"), "llamaindex": found_of("llamaindex.chat")}
    result = tell.joined(runs)
    assert [one["name"] for one in result["metrics"]] == ["langchain.invoke", "llamaindex.chat"]
    assert result["versions"]["llamaindex"] == {"openai": "llamaindex.chat"}
    assert (result["minutes"], result["whole"]) == (6, True)
    assert not tell.joined({**runs, "llamaindex": found_of("x", whole=False)})["whole"]
    with pytest.raises(ValueError, match="different machines"):
        tell.joined({**runs, "llamaindex": found_of("x", machine={"cpu": "d"})})


def test_what_is_told_of_a_run_holds_the_targets(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tell, "FOUND", tmp_path)
    monkeypatch.setattr(tell, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(tell, "plot", lambda *_: None)  # which needs more than tests have
    (tmp_path / "results").mkdir()
    for name, metric in (("langchain", "langchain.invoke"), ("llamaindex", "llamaindex.chat")):
        (tmp_path / f"{name}.json").write_text(json.dumps(found_of(metric)))
    assert tell.main() == 0
    told = json.loads((tmp_path / "results" / "results.json").read_text())
    assert [(one["metric"], one["seen"]) for one in told["targets"]] == [
        ("langchain.invoke", 0.5), ("llamaindex.chat", 0.5)
    ]  # fmt: skip
    assert "2 of 2 targets met." in capsys.readouterr().out


def test_each_framework_has_its_part_of_the_metrics():
    parts = {name: {m.name for m in metrics(FULL) if m.framework == name} for name in PACKAGES}
    assert not parts["langchain"] & parts["llamaindex"]
    assert sum(map(len, parts.values())) == len(metrics(FULL))
    for name in ("native.stream", "embeddings.embed_documents", "langchain.abatch.100"):
        assert name in parts["langchain"]
    assert "llamaindex-native.stream_chat.first" in parts["llamaindex"]


def test_growth_stands_in_a_table_of_its_own():
    told = tables([grown("chunk")], verdicts([Target("x", 1.1, ENDS)], {"x": grown("chunk")}))
    assert "| 10 / 100 | 3,000 / 6,000 µs | 2.00 |  | at most 1.1 of the smallest size" in told


def test_the_machine_is_described_without_its_name():
    told = json.dumps(machine.machine())
    assert platform.node() not in told
    assert "/" not in told
    assert machine.machine()["cores"] >= 1


def test_readme_says_of_the_quartiles_what_the_results_hold():
    result = json.loads((tell.RESULTS / "results.json").read_text(encoding="utf-8"))
    measured = {one.name: one for one in from_json(result["metrics"])}
    to_the_floor = [target for target in TARGETS if target.of == FLOOR]
    assert len(to_the_floor) == 7
    above = [
        one.metric
        for one in to_the_floor
        if measured[one.metric].ratio_to(OURS, FLOOR).high > one.at_most
    ]
    readme = tell.RESULTS.parents[1] / "README.md"
    said = "Of the ratios to the floor, the upper quartile of the rounds meets each target as well."
    assert (said in readme.read_text(encoding="utf-8")) == (not above), above
