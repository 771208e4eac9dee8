"""The native API of the emulator: its shapes, and what it refuses (WIRE B, C, Endpoints)."""

import itertools
import json

import httpx
import pytest

YANDEX = "gpt://test-folder/yandexgpt/latest"
HI = {"role": "user", "text": "Hello there, how are you today?"}
TWO = {
    "tool_calls": [
        {"name": "add", "arguments": {"a": 1, "b": [2, {"c": 3}], "d": "4", "e": True, "f": 0.5}},
        {"name": "now"},
    ]
}


@pytest.fixture
def native(client, emulator):
    """Post to the native API; headers and body as given."""

    def post(path, body, **headers):
        return client.post(f"{emulator.native_url}/{path}", json=body, headers=headers)

    return post


@pytest.fixture
def complete(native):
    """Ask for a completion; options are those of completionOptions."""

    def complete(*messages, options=None, **fields):
        body = {"modelUri": YANDEX, "messages": list(messages) or [HI], **fields}
        if options is not None:
            body["completionOptions"] = options
        return native("completion", body)

    return complete


@pytest.fixture
def lines(complete):
    def lines(*messages, **fields):
        answer = complete(*messages, options={"stream": True}, **fields)
        assert answer.status_code == 200, answer.text
        assert answer.text.endswith("\n")
        return [json.loads(line) for line in answer.text.splitlines()]

    return lines


def calls(*names):
    made = [{"functionCall": {"name": name, "arguments": {}}} for name in names]
    return {"role": "assistant", "toolCallList": {"toolCalls": made}}


def results(*names):
    made = [{"functionResult": {"name": name, "content": "done"}} for name in names]
    return {"role": "user", "toolResultList": {"toolResults": made}}


def tool(name, **function):
    return {"function": {"name": name, **function}}


def test_a_whole_answer_is_wrapped_and_counts_in_texts(complete):  # WIRE B5
    body = complete().json()
    assert list(body) == ["result"]
    result = body["result"]
    assert list(result) == ["alternatives", "usage", "modelVersion"]
    [alternative] = result["alternatives"]
    assert alternative["message"] == {
        "role": "assistant",
        "text": "You said: Hello there, how are you today?",
    }
    assert alternative["status"] == "ALTERNATIVE_STATUS_FINAL"
    usage = result["usage"]
    assert usage.pop("completionTokensDetails") == {}
    assert all(isinstance(number, str) for number in usage.values())
    read, written, total = map(int, usage.values())
    assert read + written == total


def test_reasoning_is_hidden_and_counted(complete, emulator):  # WIRE B1
    emulator.script({"text": "Yes", "reasoning": "I think so"})
    options = {"reasoningOptions": {"mode": "ENABLED_HIDDEN"}}
    result = complete(options=options).json()["result"]
    assert "think" not in json.dumps(result)
    assert int(result["usage"]["completionTokensDetails"]["reasoningTokens"]) > 0


def test_lines_hold_the_whole_text_so_far_and_growing_usage(lines, emulator):  # WIRE B6
    emulator.script({"text": "one two three four five six"})
    results = [line["result"] for line in lines()]
    texts = [result["alternatives"][0]["message"]["text"] for result in results]
    assert len(texts) == 3
    assert all(later.startswith(text) for text, later in itertools.pairwise(texts))
    assert texts[-1] == "one two three four five six"
    statuses = [result["alternatives"][0]["status"] for result in results]
    assert statuses == ["ALTERNATIVE_STATUS_PARTIAL"] * 2 + ["ALTERNATIVE_STATUS_FINAL"]
    written = [int(result["usage"]["completionTokens"]) for result in results]
    assert written == sorted(set(written))


def test_calls_have_no_ids_and_their_numbers_are_doubles(complete, emulator):  # WIRE B3, B4
    emulator.script(TWO)
    answer = complete()
    assert '"a":1.0,"b":[2.0,{"c":3.0}],"d":"4","e":true,"f":0.5' in answer.text
    [alternative] = answer.json()["result"]["alternatives"]
    assert alternative["status"] == "ALTERNATIVE_STATUS_TOOL_CALLS"
    message = alternative["message"]
    assert message.keys() == {"role", "toolCallList"}
    first, second = message["toolCallList"]["toolCalls"]
    assert list(first["functionCall"]) == ["name", "arguments"]
    assert second == {"functionCall": {"name": "now", "arguments": {}}}


