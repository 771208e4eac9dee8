"""Stored chat completions: kept, listed, told, labelled anew, deleted (WIRE A14)."""

import asyncio

import httpx
import pytest

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import (
    APIError,
    ConfigurationError,
    MalformedAnswer,
    Message,
    NotFoundError,
    ServerError,
    Tool,
    UnsupportedError,
    YandexClient,
)
from yandex_compat.emulator import Emulator

PATH = "/v1/chat/completions"


@pytest.fixture
def words(emulator):
    return {"api_key": "test-key", "folder_id": "test-folder", "base_url": emulator.chat_url}


@pytest.fixture
def client(words):
    with YandexClient(**words, supports_store=True) as made:
        yield made


@pytest.fixture
def seven(client, request_of, emulator):
    """Seven completions, of two models and with two labels, the oldest first."""
    for number in range(7):
        model = "yandexgpt" if number % 2 else "qwen3-235b-a22b-fp8"
        client.complete(
            request_of(
                messages=(Message("user", f"Hi {number}"),),
                model=model,
                store=True,
                store_metadata={"even": str(number % 2 == 0), "run": "a"},
            )
        )
    client.complete(request_of())  # which is not to be kept
    return [f"You said: Hi {number}" for number in range(7)]


def texts(stored):
    return [one.completion.text for one in stored]


def listed(client, asynchronous, **given):
    if not asynchronous:
        return list(client.stored.list(**given))

    async def collected():
        return [one async for one in client.stored.alist(**given)]

    return asyncio.run(collected())


def asked(client, asynchronous, method, *given, **named):
    if asynchronous:
        return asyncio.run(getattr(client.stored, f"a{method}")(*given, **named))
    return getattr(client.stored, method)(*given, **named)


every_way = pytest.mark.parametrize("asynchronous", [False, True])


@every_way
@pytest.mark.parametrize("limit", [None, 1, 3, 7, 100])
def test_all_pages_in_turn(client, seven, emulator, asynchronous, limit):
    before = len(emulator.requests)
    assert texts(listed(client, asynchronous, limit=limit)) == seven
    pages = {None: 1, 1: 7, 3: 3, 7: 1, 100: 1}[limit]
    assert len(emulator.requests) - before == pages


@every_way
def test_the_newest_first(client, seven, asynchronous):
    assert texts(listed(client, asynchronous, order="desc", limit=2)) == seven[::-1]


@every_way
def test_only_those_of_a_model_or_a_label(client, seven, emulator, asynchronous):
    model = "gpt://test-folder/yandexgpt/latest"
    assert texts(listed(client, asynchronous, model=model)) == seven[1::2]
    even = {"even": "True", "run": "a"}
    assert texts(listed(client, asynchronous, metadata=even, limit=3)) == seven[::2]
    assert emulator.requests[-1]["query"].count("metadata%5B") == 2
    assert listed(client, asynchronous, metadata={"run": "b"}) == []


@every_way
def test_a_page(client, seven, asynchronous):
    first = asked(client, asynchronous, "page", limit=3)
    assert texts(first.data) == seven[:3]
    assert (first.first_id, first.last_id) == (first.data[0].id, first.data[2].id)
    assert first.has_more
    last = asked(client, asynchronous, "page", after=first.last_id)
    assert texts(last.data) == seven[3:]
    assert not last.has_more


@every_way
def test_one_is_told_labelled_anew_and_deleted(client, seven, asynchronous):
    [one, *_] = listed(client, asynchronous)
    told = asked(client, asynchronous, "retrieve", one.id)
    assert told == one
    assert told.metadata == {"even": "True", "run": "a"}
    assert told.created > 1_600_000_000
    assert told.completion.finish_reason == "stop"
    assert told.completion.usage.total_tokens > 0
    changed = asked(client, asynchronous, "update", one.id, {"kept": "no"})
    assert changed.metadata == {"kept": "no"}
    assert asked(client, asynchronous, "retrieve", one.id).metadata == {"kept": "no"}
    [said] = asked(client, asynchronous, "messages", one.id)
    assert (said["role"], said["content"]) == ("user", "Hi 0")
    assert asked(client, asynchronous, "delete", one.id) is None
    with pytest.raises(NotFoundError):
        asked(client, asynchronous, "retrieve", one.id)
    assert texts(listed(client, asynchronous)) == seven[1:]


@every_way
def test_all_pages_of_what_was_said(client, request_of, emulator, asynchronous):
    turns = [Message(("user", "assistant")[n % 2], f"Turn {n}") for n in range(45)]
    client.complete(request_of(messages=tuple(turns), store=True))
    [one] = client.stored.list()
    before = len(emulator.requests)
    said = asked(client, asynchronous, "messages", one.id)
    assert [message["content"] for message in said] == [turn.text for turn in turns]
    assert len(emulator.requests) - before == 3  # of twenty each


