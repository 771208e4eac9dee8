"""IAM tokens: where each credential has them from, and that they are had once and in time."""

import asyncio
import gc
import json
import os
import pickle
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest

from langchain_yandex_compat import ChatYandex
from llamaindex_yandex_compat import YandexLLM
from yandex_compat import (
    AuthenticationError,
    CallableAuth,
    ConfigurationError,
    ConnectionFailed,
    IamTokenAuth,
    MalformedAnswer,
    MetadataAuth,
    OAuthAuth,
    RequestTimedOut,
    ServerError,
    ServiceAccountAuth,
    YandexClient,
    YandexError,
    iam,
)
from yandex_compat.hidden import Hidden
from yandex_compat.iam_tokens import IamToken, TokenKeeper

IAM = "/iam/v1/tokens"
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
OAUTH = "y0_test-oauth"
TOKEN = "t1.had-by-exchange"


def exchanges(emulator):
    return [one for one in emulator.requests if one["path"] in (IAM, METADATA)]


def fresh(auth):
    """The credential without the token that another test may have had with it."""
    auth._keeper._held = None
    return auth


def paths(emulator):
    return [one["path"] for one in emulator.requests]


@pytest.fixture
def auths(emulator, tmp_path):
    """Each kind of credential that is exchanged, made anew, at the emulator."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(emulator.authorized_key()), encoding="utf-8")
    return {
        "file": lambda: ServiceAccountAuth(path, url=emulator.iam_url),
        "path": lambda: ServiceAccountAuth(str(path), url=emulator.iam_url),
        "text": lambda: ServiceAccountAuth(path.read_text(), url=emulator.iam_url),
        "dict": lambda: ServiceAccountAuth(emulator.authorized_key(), url=emulator.iam_url),
        "oauth": lambda: OAuthAuth(OAUTH, url=emulator.iam_url),
        "metadata": lambda: MetadataAuth(url=emulator.url),
    }


@pytest.fixture
def made(emulator):
    """A client with a credential, whose tokens are nobody's yet."""
    emulator.expire_tokens()
    clients = []

    def make(auth, **words):
        known = {"folder_id": "test-folder", "base_url": emulator.chat_url, "max_retries": 0}
        clients.append(YandexClient(auth=auth, **(known | words)))
        return clients[-1]

    return make


every_kind = pytest.mark.parametrize("kind", ["file", "path", "text", "dict", "oauth", "metadata"])
every_way = pytest.mark.parametrize("asynchronous", [False, True])


def asked(client, request, asynchronous):
    return asyncio.run(client.acomplete(request)) if asynchronous else client.complete(request)


@every_way
@every_kind
def test_a_credential_is_exchanged_once_and_used(
    emulator, auths, made, request_of, kind, asynchronous
):
    client = made(fresh(auths[kind]()))
    for _ in range(3):
        assert asked(client, request_of(), asynchronous).text == "You said: Hi"
    assert len(exchanges(emulator)) == 1
    assert emulator.requests[-1]["headers"]["authorization"] == "Bearer ***"
    sent = exchanges(emulator)[0]
    assert sent["path"] == (METADATA if kind == "metadata" else IAM)
    if kind == "metadata":
        assert sent["headers"]["metadata-flavor"] == "Google"
    else:
        assert sent["body"] == "***"  # no secret stands in the emulator's log


def test_the_emulator_checks_what_a_jwt_says(emulator):  # WIRE Endpoints: authorized key
    """So that a client whose JWT it takes signs as the service wants it."""
    key = emulator.authorized_key()
    now = int(time.time())
    good = {
        "iss": key["service_account_id"],
        "aud": "https://iam.api.cloud.yandex.net/iam/v1/tokens",
        "iat": now,
        "exp": now + 3600,
    }

    def status(words, algorithm="PS256", kid=key["id"]):
        signed = jwt.encode(words, key["private_key"], algorithm, {"kid": kid})
        return httpx.post(emulator.iam_url, json={"jwt": signed}).status_code

    assert status(good) == 200
    assert status(good, algorithm="RS256") == 401
    assert status(good, kid="other") == 401
    assert status(good | {"iss": "other"}) == 401
    assert status(good | {"aud": emulator.iam_url}) == 401
    assert status(good | {"exp": now + 3700}) == 401
    assert status(good | {"iat": now - 7200, "exp": now - 3600}) == 401
    assert status({word: good[word] for word in ("iss", "aud", "iat")}) == 401
    assert httpx.post(emulator.iam_url, json={}).status_code == 400
    assert httpx.post(emulator.iam_url, json={"yandexPassportOauthToken": "x"}).status_code == 401
    assert httpx.get(f"{emulator.url}{METADATA}").status_code == 403


