"""What IAM tokens are exchanged for: whose they are, what is refused, and what is not followed."""

import asyncio
import json
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization as iam_pem
from cryptography.hazmat.primitives.asymmetric import rsa

from yandex_compat import (
    AuthenticationError,
    CallableAuth,
    ConfigurationError,
    ConnectionFailed,
    MalformedAnswer,
    MetadataAuth,
    NotFoundError,
    OAuthAuth,
    PermissionDeniedError,
    RateLimitError,
    ServiceAccountAuth,
    YandexClient,
    iam,
    iam_tokens,
)
from yandex_compat.auth import identity_of
from yandex_compat.emulator import Emulator
from yandex_compat.hidden import Hidden
from yandex_compat.iam_tokens import IamToken, TokenKeeper

IAM = "/iam/v1/tokens"
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
OAUTH = "y0_test-oauth"
every_way = pytest.mark.parametrize("asynchronous", [False, True])


@pytest.fixture
def made(emulator):
    """A client with a credential, whose tokens are nobody's yet."""
    emulator.expire_tokens()

    def make(auth, **words):
        known = {"folder_id": "test-folder", "base_url": emulator.chat_url, "max_retries": 0}
        return YandexClient(auth=auth, **(known | words))

    return make


async def asked(client, request, asynchronous):
    return await client.acomplete(request) if asynchronous else client.complete(request)


def paths(emulator):
    return [one["path"] for one in emulator.requests]


# What the emulator takes and gives, which stands in for IAM


@pytest.fixture
def words(emulator):
    now = int(time.time())
    audience = "https://iam.api.cloud.yandex.net/iam/v1/tokens"
    account = emulator.authorized_key()["service_account_id"]
    return {"iss": account, "aud": audience, "iat": now, "exp": now + 3600}


def status_of(emulator, words, private_key=None):
    key = emulator.authorized_key()
    signed = jwt.encode(words, private_key or key["private_key"], "PS256", {"kid": key["id"]})
    return httpx.post(emulator.iam_url, json={"jwt": signed}).status_code


def test_a_jwt_signed_by_another_key_is_refused(emulator, words):
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    assert status_of(emulator, words, other) == 401
    assert status_of(emulator, words) == 200


@pytest.mark.parametrize(
    ("iat", "exp"),
    [(600, 4_000), (-10, -1), (0, 3_700), (50, 10)],
    ids=["ahead", "just over", "too long", "ends before it begins"],
)
def test_a_jwt_of_another_time_is_refused(emulator, words, iat, exp):
    now = words["iat"]
    assert status_of(emulator, words | {"iat": now + iat, "exp": now + exp}) == 401


def test_issued_tokens_end_when_they_say(request_of):
    with Emulator() as account:
        account.token_lifetime(0.2)
        told = httpx.post(account.iam_url, json={"yandexPassportOauthToken": OAUTH})
        client = YandexClient(
            iam_token=told.json()["iamToken"],
            folder_id="test-folder",
            base_url=account.chat_url,
            max_retries=0,
        )
        assert client.complete(request_of()).text
        time.sleep(0.25)
        with pytest.raises(AuthenticationError):
            client.complete(request_of())


def test_a_short_lived_token_is_had_anew_over_the_wire(request_of):
    with Emulator() as account:
        account.token_lifetime(0.4)
        auth = OAuthAuth(OAUTH, url=account.iam_url)
        client = YandexClient(
            auth=auth, folder_id="test-folder", base_url=account.chat_url, max_retries=0
        )
        for _ in range(8):
            assert client.complete(request_of()).text
            time.sleep(0.1)
        assert paths(account).count(IAM) >= 2


@pytest.mark.parametrize("lifetime", [0, -1, 1e300, "long", float("inf")])
def test_a_lifetime_that_is_none_is_refused(emulator, lifetime):
    answer = httpx.post(f"{emulator.url}/_tokens", content=json.dumps({"lifetime": lifetime}))
    assert answer.status_code == 400


# Whose tokens they are


def test_other_secrets_have_other_tokens(emulator, request_of):
    with Emulator(oauth_tokens=("y0_one", "y0_two")) as account:
        for token in ("y0_one", "y0_two", "y0_one"):
            YandexClient(
                auth=OAuthAuth(token, url=account.iam_url),
                folder_id="test-folder",
                base_url=account.chat_url,
            ).complete(request_of())
        assert paths(account).count(IAM) == 2