def test_calls_in_a_stream_come_in_a_last_line_without_text(lines, emulator):  # WIRE B7
    emulator.script({**TWO, "text": "Let me see"})
    *_, before, last = [line["result"]["alternatives"][0] for line in lines()]
    assert before["message"]["text"] == "Let me see"
    assert before["status"] == "ALTERNATIVE_STATUS_PARTIAL"
    assert "text" not in last["message"]
    assert len(last["message"]["toolCallList"]["toolCalls"]) == 2


def test_a_content_filter_replaces_the_text(lines, complete, emulator):  # WIRE B7
    script = {"text": "one two", "finish_reason": "content_filter", "replaced_by": "I can't."}
    emulator.script(script, script)
    first, *_, last = [line["result"]["alternatives"][0] for line in lines()]
    assert first["message"]["text"].startswith("one")
    assert last["message"]["text"] == "I can't."
    assert last["status"] == "ALTERNATIVE_STATUS_CONTENT_FILTER"
    [whole] = complete().json()["result"]["alternatives"]
    assert whole == last


def test_the_limit_cuts_and_says_so(complete):  # WIRE B7
    [alternative] = complete(options={"maxTokens": "2"}).json()["result"]["alternatives"]
    assert alternative["message"]["text"] == "You said"
    assert alternative["status"] == "ALTERNATIVE_STATUS_TRUNCATED_FINAL"


def test_scripts_cut_and_break_streams(lines, emulator):
    emulator.script({"text": "one two three", "cut_after": 1}, {"text": "x", "error_after": 0})
    assert len(lines()) == 1
    [broken] = lines()
    assert broken["error"]["grpcCode"] == 13