@every_way
def test_a_hundred_callers_at_expiry_make_one_exchange(
    emulator, auths, made, request_of, asynchronous
):
    client = made(auths["dict"]())
    client.complete(request_of())
    emulator.expire_tokens()
    fresh(client.auth)
    before = len(exchanges(emulator))
    if asynchronous:

        async def all_at_once():
            return await asyncio.gather(*(client.auth._keeper.atoken() for _ in range(100)))

        tokens = asyncio.run(all_at_once())
    else:
        with ThreadPoolExecutor(100) as threads:
            tokens = list(threads.map(lambda _: client.auth._keeper.token(), range(100)))
    assert len(set(tokens)) == 1
    assert len(exchanges(emulator)) - before == 1


def test_instances_of_one_credential_share_its_token(emulator, auths, made, request_of):
    for client in [made(fresh(auths["oauth"]())), *(made(auths["oauth"]()) for _ in range(2))]:
        client.complete(request_of())
    assert len(exchanges(emulator)) == 1


@every_way
def test_a_token_that_the_service_refuses_is_had_anew_once(
    emulator, auths, made, request_of, asynchronous
):
    client = made(auths["file"]())
    client.complete(request_of())
    emulator.expire_tokens()
    before = len(emulator.requests)
    assert asked(client, request_of(), asynchronous).text == "You said: Hi"
    chat = "/v1/chat/completions"
    assert paths(emulator)[before:] == [chat, IAM, chat]


def test_a_streamed_request_is_sent_again_with_a_new_token(emulator, auths, made, request_of):
    client = made(auths["file"]())
    client.complete(request_of())
    emulator.expire_tokens()
    text = "".join(delta.text for delta in client.stream(request_of()))
    assert text == "You said: Hi"


def test_a_token_that_is_refused_again_is_an_error(emulator, auths, made, request_of):
    refusal = {"status": 401, "body": {"error": {"grpcCode": 16, "message": "no"}}}
    client = made(auths["file"]())
    emulator.script(refusal, refusal)
    with pytest.raises(AuthenticationError):
        client.complete(request_of())
    assert paths(emulator).count("/v1/chat/completions") == 2


@every_kind
def test_a_credential_survives_a_pickle_and_keeps_its_secret(auths, kind):
    auth = auths[kind]()
    again = pickle.loads(pickle.dumps(auth))
    assert again.identity == auth.identity
    for secret in (OAUTH, "PRIVATE KEY"):
        assert secret not in repr(auth) + str(vars(auth))


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ({"status": 500, "body": {"code": 13, "message": "broken", "details": []}}, ServerError),
        ({"status": 401, "body": {"code": 16, "message": "gone"}}, AuthenticationError),
        ({"status": 200, "body": {}}, MalformedAnswer),
        ({"status": 200, "body": "<html>"}, MalformedAnswer),
        ({"status": 200, "body": {"iamToken": TOKEN, "expiresAt": "never"}}, MalformedAnswer),
        (
            {"status": 200, "body": {"iamToken": TOKEN, "expiresAt": "2020-01-01T00:00:00Z"}},
            MalformedAnswer,
        ),
    ],
)
@every_way
def test_an_exchange_that_fails_is_told(emulator, made, request_of, script, kind, asynchronous):
    emulator.script({"path": IAM, **script})
    client = made(fresh(OAuthAuth(OAUTH, url=emulator.iam_url)))
    with pytest.raises(kind, match="No IAM token") as caught:
        asked(client, request_of(), asynchronous)
    assert len(emulator.requests) == 1
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    seen = "".join(shown.format()) + repr(vars(caught.value))
    assert OAUTH not in seen
    assert TOKEN not in seen.replace(repr(script), "")  # which is a local of this test