def test_sources_differ_by_each_of_their_parts(emulator):
    key = emulator.authorized_key()
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = private.private_bytes(
        iam_pem.Encoding.PEM, iam_pem.PrivateFormat.PKCS8, iam_pem.NoEncryption()
    ).decode()
    auths = [
        ServiceAccountAuth(key, url="https://a.test/t"),
        ServiceAccountAuth(key, url="https://b.test/t"),
        ServiceAccountAuth({**key, "id": "other"}, url="https://a.test/t"),
        ServiceAccountAuth({**key, "private_key": pem}, url="https://a.test/t"),
        OAuthAuth("y0_a", url="https://a.test/t"),
        OAuthAuth("y0_b", url="https://a.test/t"),
        MetadataAuth(url="http://169.254.169.254"),
        MetadataAuth(url="http://127.0.0.1"),
    ]
    assert len({identity_of(auth) for auth in auths}) == len(auths)
    assert len({id(auth._keeper) for auth in auths}) == len(auths)
    again = ServiceAccountAuth(key, url="https://a.test/t")
    assert again._keeper is auths[0]._keeper


def test_a_used_credential_pickles_without_its_token(emulator, made, request_of):
    auth = OAuthAuth(OAUTH, url=emulator.iam_url)
    auth._keeper._held = None
    made(auth).complete(request_of())
    (token,) = auth._keeper.secrets
    packed = pickle.dumps(auth)
    assert token.encode() not in packed
    assert pickle.loads(packed)._keeper is auth._keeper
    function = CallableAuth(Fresh("t1.had"))
    next(function.sync_auth_flow(httpx.Request("GET", "https://a.test")))
    assert function.secrets == ("t1.had",)
    assert pickle.loads(pickle.dumps(function)).secrets == ()


class Fresh:
    """A function that pickles."""

    def __init__(self, token):
        self.token = token

    def __call__(self):
        return self.token


def test_identity_is_the_same_in_another_process():
    code = (
        "from yandex_compat import OAuthAuth\n"
        "from yandex_compat.auth import identity_of\n"
        "print(identity_of(OAuthAuth('y0_a')).hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == identity_of(OAuthAuth("y0_a")).hex()


# Refusals of the service


def test_late_refusals_of_an_old_token_cost_one_exchange():
    tokens = iter(["old", "new", "never"])
    keeper = TokenKeeper(lambda: IamToken(next(tokens), 600))
    old = keeper.token()
    keeper.reject(old)
    assert keeper.token() == "new"
    keeper.reject(old)  # of a request that was sent before
    assert keeper.token() == "new"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, PermissionDeniedError), (404, NotFoundError), (429, RateLimitError)],
)
def test_no_other_status_has_a_token_anew(emulator, made, request_of, status, kind):
    auth = OAuthAuth(OAUTH, url=emulator.iam_url)
    auth._keeper._held = None
    emulator.script({"path": "/v1/chat/completions", "status": status, "body": {"error": "no"}})
    with pytest.raises(kind):
        made(auth).complete(request_of())
    assert paths(emulator) == [IAM, "/v1/chat/completions"]


# Where a secret may go


def test_iam_s_redirects_are_not_followed(emulator, made, request_of, raw_server):
    other = raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    auth = OAuthAuth(OAUTH, url=emulator.iam_url)
    auth._keeper._held = None
    emulator.script(
        {"path": IAM, "status": 307, "headers": {"location": other.url}, "body": "moved"}
    )
    with pytest.raises(NotFoundError, match="No IAM token"):
        made(auth).complete(request_of())
    assert other.connections == 0