def test_the_responder_calls_and_answers(complete):
    add = tool(
        "add",
        description="Add two numbers",
        parameters={
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    )
    asked = {"role": "user", "text": "Please add 2 and 3"}
    [first] = complete(asked, tools=[add]).json()["result"]["alternatives"]
    assert first["message"]["toolCallList"]["toolCalls"] == [
        {"functionCall": {"name": "add", "arguments": {"a": 2.0, "b": 3.0}}}
    ]
    [second] = complete(asked, first["message"], results("add"), tools=[add]).json()["result"][
        "alternatives"
    ]
    assert second["message"]["text"] == "Here is what I found: done"
    for choice in ({"mode": "NONE"}, None):
        told = complete(asked, tools=[add], **({"toolChoice": choice} if choice else {}))
        called = "toolCallList" in told.json()["result"]["alternatives"][0]["message"]
        assert called is (choice is None)
    for choice in ({"mode": "REQUIRED"}, {"functionName": "add"}):
        told = complete(HI, tools=[add, tool("now")], toolChoice=choice)
        assert "toolCallList" in told.json()["result"]["alternatives"][0]["message"]


@pytest.mark.parametrize(
    "form",
    [
        {"jsonObject": True},
        {
            "jsonSchema": {
                "schema": {"type": "object", "properties": {"answer": {"type": "string"}}}
            }
        },
    ],
)
def test_json_is_a_text(complete, form):  # WIRE B1
    [alternative] = complete(**form).json()["result"]["alternatives"]
    assert "answer" in json.loads(alternative["message"]["text"])


REFUSED = {
    "no message": ([], {}, "messages"),
    "unknown field": ([HI], {"topP": 0.5}, "topP"),
    "unknown option": ([HI], {"options": {"topP": 0.5}}, "topP"),
    "unknown role": ([{"role": "tool", "text": "a"}], {}, "role"),
    "image": ([{"role": "user", "text": "a", "image": "b"}], {}, "image"),
    "two contents": ([calls("a") | {"text": "a"}], {}, "exactly one of"),
    "no content": ([{"role": "user"}], {}, "exactly one of"),
    "calls of a user": ([calls("a") | {"role": "user"}], {}, "assistant"),
    "results of an assistant": ([calls("a"), results("a") | {"role": "assistant"}], {}, "user"),
    "one function twice": ([HI, calls("a", "a"), results("a", "a")], {}, "one function call"),
    "a result missing": ([HI, calls("a", "b"), results("a")], {}, "a, b"),
    "all results missing": ([HI, calls("a")], {}, "no results"),
    "another follows": ([HI, calls("a"), HI], {}, "results of a"),
    "a stray result": ([HI, results("a")], {}, "must follow"),
    "hot": ([HI], {"options": {"temperature": 1.1}}, "temperature"),
    "a count that is no text": ([HI], {"options": {"maxTokens": 5}}, "maxTokens"),
    "cold": ([HI], {"options": {"temperature": -0.1}}, "temperature"),
    "a count of words": ([HI], {"options": {"maxTokens": "five"}}, "maxTokens"),
    "a count above 64 bits": ([HI], {"options": {"maxTokens": "9" * 19}}, "64 bits"),
    "a call without a function": (
        [{"role": "assistant", "toolCallList": {"toolCalls": [{}]}}],
        {},
        "functionCall",
    ),
    "a call with an id": (
        [
            {
                "role": "assistant",
                "toolCallList": {
                    "toolCalls": [{"functionCall": {"name": "a", "arguments": {}, "id": "1"}}]
                },
            }
        ],
        {},
        "id",
    ),
    "a count of nothing": ([HI], {"options": {"maxTokens": "0"}}, "greater than zero"),
    "both forms": ([HI], {"jsonObject": True, "jsonSchema": {"schema": {}}}, "only one"),
    "no such function": ([HI], {"tools": [tool("a")], "toolChoice": {"functionName": "b"}}, "'b'"),
    "two choices": (
        [HI],
        {"tools": [tool("a")], "toolChoice": {"functionName": "a", "mode": "AUTO"}},
        "exactly one",
    ),
    "nothing to require": ([HI], {"toolChoice": {"mode": "REQUIRED"}}, "no tools"),
    "two of one name": ([HI], {"tools": [tool("a"), tool("a")]}, "twice"),
    "arguments as text": (
        [
            {
                "role": "assistant",
                "toolCallList": {"toolCalls": [{"functionCall": {"name": "a", "arguments": "{}"}}]},
            }
        ],
        {},
        "arguments",
    ),
    "too long": ([{"role": "user", "text": "слово " * 40_000}], {}, "32000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_by_name(native, name):
    messages, fields, named = REFUSED[name]
    fields = dict(fields)
    body = {
        "modelUri": YANDEX,
        "messages": messages,
        "completionOptions": fields.pop("options", {}),
    }
    answer = native("completion", body | fields)
    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]
    assert answer.json()["error"]["grpcCode"] == 3


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("yandexgpt", "Failed to parse model URI"),
        ("gpt://test-folder/qwen3-235b-a22b-fp8", "not available in this API"),
        ("gpt://test-folder/aliceai-llm/latest", "not available in this API"),
        ("emb://test-folder/text-search-doc/latest", "invalid model_uri"),
        ("gpt://other/yandexgpt", "does not match"),
    ],
)
def test_models_are_checked(native, model, named):
    for path in ("completion", "completionAsync", "tokenizeCompletion"):
        answer = native(path, {"modelUri": model, "messages": [HI]})
        assert answer.status_code == 400
        assert named in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", 401),
        ("Api-Key test-key", 200),
        ("Bearer t1.test-token", 200),
        ("Bearer test-key", 401),  # which the chat API takes
        ("Api-Key wrong", 401),
    ],
)
def test_a_bearer_is_an_iam_token_here(native, emulator, authorization, status):
    body = {"modelUri": YANDEX, "messages": [HI]}
    assert native("completion", body, Authorization=authorization).status_code == status
    url = f"{emulator.url}/operations/none"
    told = httpx.get(url, headers={"Authorization": authorization})
    assert told.status_code == (404 if status == 200 else 401)


def test_another_s_folder_is_refused(native):
    answer = native(
        "completion", {"modelUri": YANDEX, "messages": [HI]}, **{"x-folder-id": "other"}
    )
    assert answer.status_code == 400
    assert "does not match" in answer.json()["error"]["message"]


def test_the_quota_is_shared_by_both_apis(complete, ask, emulator):
    import concurrent.futures

    emulator.script(*[{"text": "late", "gate": True}] * 10)
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(ask if number % 2 else complete) for number in range(10)]
        while len(emulator.requests) < 10:
            pass
        refused = [complete().status_code, ask().status_code]
        for _ in range(10):
            emulator.release()
        assert [one.result().status_code for one in waiting] == [200] * 10
    assert refused == [429, 429]


# Deferred generation


@pytest.fixture
def operation(client, emulator):
    def operation(id_):
        return client.get(f"{emulator.url}/operations/{id_}")

    return operation