def test_an_exchange_that_fails_for_a_moment_is_tried_again(emulator, made, request_of, waits):
    emulator.script({"path": IAM, "status": 503, "body": "later"})
    client = made(fresh(OAuthAuth(OAUTH, url=emulator.iam_url)), max_retries=2)
    assert client.complete(request_of()).text == "You said: Hi"
    assert paths(emulator) == [IAM, IAM, "/v1/chat/completions"]


def test_no_answer_of_iam_is_a_connection_that_failed(made, request_of):
    client = made(OAuthAuth(OAUTH, url="http://127.0.0.1:9/iam"))  # where nobody listens
    with pytest.raises(ConnectionFailed, match="No IAM token"):
        client.complete(request_of())


# When tokens are had anew, on a clock of the test's own


class Exchange:
    def __init__(self, lifetime=43_200.0):
        self.now, self.lifetime, self.count = 1_000.0, lifetime, 0
        self.fails: YandexError | None = None
        self.done = threading.Event()
        self.keeper = TokenKeeper(self, clock=lambda: self.now)

    def __call__(self) -> IamToken:
        try:
            if self.fails:
                raise self.fails
            self.count += 1
            return IamToken(f"t{self.count}", self.lifetime)
        finally:
            self.done.set()

    def settle(self):
        under_way = self.keeper._under_way
        if under_way:
            under_way.result(5)


def test_a_token_is_had_anew_in_the_background_long_before_it_expires():
    exchange = Exchange()
    assert exchange.keeper.token() == "t1"
    exchange.now += 3_599
    assert exchange.keeper.token() == "t1"
    exchange.settle()
    assert exchange.count == 1
    exchange.now += 2
    assert exchange.keeper.token() == "t1"  # while the next is had
    exchange.settle()
    assert exchange.keeper.token() == "t2"


def test_a_token_of_a_short_life_is_had_anew_at_half_of_it():
    exchange = Exchange(lifetime=10)
    exchange.keeper.token()
    exchange.now += 5.1
    assert exchange.keeper.token() == "t1"
    exchange.settle()
    assert exchange.keeper.token() == "t2"


def test_a_token_is_not_used_to_its_last_second():
    exchange = Exchange(lifetime=600)
    exchange.keeper.token()
    exchange.now += 571
    assert exchange.keeper.token() == "t2"


def test_a_background_exchange_that_fails_is_nobodys_error_until_the_token_is_over():
    exchange = Exchange(lifetime=600)
    exchange.keeper.token()
    exchange.now += 301
    exchange.fails = ConnectionFailed("no way")
    assert exchange.keeper.token() == "t1"
    exchange.settle()
    exchange.done.clear()
    assert exchange.keeper.token() == "t1"  # and asks no more for a while
    assert not exchange.done.wait(0.05)
    exchange.now += 270
    with pytest.raises(ConnectionFailed) as first:
        exchange.keeper.token()
    with pytest.raises(ConnectionFailed) as second:
        exchange.keeper.token()
    assert first.value is not second.value  # a traceback belongs to one


async def test_a_wait_for_a_token_does_not_block_the_event_loop():
    gate = threading.Event()

    def slow() -> IamToken:
        gate.wait(5)
        return IamToken("t1", 600)

    keeper = TokenKeeper(slow)
    waiting = asyncio.create_task(keeper.atoken())
    given_up = asyncio.create_task(keeper.atoken())
    await asyncio.sleep(0.05)  # the loop goes on
    given_up.cancel()
    assert not waiting.done()
    gate.set()
    assert await waiting == "t1"
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_a_wait_for_a_token_ends_in_time_and_the_exchange_goes_on():
    gate = threading.Event()

    def slow() -> IamToken:
        gate.wait(5)
        return IamToken("t1", 600)

    keeper = TokenKeeper(slow)
    with pytest.raises(RequestTimedOut, match=r"No IAM token within 0\.05 s"):
        keeper.token(0.05)
    with pytest.raises(RequestTimedOut):
        await keeper.atoken(0.05)
    gate.set()
    assert keeper.token(5) == "t1"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_iam_that_says_nothing_costs_no_more_than_the_first_byte_may(
    raw_server, made, request_of, asynchronous
):
    silent = raw_server(threading.Event())
    auth = OAuthAuth("y0_silent", url=f"{silent.url}/tokens")
    client = made(auth, first_byte_timeout=0.1)
    with pytest.raises(RequestTimedOut, match=r"No IAM token within 0\.1 s"):
        await client.acomplete(request_of()) if asynchronous else client.complete(request_of())


