"""The emulator speaking through a server: what it asks, what it passes on, what goes wrong."""

import contextlib
import json
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import ContextOverflowError, ServerError, StreamInterrupted, YandexClient
from yandex_compat.emulator import Emulator
from yandex_compat.emulator.upstream import Upstream

from .upstream_server import DONE, USAGE, UpstreamServer, chunk, event, usage_chunk, whole

KEY = {"Authorization": "Api-Key test-key"}
YANDEX, OPEN = "gpt://test-folder/yandexgpt/latest", "gpt://test-folder/qwen3-235b-a22b-fp8"
WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "default": None}}},
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.fixture(scope="module")
def server():
    server = UpstreamServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def _speaking(server):
    with Emulator(quota=1, upstream=Upstream(server.url, key="secret-key")) as emulator:
        yield emulator


@pytest.fixture
def speaking(_speaking, server):
    """An emulator that speaks through the server."""
    _speaking.clear()
    server.answers.clear()
    server.asked.clear()
    server.hung_up.clear()
    server.models = ["the-model"]
    yield _speaking
    _speaking.settle()


@pytest.fixture
def chat(speaking):
    def chat(model=OPEN, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]} | fields
        return httpx.post(f"{speaking.chat_url}/chat/completions", json=body, headers=KEY)

    return chat


@pytest.fixture
def native(speaking):
    def native(path="completion", **fields):
        body = {"modelUri": YANDEX, "messages": [{"role": "user", "text": "Hi"}]} | fields
        return httpx.post(f"{speaking.native_url}/{path}", json=body, headers=KEY)

    return native


def payloads(answer):
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_a_chat_request_goes_on_as_it_is(chat, server):
    server.answers.append((200, whole(content="Hello")))
    messages = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "Ann"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "fine"},
        {"role": "user", "content": "And?"},
    ]
    passed = {
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "logit_bias": {"5": 1},
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        "tools": [{"type": "function", "function": WEATHER}],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "parallel_tool_calls": False,
        "stop": ["\n"],
        "seed": 7,
        "user": "u",
    }
    body = chat(messages=messages, max_completion_tokens=9, **passed).json()
    assert body["choices"][0]["message"]["content"] == "Hello"
    assert body["usage"] == USAGE
    system = {"role": "system", "content": "Be short."}
    assert server.bodies == [
        {"model": "the-model", "messages": [system, *messages[1:]], "max_tokens": 9, **passed}
    ]
    assert server.asked[-1][2] == "Bearer secret-key"


def test_a_native_request_goes_on_in_the_words_of_the_chat_api(native, server):
    server.answers.append((200, whole(content="Hello")))
    said = {"role": "assistant", "toolCallList": {"toolCalls": [
        {"functionCall": {"name": "get_weather", "arguments": {"city": "Тверь"}}}]}}  # fmt: skip
    result = {"functionResult": {"name": "get_weather", "content": "sun"}}
    answer = native(
        messages=[
            {"role": "system", "text": "Be short."},
            {"role": "user", "text": "Weather?"},
            said,
            {"role": "user", "toolResultList": {"toolResults": [result]}},
        ],
        completionOptions={"temperature": 0.5, "maxTokens": "9"},
        tools=[{"function": WEATHER}],
        toolChoice={"functionName": "get_weather"},
        parallelToolCalls=False,
        jsonSchema={"schema": SCHEMA},
    )
    assert answer.json()["result"]["usage"]["inputTextTokens"] == "7"
    function = {"name": "get_weather", "arguments": '{"city":"Тверь"}'}
    call = {"id": "get_weather", "type": "function", "function": function}
    assert server.bodies == [
        {
            "model": "the-model",
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "get_weather", "content": "sun"},
            ],
            "temperature": 0.5,
            "max_tokens": 9,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA},
            },
            "tools": [{"type": "function", "function": WEATHER}],
            "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
            "parallel_tool_calls": False,
        }
    ]


@pytest.mark.parametrize(("mode", "choice"), [(None, "auto"), ("REQUIRED", "required")])
def test_native_choices_and_json_objects(native, server, mode, choice):
    server.answers.append((200, whole(content="{}")))
    chosen = {"toolChoice": {"mode": mode}} if mode else {}
    native(tools=[{"function": WEATHER}], jsonObject=True, **chosen)
    [body] = server.bodies
    assert body["tool_choice"] == choice
    assert body["response_format"] == {"type": "json_object"}