def test_an_operation_takes_its_time(native, operation, emulator):
    path = "/foundationModels/v1/completionAsync"
    emulator.script({"path": path, "text": "At last", "gate": True})
    begun = native("completionAsync", {"modelUri": YANDEX, "messages": [HI]}).json()
    assert begun["done"] is False
    assert not {"response", "error", "result"} & begun.keys()
    assert operation(begun["id"]).json()["done"] is False
    emulator.release()
    done = operation(begun["id"]).json()
    assert done["done"] is True
    response = done["response"]
    assert response["@type"].startswith("type.googleapis.com/")
    assert response["alternatives"][0]["message"]["text"] == "At last"
    assert response["usage"]["totalTokens"]


def test_an_operation_may_fail(native, operation, emulator):
    emulator.script({"error_after": 0})
    begun = native("completionAsync", {"modelUri": YANDEX, "messages": [HI]}).json()
    done = operation(begun["id"]).json()
    assert done["done"] is True
    assert done["error"] == {"code": 13, "message": "Internal error", "details": []}
    assert "response" not in done


def test_operations_by_rules_and_wrong_ones(native, operation):
    begun = native("completionAsync", {"modelUri": YANDEX, "messages": [HI]}).json()
    told = operation(begun["id"]).json()["response"]["alternatives"][0]["message"]["text"]
    assert told == "You said: Hello there, how are you today?"
    assert operation("unknown").status_code == 404
    body = {"modelUri": YANDEX, "messages": [HI], "completionOptions": {"stream": True}}
    assert native("completionAsync", body).status_code == 400


# Tokens and vectors


def test_tokens_of_a_text_and_of_a_conversation(native):  # WIRE Endpoints
    told = native("tokenize", {"modelUri": YANDEX, "text": "Привет, мир"}).json()
    assert told["modelVersion"]
    first, *rest = told["tokens"]
    assert first == {"id": "1", "text": "<s>", "special": True}
    assert "".join(token["text"] for token in rest) == "Привет, мир"
    assert all(token["id"].isdecimal() and token["special"] is False for token in rest)
    again = native("tokenize", {"modelUri": YANDEX, "text": "Привет, мир"}).json()
    assert again == told
    talk = {"modelUri": YANDEX, "messages": [HI, calls("a"), results("a")], "tools": [tool("a")]}
    assert len(native("tokenizeCompletion", talk).json()["tokens"]) > 20
    assert native("tokenize", {"modelUri": YANDEX}).status_code == 400


def test_native_embeddings(native, client):  # WIRE Endpoints
    model = "emb://test-folder/text-search-doc/latest"
    told = native("textEmbedding", {"modelUri": model, "text": "Привет"}).json()
    assert told["numTokens"] == "1"
    assert told["modelVersion"]
    other = client.post("/embeddings", json={"model": model, "input": ["Привет"]}).json()
    assert told["embedding"] == other["data"][0]["embedding"]
    for body in (
        {"modelUri": model, "text": " "},
        {"modelUri": model},
        {"modelUri": YANDEX, "text": "a"},
    ):
        assert native("textEmbedding", body).status_code == 400


def test_a_conversation_to_count_is_checked_as_one_to_answer(native):  # WIRE B3
    talk = {"modelUri": YANDEX, "messages": [HI, calls("a", "a"), results("a", "a")]}
    answer = native("tokenizeCompletion", talk)
    assert answer.status_code == 400
    assert "one function call" in answer.json()["error"]["message"]
    assert native("tokenize", {"modelUri": YANDEX, "text": "a", "b": 1}).status_code == 400


@pytest.mark.parametrize("path", ["tokenize", "tokenizeCompletion", "textEmbedding"])
def test_every_endpoint_needs_a_key(native, path):
    assert native(path, {}, Authorization="Api-Key wrong").status_code == 401


def test_reasoning_that_is_off_is_not_counted(complete):  # WIRE B1
    answer = complete(options={"reasoningOptions": {"mode": "DISABLED"}})
    assert answer.json()["result"]["usage"]["completionTokensDetails"] == {}


def test_reasoning_is_a_part_of_what_is_generated(complete, emulator):  # WIRE B6
    emulator.script({"text": "one two three four five", "reasoning": "a b c d e f g h"})
    options = {"stream": True, "reasoningOptions": {"mode": "ENABLED_HIDDEN"}}
    told = [json.loads(line) for line in complete(options=options).text.splitlines()]
    usages = [line["result"]["usage"] for line in told]
    thought = [int(usage["completionTokensDetails"]["reasoningTokens"]) for usage in usages]
    assert all(
        part <= int(usage["completionTokens"]) for part, usage in zip(thought, usages, strict=True)
    )
    assert thought[-1] == 8