def test_who_makes_a_credential_for_each_request_exchanges_once(emulator, auths, made, request_of):
    fresh(auths["oauth"]())
    for _ in range(3):
        made(auths["oauth"]()).complete(request_of())
        gc.collect()
    assert len(exchanges(emulator)) == 1


def test_whoever_asks_while_the_keeper_s_own_lock_is_held_gets_a_token():
    """As a signal's handler would, or what the collector calls."""
    exchange = Exchange()
    with exchange.keeper._lock:
        asking = exchange.keeper._ask()
    assert exchange.keeper.token(5) == "t1"
    assert asking.result(5).secret == "t1"


def test_a_keeper_in_a_forked_child_waits_for_no_exchange_of_its_parent():
    gate = threading.Event()

    def slow() -> IamToken:
        gate.wait(20)
        return IamToken("t1", 600)

    keeper = TokenKeeper(slow)
    waiting = threading.Thread(target=keeper.token)
    waiting.start()
    while keeper._under_way is None:
        time.sleep(0.001)
    child = os.fork()
    if not child:  # pragma: no cover -- in the child
        code = 1
        try:
            gate.set()
            code = 0 if keeper.token(5) == "t1" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gate.set()
    waiting.join(5)


def test_the_life_of_a_token_is_counted_from_before_it_was_asked_for():
    exchange = Exchange(lifetime=100)
    plain = exchange.keeper._exchange

    def slow() -> IamToken:
        exchange.now += 40
        return plain()

    exchange.keeper._exchange = slow
    assert exchange.keeper.token() == "t1"
    exchange.now += 11  # 51 seconds after it was asked for: half its life is over
    assert exchange.keeper.token() == "t1"
    exchange.settle()
    assert exchange.keeper.token() == "t2"


# Functions of a user's own


@every_way
def test_a_function_is_asked_before_each_request(emulator, made, request_of, asynchronous):
    tokens = iter(["t1.test-token"] * 2)
    client = made(lambda: next(tokens))
    for _ in range(2):
        asked(client, request_of(), asynchronous)
    with pytest.raises(StopIteration):
        next(tokens)


async def test_an_async_function_is_for_async_calls(emulator, made, request_of):
    async def token():
        return "t1.test-token"

    client = made(token)
    assert (await client.acomplete(request_of())).text == "You said: Hi"
    with pytest.raises(ConfigurationError, match="async"):
        client.complete(request_of())


async def test_a_plain_function_runs_beside_the_event_loop(made, request_of):
    loop_thread, seen = threading.get_ident(), []
    client = made(lambda: seen.append(threading.get_ident()) or "t1.test-token")
    await client.acomplete(request_of())
    assert loop_thread not in seen


def test_a_refused_token_shows_in_no_local(emulator, made, request_of):
    client = made(fresh(OAuthAuth(OAUTH, url=emulator.iam_url)))
    client.complete(request_of())
    [token] = (held for held in client.auth.secrets if held != OAUTH)
    emulator.expire_tokens()
    emulator.script({"path": IAM, "status": 503, "body": "later"})
    with pytest.raises(ServerError) as caught:
        client.complete(request_of())
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    # The frame of this test has it.
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    assert token not in str([frame.locals for frame in frames])


@every_way
def test_a_function_is_asked_again_after_a_401(emulator, made, request_of, asynchronous):
    tokens = iter(["t1.old", "t1.test-token"])
    assert asked(made(lambda: next(tokens)), request_of(), asynchronous).text == "You said: Hi"