def test_what_yandexgpt_ignores_is_not_asked_of_the_upstream(chat, server):  # WIRE A9
    server.answers.append((200, whole(content="Hello")))
    tools = [{"type": "function", "function": WEATHER}]
    chat(YANDEX, tools=tools, parallel_tool_calls=False)
    assert "parallel_tool_calls" not in server.bodies[0]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "functions"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools"),
    ],
)
def test_what_an_upstream_can_t_answer_is_refused_by_name(chat, server, fields, named):
    answer = chat(**fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == named
    assert "can't be passed on to the upstream" in answer.json()["error"]["message"]
    assert server.bodies == []


STREAM = [chunk(role="assistant", content=None), chunk(content="Hel"), chunk(content="lo")]
END = [chunk("length"), usage_chunk(), DONE]


def test_a_stream_of_an_open_model(chat, server):  # WIRE A4, A5
    server.answers.append([*STREAM, *END])
    *chunks, last, done = payloads(chat(stream=True))
    assert [one["choices"][0] for one in chunks] == [
        {"index": 0, "delta": {"role": "assistant"}, "finish_reason": None},
        {"index": 0, "delta": {"content": "Hel"}, "finish_reason": None},
        {"index": 0, "delta": {"content": "lo"}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "length"},
    ]
    assert (last["choices"], last["usage"], done) == ([], USAGE, "[DONE]")
    assert len({one["id"] for one in [*chunks, last]}) == 1
    [body] = server.bodies
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_a_stream_of_yandexgpt(chat, server):  # WIRE A3: no usage at all
    server.answers.append([*STREAM, *END])
    *chunks, done = payloads(chat(YANDEX, stream=True))
    assert [one["choices"][0] for one in chunks] == [
        {"index": 0, "delta": {"role": "assistant", "content": "Hel"}},
        {"index": 0, "delta": {"content": "lo"}},
        {"index": 0, "delta": {"content": ""}, "finish_reason": "length"},
    ]
    assert not any("usage" in one for one in chunks)
    assert done == "[DONE]"


def test_a_native_stream(native, server):  # WIRE B6
    server.answers.append([*STREAM, *END])
    lines = [one["result"] for one in payloads(native(completionOptions={"stream": True}))]
    told = [one["alternatives"][0] for one in lines]
    assert [one["message"]["text"] for one in told] == ["Hel", "Hello", "Hello"]
    assert [one["status"].removeprefix("ALTERNATIVE_STATUS_") for one in told] == [
        "PARTIAL", "PARTIAL", "TRUNCATED_FINAL",
    ]  # fmt: skip
    assert [one["usage"]["completionTokens"] for one in lines] == ["1", "2", "2"]
    assert lines[-1]["usage"]["inputTextTokens"] == "7"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("v1/chat/completions", {"model": OPEN, "stream": True}),
        ("v1/chat/completions", {"model": YANDEX, "stream": True}),
        (
            "foundationModels/v1/completion",
            {"modelUri": YANDEX, "completionOptions": {"stream": True}},
        ),
    ],
)
def test_a_piece_is_passed_on_before_the_next_is_there(speaking, server, path, body):
    gate = threading.Event()
    server.answers.append([*STREAM[:2], gate, STREAM[2], *END])
    said = "text" if "modelUri" in body else "content"
    body = body | {"messages": [{"role": "user", said: "Hi"}]}
    with httpx.stream("POST", f"{speaking.url}/{path}", json=body, headers=KEY) as answer:
        lines = answer.iter_lines()
        before = ""
        while "Hel" not in before:
            before += next(lines)
        assert "lo" not in before
        gate.set()
        assert "lo" in "".join(lines)
    speaking.settle()
    row = speaking.ledger[-1]
    assert (row["text"], row["sent_text"], row["ended"]) == ("Hello", "Hello", True)


CALL = [
    chunk(role="assistant", content=None),
    chunk(tool_calls=[{"index": 0, "id": "up-1", "type": "function",
                       "function": {"name": "get_weather"}}]),
    chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"city": '}}]),
    chunk(tool_calls=[{"index": 0, "function": {"arguments": '"Omsk"}'}}]),
    chunk("tool_calls"),
    DONE,
]  # fmt: skip