def test_a_streamed_one_is_kept_too(client, request_of):
    list(client.stream(request_of(store=True)))
    assert texts(client.stored.list()) == ["You said: Hi"]


def test_calls_are_told(client, request_of, emulator):
    emulator.script({"tool_calls": [{"name": "f", "arguments": {"a": 1}}]})
    client.complete(request_of(store=True))
    [one] = client.stored.list()
    assert one.completion.tool_calls[0].parsed_arguments == {"a": 1}


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
def test_both_adapters_store(kind, words, client, emulator):
    model = kind(**words, supports_store=True, store=True, store_metadata={"team": "search"})
    (model.invoke if kind is ChatYandex else model.complete)("Hi")
    assert emulator.requests[-1]["body"]["store"] is True
    assert emulator.requests[-1]["body"]["metadata"] == {"team": "search"}
    [one] = client.stored.list(metadata={"team": "search"})
    assert one.completion.text == "You said: Hi"


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ({"store": True}, UnsupportedError, "supports_store"),
        ({"store_metadata": {"a": "b"}}, ConfigurationError, "store=True"),
        ({"supports_store": True, "store": True, "store_metadata": {"a": 5}}, Exception, "store_m"),
        (
            {"api": "completion", "supports_store": True, "store": True},
            UnsupportedError,
            "store: the native API",
        ),
    ],
)
def test_what_can_not_be_stored_is_refused_at_construction(kind, words, given, error, named):
    with pytest.raises(error, match=named):
        kind(**words, **given)


def test_not_to_store_is_what_happens_anyway(words, emulator):
    ChatYandex(**words, store=False).invoke("Hi")
    assert "store" not in emulator.requests[-1]["body"]


@pytest.mark.parametrize("base_url", [None, "https://llm.api.cloud.yandex.net/v1"])
@every_way
def test_of_the_service_the_error_says_so(client_over, base_url, asynchronous):
    """Before any request: the handler answers none."""
    made = client_over(lambda _: pytest.fail("it was asked"), base_url=base_url)
    with pytest.raises(UnsupportedError, match="currently not supported"):
        listed(made, asynchronous)
    for method, given in (("retrieve", ("a",)), ("delete", ("a",)), ("update", ("a", {}))):
        with pytest.raises(UnsupportedError, match="currently not supported"):
            asked(made, asynchronous, method, *given)


def test_a_server_without_them_says_so_itself():
    with Emulator(refuse_unsupported=True) as bare:
        known = {"api_key": "test-key", "folder_id": "test-folder", "base_url": bare.chat_url}
        with pytest.raises(ServerError, match="not supported") as raised:
            list(YandexClient(**known, max_retries=0).stored.list())
        assert raised.value.status_code == 501


@pytest.mark.parametrize(
    ("words_", "named"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
        ({"order": "new"}, "order"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": "a"}, "metadata"),
    ],
)
def test_wrong_words_are_refused(client, emulator, words_, named):
    with pytest.raises(ConfigurationError, match=named):
        client.stored.page(**words_)
    with pytest.raises(ConfigurationError, match="id"):
        client.stored.retrieve("")
    assert emulator.requests == []


def test_an_id_is_one_part_of_the_path(client, emulator):
    with pytest.raises(NotFoundError):
        client.stored.retrieve("../models")
    assert emulator.requests[-1]["path"] != "/v1/models"


@pytest.mark.parametrize("id_", [".", "..", "..."])
def test_an_id_of_dots_would_be_another_endpoint(client, emulator, id_):
    with pytest.raises(ConfigurationError, match="id="):
        client.stored.delete(id_)
    assert emulator.requests == []


@every_way
@pytest.mark.parametrize("page", [{"data": [], "last_id": "a", "has_more": True}, {"data": []}])
def test_an_empty_page_is_the_last(client, emulator, asynchronous, page):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    made = YandexClient(
        api_key="k",
        folder_id="f",
        base_url="https://h.test/v1",
        http_client=httpx.Client(transport=transport),
        http_async_client=httpx.AsyncClient(transport=transport),
    )
    assert listed(made, asynchronous) == []


def test_all_answers_of_one_are_told(client, request_of):
    client.complete(request_of(model="qwen3-235b-a22b-fp8", n=2, store=True))
    [one] = client.stored.list()
    assert [other.text for other in one.completion.alternatives] == ["You said: Hi"]


@pytest.mark.parametrize("body", ["<html>", [], {}, {"data": [{}]}, {"data": 5}])
def test_another_shape_is_malformed(client_over, body):
    answer = {"text": body} if isinstance(body, str) else {"json": body}
    made = client_over(lambda _: httpx.Response(200, **answer), base_url="https://h.test/v1")
    for method, given in (("page", ()), ("retrieve", ("a",)), ("messages", ("a",))):
        if method == "messages" and body == {"data": [{}]}:
            continue  # a message may be of any shape
        with pytest.raises(MalformedAnswer):
            getattr(made.stored, method)(*given)


def test_one_without_an_id_is_malformed(client_over):
    one = {"choices": [{"message": {"content": "Hi"}}]}
    made = client_over(lambda _: httpx.Response(200, json=one), base_url="https://h.test/v1")
    with pytest.raises(MalformedAnswer):
        made.stored.retrieve("a")


@every_way
@pytest.mark.parametrize("model", ["yandexgpt", "yandexgpt/latest", "gpt://test-folder/yandexgpt"])
def test_a_model_is_named_as_anywhere_else(client, seven, asynchronous, model):
    assert texts(listed(client, asynchronous, model=model)) == seven[1::2]


@every_way
def test_a_server_that_knows_no_after_is_found_out(asynchronous):
    one = {"id": "x", "choices": [{"message": {"content": "Hi"}}]}
    page = {"data": [one], "last_id": "x", "has_more": True}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    made = YandexClient(
        api_key="k",
        folder_id="f",
        base_url="https://h.test/v1",
        http_client=httpx.Client(transport=transport),
        http_async_client=httpx.AsyncClient(transport=transport),
    )
    with pytest.raises(MalformedAnswer, match="after"):
        listed(made, asynchronous)
    with pytest.raises(MalformedAnswer, match="after"):
        asked(made, asynchronous, "messages", "x")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "boom", "code": 13}}, APIError),
        ({"id": "x", "deleted": False}, MalformedAnswer),
        ("<html>login</html>", MalformedAnswer),
    ],
)
def test_a_deletion_that_did_not_happen_is_told(client_over, body, kind):
    answer = {"text": body} if isinstance(body, str) else {"json": body}
    made = client_over(lambda _: httpx.Response(200, **answer), base_url="https://h.test/v1")
    with pytest.raises(kind):
        made.stored.delete("x")