@pytest.mark.parametrize("given", [None, 5, "", "a b", b"t1"])
def test_what_is_no_token_is_refused(emulator, made, request_of, given):
    with pytest.raises(ConfigurationError, match="function of auth"):
        made(lambda: given).complete(request_of())
    assert emulator.requests == []


# What is taken


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        None,
        "/no/such/file.json",
        "{}",
        "{broken",
        {"id": "a"},
        {"id": "a", "service_account_id": "b", "private_key": ""},
        {"id": "a", "service_account_id": "b", "private_key": "-----BEGIN PRIVATE KEY-----\nx"},
        {"id": "a", "key_id": "b", "secret": "static-access-key"},
    ],
)
def test_what_is_no_authorized_key_is_refused_unseen(wrong):
    with pytest.raises(ConfigurationError, match="service account's key") as caught:
        ServiceAccountAuth(wrong)
    assert "BEGIN" not in str(caught.value)
    assert "static-access-key" not in str(caught.value)


def test_the_first_of_the_environment_counts(monkeypatch, tmp_path, emulator):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(emulator.authorized_key()), encoding="utf-8")
    names = {
        "YC_OAUTH_TOKEN": ("y0_oauth", OAuthAuth),
        "YC_SERVICE_ACCOUNT_KEY_FILE": (str(path), ServiceAccountAuth),
        "YC_IAM_TOKEN": ("t1.token", IamTokenAuth),
        "YC_API_KEY": ("AQVN-key", None),
    }
    with pytest.raises(ConfigurationError, match="MetadataAuth"):
        YandexClient()
    for name, (value, kind) in names.items():  # each goes before those already set
        monkeypatch.setenv(name, value)
        auth = YandexClient().auth
        assert type(auth).__name__ == (kind.__name__ if kind else "ApiKeyAuth")
    assert isinstance(YandexClient(iam_token="t1.other").auth, IamTokenAuth)
    assert isinstance(YandexClient(auth=lambda: "t1").auth, CallableAuth)


def test_the_address_of_the_metadata_is_that_of_the_environment(monkeypatch, emulator, made):
    monkeypatch.setenv("YC_METADATA_ADDR", emulator.url.removeprefix("http://"))
    assert MetadataAuth()._keeper.token().startswith("t1.issued")


@pytest.mark.parametrize("kind", [ChatYandex, YandexLLM])
def test_both_adapters_take_each_credential(emulator, auths, kind):
    words = {"folder_id": "test-folder", "base_url": emulator.chat_url}
    for auth in (auths["file"](), lambda: "t1.test-token"):
        model = kind(auth=auth, **words)
        told = model.invoke("Hi").text if kind is ChatYandex else model.complete("Hi").text
        assert told == "You said: Hi"


@pytest.mark.parametrize("wrong", [{"expiresAt": "never"}, {"expiresAt": "2020-01-01T00:00:00Z"}])
def test_no_frame_of_an_exchange_holds_what_was_answered(emulator, wrong):
    emulator.script({"path": IAM, "status": 200, "body": {"iamToken": TOKEN, **wrong}})
    with pytest.raises(MalformedAnswer) as caught:
        iam.exchanged(emulator.iam_url, "yandexPassportOauthToken", Hidden(OAUTH))
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    seen = str([frame.locals for frame in shown.stack])
    assert TOKEN not in seen
    assert OAUTH not in seen


@pytest.mark.parametrize("kind", ["file", "oauth", "metadata"])
def test_a_credential_tells_how_long_its_token_lives(emulator, auths, kind):
    emulator.expire_tokens()
    emulator.token_lifetime(7_200)
    auth = fresh(auths[kind]())
    emulator.requests.clear()
    # By the server's own clock, whose Date may be a second or two old.
    assert 7_100 < auth.seconds_left() < 7_210
    asked = len(exchanges(emulator))
    assert 7_100 < auth.seconds_left() < 7_210
    assert len(exchanges(emulator)) == asked  # the token is kept for the requests to come


def test_a_token_that_is_not_given_out_leaves_no_time(emulator):
    auth = OAuthAuth("y0_unknown", url=emulator.iam_url)
    with pytest.raises(AuthenticationError, match="OAuth token is invalid"):
        auth.seconds_left()