def test_calls_come_in_the_shapes_of_their_family(chat, native, server):  # WIRE A2-A4, B4
    server.answers.extend([CALL] * 3)
    tools = [{"type": "function", "function": WEATHER}]
    [first, *_] = payloads(chat(YANDEX, tools=tools, stream=True))
    [call] = first["choices"][0]["delta"]["tool_calls"]
    assert call["id"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Omsk"}
    assert first["choices"][0]["finish_reason"] == "tool_calls"
    chunks = [one["choices"][0] for one in payloads(chat(tools=tools, stream=True))[:-2]]
    pieces = [call for one in chunks for call in one["delta"].get("tool_calls", ())]
    assert pieces[0]["id"].startswith("chatcmpl-tool-")
    assert {piece["id"] for piece in pieces[1:]} == {""}
    assert "".join(piece["function"]["arguments"] for piece in pieces) == '{"city": "Omsk"}'
    [line] = payloads(native(tools=[{"function": WEATHER}], completionOptions={"stream": True}))
    [alternative] = line["result"]["alternatives"]
    [call] = alternative["message"]["toolCallList"]["toolCalls"]
    assert call["functionCall"] == {"name": "get_weather", "arguments": {"city": "Omsk"}}


@pytest.mark.parametrize("word", ["reasoning_content", "reasoning"])
def test_reasoning_is_passed_on(chat, server, word):
    server.answers.append((200, whole(content="4", **{word: "Two and two."})))
    server.answers.append([chunk(**{word: "Two"}), chunk(content="4"), chunk("stop"), DONE])
    message = chat("gpt://test-folder/gpt-oss-20b").json()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Two and two.", "4")
    chunks = payloads(chat("gpt://test-folder/gpt-oss-20b", stream=True))
    assert chunks[1]["choices"][0]["delta"] == {"reasoning_content": "Two"}


def test_without_a_usage_of_its_own_the_emulator_counts(chat, server):
    server.answers.append((200, {"choices": whole(content="Hello there")["choices"]}))
    assert chat().json()["usage"]["completion_tokens"] == 2


def test_a_calling_upstream_that_says_stop_has_called(chat, server):
    function = {"name": "get_weather", "arguments": ""}
    server.answers.append((200, whole(content=None, tool_calls=[{"function": function}])))
    [choice] = chat(tools=[{"type": "function", "function": WEATHER}]).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("numbers", [(None, None), (0, None)])
def test_calls_without_a_number_are_kept_apart(chat, server, numbers):
    calls = [
        {"index": number, "function": {"name": name, "arguments": "{}"}}
        for name, number in zip("ab", numbers, strict=True)
    ]
    tools = [{"type": "function", "function": {"name": name}} for name in "ab"]
    server.answers.append((200, whole("tool_calls", content=None, tool_calls=calls)))
    [choice] = chat(tools=tools).json()["choices"]
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["a", "b"]


def test_an_error_that_is_null_is_none(chat, server):
    server.answers.append((200, whole(content="Hello") | {"error": None}))
    ending = {"choices": [{"delta": {}, "finish_reason": "stop"}], "error": None}
    server.answers.append([chunk(content="Hello"), event(ending), DONE])
    assert chat().json()["choices"][0]["message"]["content"] == "Hello"
    assert "error" not in chat(stream=True).text


OVERFLOW = {"error": {"code": 400, "type": "exceed_context_size_error", "message":
            "request (9031 tokens) exceeds the available context size (4096 tokens), try "
            "increasing it"}}  # fmt: skip
FAILURES = [
    ((400, OVERFLOW), 400, "number of input tokens must be no more than 4096, got 9031: shorten"),
    (
        (400, {"error": {"message": "This model's maximum context length is 10"}}),
        400,
        "the upstream's context length is exceeded",
    ),
    ((400, {"error": {"message": "no such schema"}}), 400, "'no such schema': change what"),
    ((422, {"detail": [{"msg": "bad"}]}), 400, "change what the message names"),
    ((401, {"error": {"message": "wrong key: secret-key"}}), 500, "'wrong key: ***': set UPSTREAM"),
    ((404, {"error": "model not found"}), 500, "'model not found': check --upstream"),
    ((429, {"error": {"message": "slow down"}}), 429, "'slow down': ask it less at once"),
    ((500, {"error": {"message": "oops"}}), 500, "'oops': look at its log"),
    ((503, b"<html>Bad</html>"), 503, "look at its log"),
    ((504, b""), 504, "look at its log"),
    ((200, b"<html>"), 500, "sent no JSON object: check --upstream"),
    ((200, {"choices": []}), 500, "sent no answer of the chat API: check"),
    ((200, whole("weird", content="x")), 500, "the finish reason 'weird'"),
    ((200, {"choices": [{"message": None}]}), 500, "sent no answer of the chat API: check"),
    ((200, {"error": {"code": 429, "message": "slow"}}), 429, "'slow': ask it less at once"),
    ((307, b""), 500, "answered 307, '': check --upstream"),
    ((500, {"error": "x" * 492 + " secret-key"}), 500, "x ***"),
]


@pytest.mark.parametrize("ask", ["chat", "native"])
@pytest.mark.parametrize(("answer", "status", "told"), FAILURES)
def test_a_failure_is_told_in_the_service_s_shape(
    request, speaking, server, ask, answer, status, told
):
    server.answers.append(answer)
    refused = request.getfixturevalue(ask)()
    assert refused.status_code == status
    error = refused.json()["error"]
    assert error["httpCode"] == status
    assert told in error["message"]
    assert "secret-key" not in refused.text
    assert "\n" not in error["message"]


@pytest.mark.parametrize(("answer", "status", "told"), FAILURES[:10])
@pytest.mark.parametrize("fields", [{"stream": True}])
def test_a_stream_that_does_not_begin_is_refused(chat, server, fields, answer, status, told):
    server.answers.append(answer)
    refused = chat(**fields)
    assert refused.status_code == status
    assert told in refused.json()["error"]["message"]


BROKEN = [
    ([*STREAM[:2], None], "broke off its answer: look at its log"),
    ([STREAM[1], event({"error": {"code": 500, "message": "no such format"}})], "'no such format'"),
    ([STREAM[1], b"data: rubbish\n\n"], "sent no JSON object"),
    ([STREAM[1], event({"choices": ["x"]})], "a chunk of another shape"),
]


@pytest.mark.parametrize(("pieces", "told"), BROKEN)
def test_a_stream_that_breaks_off_says_so_inside(chat, native, server, pieces, told):
    for ask in (
        lambda: chat(stream=True),
        lambda: chat(YANDEX, stream=True),
        lambda: native(completionOptions={"stream": True}),
    ):
        server.answers.append(pieces)
        answer = ask()
        assert answer.status_code == 200
        *before, last = payloads(answer)
        assert "Hel" in json.dumps(before)
        assert told in last["error"]["message"]


def test_both_adapters_raise_what_it_means(speaking, server):
    words = {"api_key": "test-key", "folder_id": "test-folder", "max_retries": 0}
    model = ChatYandex(model="yandexgpt", base_url=speaking.chat_url, **words)
    llm = YandexLLM(model="yandexgpt", base_url=speaking.native_url, api="completion", **words)
    server.answers.extend([(400, OVERFLOW)] * 2)
    with pytest.raises(ContextOverflowError, match="no more than 4096, got 9031"):
        model.invoke("Hi")
    with pytest.raises(ContextOverflowError):
        llm.complete("Hi")
    broken: list = [*STREAM[:2], None]
    server.answers.extend([broken, broken])
    with pytest.raises((ServerError, StreamInterrupted), match="broke off its answer"):
        list(model.stream("Hi"))
    with pytest.raises((ServerError, StreamInterrupted), match="broke off its answer"):
        list(llm.stream_complete("Hi"))


def test_a_server_that_is_not_there():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        with Emulator(upstream=Upstream(url, "m")) as emulator:
            body = {"model": OPEN, "messages": [{"role": "user", "content": "Hi"}]}
            for fields in ({}, {"stream": True}):
                address = f"{emulator.chat_url}/chat/completions"
                answer = httpx.post(address, json=body | fields, headers=KEY)
                assert answer.status_code == 503
                told = answer.json()["error"]["message"]
                assert told == (
                    f"The upstream {url} can't be reached: start it, or correct --upstream"
                )


def test_which_model_is_meant_must_be_plain(chat, server):
    with Emulator(upstream=Upstream(server.url)) as emulator:
        for models, told in ((["a", "b"], "one of a, b"), ([], "the name of its model")):
            server.models = models
            body = {"model": OPEN, "messages": [{"role": "user", "content": "Hi"}]}
            answer = httpx.post(f"{emulator.chat_url}/chat/completions", json=body, headers=KEY)
            assert answer.status_code == 500
            assert answer.json()["error"]["message"].endswith(f"give --upstream-model {told}")


def test_keys_folders_and_scripts_come_first(chat, speaking, server):
    assert "folder" in chat("gpt://other/yandexgpt").json()["error"]["message"]
    speaking.script({"text": "scripted"})
    assert chat().json()["choices"][0]["message"]["content"] == "scripted"
    assert chat(model="gpt://test-folder/nothing").status_code == 400
    assert server.asked == []


def test_the_quota_holds_and_a_client_that_leaves_frees_its_place(chat, speaking, server):
    gate = threading.Event()
    server.answers.append([*STREAM[:2], gate])
    body = {"model": OPEN, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    url = f"{speaking.chat_url}/chat/completions"
    with httpx.stream("POST", url, json=body, headers=KEY) as answer:
        lines = answer.iter_lines()
        while "Hel" not in next(lines):
            pass
        assert chat().status_code == 429
    assert server.hung_up.wait(5)
    speaking.settle()
    server.answers.append((200, whole(content="Hello")))
    assert chat().status_code == 200
    [left, *_] = speaking.ledger
    assert (left["closed_early"], left["text"], left["ended"]) == (True, "Hel", False)


@pytest.mark.parametrize("fields", [{}, {"stream": True}])
def test_a_client_that_leaves_before_the_first_piece_ends_the_upstream_s_work(
    chat, speaking, server, fields
):
    server.answers.append([threading.Event()])
    body = {"model": OPEN, "messages": [{"role": "user", "content": "Hi"}], **fields}
    with contextlib.suppress(httpx.ReadTimeout):
        url = f"{speaking.chat_url}/chat/completions"
        httpx.post(url, json=body, headers=KEY, timeout=httpx.Timeout(5, read=0.2))
    assert server.hung_up.wait(5)
    speaking.settle()
    assert speaking.ledger[-1]["closed_early"]
    server.answers.append((200, whole(content="Hello")))
    assert chat().status_code == 200


@pytest.mark.parametrize("kind", ["cut", "stall", "reset-after-head", "slow", "429"])
def test_faults_strike_a_live_stream(chat, speaking, server, kind):
    server.answers.append([*STREAM, *END])
    speaking.faults(1.0, kinds=[kind], stall=0.01)
    if kind in ("cut", "reset-after-head"):
        with pytest.raises(httpx.HTTPError):
            chat(stream=True)
    else:
        assert chat(stream=True).status_code == (429 if kind == "429" else 200)
    speaking.settle()
    [row] = speaking.ledger
    assert row["fault"] == kind
    assert row["whole"] is (kind not in ("cut", "reset-after-head"))
    assert row["text"] == (None if kind == "429" else "Hello") or kind == "reset-after-head"


def test_a_deferred_answer_is_the_upstream_s(native, speaking, server):
    server.answers.append((200, whole(content="Hello")))
    operation = native("completionAsync").json()["id"]
    done = httpx.get(f"{speaking.url}/operations/{operation}", headers=KEY).json()
    assert done["response"]["alternatives"][0]["message"]["text"] == "Hello"


def test_a_streamed_answer_is_stored_as_it_ended(chat, speaking, server):
    server.answers.append([*STREAM, *END])
    [first, *_] = payloads(chat(stream=True, store=True))
    url = f"{speaking.chat_url}/chat/completions/{first['id']}"
    kept = httpx.get(url, headers=KEY).json()
    assert kept["choices"][0]["message"]["content"] == "Hello"


def test_tokens_are_those_of_the_upstream_s_tokenizer(native, speaking, server):
    pieces = [{"id": 9, "piece": "Hi"}, {"id": 3, "piece": [32, 240, 159]}]
    server.answers.extend([(200, {"prompt": "<|user|>Hi"}), (200, {"tokens": pieces})])
    told = native("tokenizeCompletion").json()["tokens"]
    assert told == [
        {"id": "9", "text": "Hi", "special": False},
        {"id": "3", "text": " \ufffd", "special": False},
    ]
    (_, asked, _), (path, counted, _) = server.asked
    assert asked == {"messages": [{"role": "user", "content": "Hi"}]}
    assert (path, counted) == ("/tokenize", {"content": "<|user|>Hi", "with_pieces": True})


@pytest.mark.parametrize("answer", [(404, {"error": "?"}), (200, {"tokens": [1, 2], "count": 2})])
def test_without_such_a_tokenizer_the_emulator_counts(speaking, server, answer):
    server.answers.append(answer)
    words = {"api_key": "test-key", "folder_id": "test-folder", "api": "completion"}
    with YandexClient(base_url=speaking.native_url, **words) as client:
        assert [token.text for token in client.tokenize("Hi you", model="yandexgpt")] == [
            "<s>", "Hi", " you",
        ]  # fmt: skip


def test_a_scripted_count_wins(native, speaking, server):
    speaking.script({"path": "/foundationModels/v1/tokenize", "status": 503, "body": "no"})
    address = f"{speaking.native_url}/tokenize"
    answer = httpx.post(address, json={"modelUri": YANDEX, "text": "Hi"}, headers=KEY)
    assert answer.status_code == 503
    assert server.asked == []


COMMAND = [sys.executable, "-m", "yandex_compat.emulator", "--port", "0", "--until-eof"]


def test_the_command_takes_an_upstream_and_its_key_from_the_environment(speaking, server):
    server.answers.append((200, whole(content="Hello")))
    words = ["--upstream", server.url, "--upstream-model", "m", "--upstream-key-env", "MY_KEY"]
    with subprocess.Popen(
        [*COMMAND, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"MY_KEY": "k-1", "HTTP_PROXY": "http://127.0.0.1:9"},
    ) as process:
        url = process.stdout.readline().strip()
        model = ChatYandex(base_url=url, api_key="emulator-key", folder_id="emulator-folder")
        assert model.invoke("Hi").text == "Hello"
        process.stdin.close()
    assert process.returncode == 0
    [(_, body, key)] = server.asked
    assert (body["model"], key) == ("m", "Bearer k-1")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--upstream", "127.0.0.1:1"], "127.0.0.1:1 is no address such as http://HOST:PORT/v1"),
        (["--upstream", "http://u:pass@h/v1"], "no key in the address: set UPSTREAM_API_KEY"),
        (["--upstream", "http://h/v1?key=pass@"], "no key in the address: set UPSTREAM_API_KEY"),
        (["--upstream", "http://[::1/v1"], "http://[::1/v1 is no address"),
        (["--upstream", "http://h:99999/v1"], "http://h:99999/v1 is no address"),
        (["--upstream", "http://h:x/v1"], "http://h:x/v1 is no address"),
        (["--upstream-model", "m"], "--upstream-model goes with --upstream"),
        (["--upstream", "http://h", "--upstream-key-env", "NO_KEY"], "there is no variable NO_KEY"),
        (["--upstream", "http://h", "--local"], "not allowed with argument"),
    ],
)
def test_words_that_make_no_sense_are_refused_in_one_line(words, told):
    ended = subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, stdin=subprocess.PIPE
    )
    assert ended.returncode == 2
    assert told in ended.stderr.splitlines()[-1]
    assert "pass@" not in ended.stderr


@pytest.mark.parametrize("key", ["a-key\n", "a key", "ключ"])
def test_a_key_that_is_none_is_refused_in_one_line(key):
    ended = subprocess.run(
        [*COMMAND, "--upstream", "http://h/v1"],
        capture_output=True,
        text=True,
        stdin=subprocess.PIPE,
        env={"UPSTREAM_API_KEY": key},
    )
    assert ended.returncode == 2
    assert "UPSTREAM_API_KEY holds a sign that no key has" in ended.stderr.splitlines()[-1]
    assert key.strip() not in ended.stderr