@pytest.mark.parametrize("machine", [False, True])
def test_only_iam_is_asked_through_the_environment_s_proxy(
    emulator, monkeypatch, raw_server, machine
):
    proxy = raw_server(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    if machine:
        assert iam.of_machine(emulator.url).secret
        assert proxy.connections == 0
        return
    with pytest.raises(Exception, match="No IAM token"):
        iam.exchanged(emulator.iam_url, "yandexPassportOauthToken", Hidden(OAUTH))
    assert proxy.connections == 1


@pytest.mark.parametrize("kind", ["oauth", "key"])
def test_a_secret_that_iam_repeats_is_blotted_out(emulator, made, request_of, kind, monkeypatch):
    sent = []
    plain = iam.exchanged

    def echoing(url, word, secret):
        sent.append(secret.shown())
        body = {"code": 16, "message": f"refused: {secret.shown()}"}
        emulator.script({"path": IAM, "status": 401, "body": body})
        return plain(url, word, secret)

    monkeypatch.setattr(iam, "exchanged", echoing)
    auth = (
        OAuthAuth(OAUTH, url=emulator.iam_url + "?echo")
        if kind == "oauth"
        else ServiceAccountAuth(emulator.authorized_key(), url=emulator.iam_url + "?echo")
    )
    with pytest.raises(AuthenticationError, match=r"refused: \*\*\*") as caught:
        made(auth).complete(request_of())
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert sent[0] not in repr(caught.value) + repr(vars(caught.value)) + str(caught.value)
    assert sent[0] not in "".join(shown.format()).replace(repr(sent), "")


def test_a_credential_with_a_line_break_is_refused():
    with pytest.raises(ConfigurationError, match="line breaks") as caught:
        OAuthAuth("y0_secret\n")
    assert "secret" not in str(caught.value)


# What comes of an exchange


@pytest.mark.parametrize("token", ["", "ключ", "t1.with\n", "two words", None, 5])
def test_what_is_no_token_is_malformed(emulator, token):
    of_iam = {"iamToken": token, "expiresAt": "2100-01-01T00:00:00Z"}
    of_machine = {"access_token": token, "expires_in": 600}
    emulator.script({"path": IAM, "status": 200, "body": of_iam})
    emulator.script({"path": METADATA, "status": 200, "body": of_machine})
    with pytest.raises(MalformedAnswer, match="No IAM token"):
        iam.exchanged(emulator.iam_url, "yandexPassportOauthToken", Hidden(OAUTH))
    with pytest.raises(MalformedAnswer, match="No IAM token"):
        iam.of_machine(emulator.url)


@pytest.mark.parametrize("seconds", [0, -5, "soon", None, int("9" * 400), float("nan")])
def test_a_life_that_is_none_is_malformed(seconds):
    answer = {"access_token": "t1", "expires_in": seconds}

    def service(request):
        return httpx.Response(200, text=json.dumps(answer), request=request)

    with pytest.raises(MalformedAnswer, match="No IAM token"):
        iam._read(
            service(httpx.Request("GET", "http://a.test")),
            lambda found: iam._checked(found["access_token"], float(found["expires_in"])),
        )


@pytest.mark.parametrize(
    ("date", "life"),
    [
        ("Thu, 26 Nov 2026 11:00:00 GMT", 3_600),
        ("Thu, 26 Nov 2026 11:00:00 -0000", 3_600),
        ("Thu, 26 Nov 2026 11:00:00", 3_600),
        ("Thu, 26 Nov 2026 14:00:00 +0300", 3_600),
    ],
)
def test_the_server_s_own_clock_counts(date, life, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        response = httpx.Response(200, headers={"date": date})
        answer = {"iamToken": "t1", "expiresAt": "2026-11-26T12:00:00Z"}
        assert iam._exchanged(answer, iam._now(response)).lifetime == life
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_an_iam_that_sends_byte_by_byte_ends(raw_server, monkeypatch):
    monkeypatch.setattr(iam, "_LONGEST", 0.2)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    slow = raw_server(head, *[step for _ in range(200) for step in (b" ", 0.02)])
    with pytest.raises(ConnectionFailed, match="No IAM token"):
        iam.exchanged(slow.url, "jwt", Hidden("x"))


# The keeper where threads fail or end


def no_thread(*args, **words):
    raise RuntimeError("can't start new thread")


def test_who_has_a_token_does_without_a_thread(monkeypatch):
    now = [0.0]
    keeper = TokenKeeper(lambda: IamToken("t1", 600), clock=lambda: now[0])
    assert keeper.token() == "t1"
    now[0] = 400
    monkeypatch.setattr(iam_tokens.threading, "Thread", no_thread)
    assert keeper.token() == "t1"
    now[0] = 1_000
    with pytest.raises(ConnectionFailed, match="no thread can be started"):
        keeper.token()
    monkeypatch.undo()
    assert keeper.token() == "t1"


def test_nothing_is_begun_while_the_program_ends(monkeypatch):
    keeper = TokenKeeper(lambda: IamToken("t1", 600))
    monkeypatch.setattr(iam_tokens.sys, "is_finalizing", lambda: True)
    with pytest.raises(ConnectionFailed, match="the program ends"):
        keeper.token()


def test_the_thread_of_an_exchange_keeps_no_program_from_ending():
    seen = []
    TokenKeeper(lambda: seen.append(threading.current_thread()) or IamToken("t1", 600)).token()
    assert seen[0].daemon


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(1)])
def test_whatever_ends_an_exchange_ends_the_wait(raised):
    def broken():
        raise raised

    with pytest.raises(type(raised)):
        TokenKeeper(broken).token(5)