def test_wrong_words_of_a_list_are_told_at_once(client, emulator):
    for wrong in (
        {"ordre": "asc"},
        {"order": "bad"},
        {"limit": 0},
        {"limit": True},
        {"metadata": {"a": 1}},
    ):
        for method in (client.stored.list, client.stored.alist):
            with pytest.raises(ConfigurationError):
                method(**wrong)
    assert emulator.requests == []


def test_what_is_told_twice_is_equal(client, request_of, emulator):
    tools = (Tool("f"),)
    emulator.script({"tool_calls": [{"name": "f"}]})
    client.complete(request_of(store=True, tools=tools))  # whose call has its name as id (WIRE A2)
    [one] = client.stored.list()
    assert one.completion.tool_calls[0].id != "f"
    assert client.stored.retrieve(one.id) == one


def test_only_the_first_of_several_answers_counts_the_tokens(client, request_of):
    client.complete(request_of(model="qwen3-235b-a22b-fp8", n=2, store=True))
    [one] = client.stored.list()
    assert [other.usage for other in one.completion.alternatives] == [None]


def test_a_server_without_messages_says_so(client_over):
    made = client_over(lambda _: httpx.Response(404), base_url="https://h.test/v1")
    with pytest.raises(NotFoundError, match="id that was asked for"):
        made.stored.messages("x")


def test_the_service_is_asked_where_a_user_says_it_keeps_them(client_over):
    seen = []

    def service(request):
        seen.append(request)
        return httpx.Response(200, json={"data": []})

    made = client_over(service, supports_store=True)
    assert list(made.stored.list()) == []
    assert seen[0].url.host == "ai.api.cloud.yandex.net"
    assert seen[0].headers["openai-project"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/a", None),
        ("POST", "/a", {"metadata": {}}),
        ("DELETE", "/a", None),
        ("GET", "/a/messages", None),
    ],
)
def test_the_emulator_keeps_them_behind_a_key(emulator, method, path, body):
    answer = httpx.request(method, f"{emulator.chat_url}/chat/completions{path}", json=body)
    assert answer.status_code == 401


@pytest.mark.parametrize("query", ["bogus=1", "limit=0", "limit=five", "order=up", "after=nobody"])
def test_the_emulator_refuses_words_of_a_list_that_it_does_not_know(emulator, seven, query):
    key = {"Authorization": "Api-Key test-key"}
    root = f"{emulator.chat_url}/chat/completions"
    assert httpx.get(f"{root}?{query}", headers=key).status_code == 400
    [one, *_] = httpx.get(root, headers=key).json()["data"]
    for path in (one["id"], f"{one['id']}/messages"):
        assert httpx.get(f"{root}/{path}?{query}", headers=key).status_code == 400
    update = {"metadata": {}, "bogus": 1}
    assert httpx.post(f"{root}/{one['id']}", headers=key, json=update).status_code == 400