def test_a_failed_exchange_in_the_background_is_tried_again_after_a_pause():
    now, count = [0.0], [0]

    def failing():
        count[0] += 1
        if count[0] == 2:
            raise ConnectionFailed("no way")
        return IamToken(f"t{count[0]}", 600)

    keeper = TokenKeeper(failing, clock=lambda: now[0])

    def settled():
        token = keeper.token()
        while keeper._under_way:
            time.sleep(0.001)
        return token

    settled()
    now[0] = 301
    assert (settled(), count) == ("t1", [2])
    now[0] += 4.9
    assert (settled(), count) == ("t1", [2])
    now[0] += 0.2
    assert (settled(), count) == ("t1", [3])
    assert settled() == "t3"


# Functions of a user's own


class Awaitable:
    """An object whose call is awaited."""

    async def __call__(self):
        return "t1.test-token"


async def given():
    return "t1.test-token"


@pytest.mark.parametrize("function", [Awaitable(), given, lambda: given()])
async def test_whatever_is_awaited_is_for_async_calls(made, request_of, function):
    client = made(function)
    assert (await client.acomplete(request_of())).text == "You said: Hi"
    with pytest.raises(ConfigurationError, match="async"):
        client.complete(request_of())


@every_way
@pytest.mark.parametrize(
    "raised",
    [
        LookupError("no file"),
        httpx.ConnectError("no way"),
        httpx.HTTPStatusError("401", request=None, response=httpx.Response(401)),
    ],
)
async def test_what_a_function_raises_is_told_as_its_own(made, request_of, raised, asynchronous):
    def broken():
        raise raised

    with pytest.raises(
        ConnectionFailed, match=f"function of auth raised {type(raised).__name__}"
    ) as caught:
        await asked(made(broken), request_of(), asynchronous)
    assert caught.value.__cause__ is raised


@every_way
async def test_an_error_of_ours_passes_through_a_function(made, request_of, asynchronous):
    def broken():
        raise ConfigurationError("mine")

    with pytest.raises(ConfigurationError, match="mine"):
        await asked(made(broken), request_of(), asynchronous)


@pytest.mark.parametrize("kind", [ServiceAccountAuth, OAuthAuth, Fresh])
def test_a_class_is_no_function(kind):
    with pytest.raises(ConfigurationError, match=rf"auth is the class {kind.__name__}"):
        YandexClient(auth=kind, folder_id="f")


async def test_many_tasks_do_not_wait_for_asyncio_s_own_threads(made, request_of):
    """All of those are taken, as by calls that wait for a model."""
    loop, gate = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    blocked = loop.run_in_executor(None, gate.wait, 20)
    client = made(lambda: "t1.test-token")
    assert (await client.acomplete(request_of())).text == "You said: Hi"
    gate.set()
    await blocked


# Keys


def test_a_key_file_with_a_byte_order_mark_under_the_home(
    emulator, made, request_of, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    text = json.dumps(emulator.authorized_key())
    (tmp_path / "key.json").write_text(text, encoding="utf-8-sig")
    for key in ("~/key.json", f"\ufeff{text}", f"\n  {text}"):
        auth = ServiceAccountAuth(key, url=emulator.iam_url)
        assert made(auth).complete(request_of()).text == "You said: Hi"


@pytest.mark.parametrize("wrong", ["public", "bytes"])
def test_what_is_no_key_is_refused_unseen(emulator, wrong):
    key = emulator.authorized_key()
    given = (
        {**key, "private_key": key["public_key"]} if wrong == "public" else os.fsencode("a.json")
    )
    with pytest.raises(ConfigurationError) as caught:
        ServiceAccountAuth(given)
    assert "BEGIN" not in str(caught.value)


def test_without_pyjwt_a_key_says_what_to_install(emulator, monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigurationError, match=r"yandex-compat\[iam\]"):
        ServiceAccountAuth(emulator.authorized_key())
