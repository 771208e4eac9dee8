"""The tokens that the emulator gives out: for what, for how long, and what it refuses."""

import time
from datetime import datetime

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from yandex_compat.emulator import Emulator
from yandex_compat.emulator.authorized_keys import AuthorizedKeys
from yandex_compat.emulator.issued_tokens import IssuedTokens

METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"


@pytest.fixture(scope="module")
def http():
    with httpx.Client() as client:  # one for all: each takes its time to read the certificates
        yield client


@pytest.fixture
def status(emulator, http):
    """Sends a JWT, good but for what a test gives, and returns the status and the text."""
    key = emulator.authorized_key()

    def send(without="", private=key["private_key"], **words):
        now = int(time.time())
        good = {
            "iss": key["service_account_id"],
            "aud": "https://iam.api.cloud.yandex.net/iam/v1/tokens",
            "iat": now,
            "exp": now + 3_600,
        } | {word: value(now) if callable(value) else value for word, value in words.items()}
        good.pop(without, None)
        # PyJWT would refuse some of these itself, where it is asked to sign a dict.
        signed = jwt.PyJWS().encode(
            jwt.PyJWT()._encode_payload(good), private, "PS256", {"kid": key["id"], "typ": "JWT"}
        )
        answer = http.post(emulator.iam_url, json={"jwt": signed})
        return answer.status_code, answer.json().get("message", "")

    return send


def test_a_jwt_within_its_hour_is_taken(status):
    assert status() == (200, "")
    assert status(iat=lambda now: now - 10, exp=lambda now: now + 10) == (200, "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"aud": "https://iam.api.cloud.yandex.net"}, "Audience"),
        ({"aud": ["x"]}, "Audience"),
        ({"iss": "ajeother"}, "issuer"),
        ({"iat": lambda now: now + 300}, "not yet valid"),
        ({"iat": lambda now: now - 600, "exp": lambda now: now - 1}, "not over"),
        ({"iat": lambda now: now + 50, "exp": lambda now: now + 40}, "after iat"),
        ({"iat": lambda now: now + 50, "exp": lambda now: now + 50}, "after iat"),
        ({"exp": lambda now: now + 3_601}, "within an hour"),
        ({"exp": lambda now: str(now + 600)}, "numbers"),
        ({"iat": lambda now: str(now)}, "JWT"),
        ({"exp": float("inf")}, "JWT"),
        ({"exp": float("nan")}, "JWT"),
        ({"exp": []}, "JWT"),
        ({"without": "exp"}, "exp"),
        ({"without": "iat"}, "iat"),
    ],
)
def test_a_jwt_that_says_another_thing_is_refused(status, words, why):
    code, told = status(**words)
    assert code == 401
    assert why in told


def test_a_jwt_that_another_key_signed_is_refused(status):
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    assert status(private=other) == (401, "JWT: Signature verification failed")
    stranger = AuthorizedKeys().key_file()["private_key"]  # with the known key's own kid
    assert status(private=stranger)[0] == 401


def issued_by(http, emulator):
    """A token by each way, and the seconds that it is said to live."""
    answer = http.post(emulator.iam_url, json={"yandexPassportOauthToken": "y0_test-oauth"})
    told = answer.json()
    ends = datetime.fromisoformat(told["expiresAt"])
    headers = {"Metadata-Flavor": "Google"}
    machine = http.get(f"{emulator.url}{METADATA}", headers=headers).json()
    seconds = ends.timestamp() - time.time()
    return {told["iamToken"]: seconds, machine["access_token"]: machine["expires_in"]}


def asks(http, emulator, token):
    headers = {"Authorization": f"Bearer {token}"}
    return http.get(f"{emulator.chat_url}/models", headers=headers).status_code


def test_a_token_that_was_issued_ends_by_time(http):
    with Emulator() as emulator:
        tokens = list(issued_by(http, emulator))
        assert [asks(http, emulator, token) for token in tokens] == [200, 200]
        emulator.token_lifetime(0.05)
        short = list(issued_by(http, emulator))
        time.sleep(0.06)
        assert [asks(http, emulator, token) for token in short] == [401, 401]
        assert [asks(http, emulator, token) for token in tokens] == [200, 200]  # those had before


def test_a_token_is_good_up_to_its_end_on_a_clock():
    now = 1_000.0
    issued = IssuedTokens(lifetime=60.0, clock=lambda: now)
    token = issued.issue()
    now = 1_059.9
    assert issued.is_good(token)
    now = 1_060.0
    assert not issued.is_good(token)
    assert not issued.is_good("t1.never")


@pytest.mark.parametrize(("life", "whole"), [(43_200, 43_200), (100.9, 100), (1.5, 1), (0.9, 0)])
def test_the_life_is_told_and_never_longer_than_it_is(http, emulator, life, whole):
    emulator.token_lifetime(life)
    by_iam, by_machine = issued_by(http, emulator).values()
    assert life - 5 < by_iam <= life
    assert by_machine == whole
    assert isinstance(by_machine, int)


@pytest.mark.parametrize(
    "posted",
    [
        '{"lifetime": 0}',
        '{"lifetime": -1}',
        '{"lifetime": NaN}',
        '{"lifetime": Infinity}',
        '{"lifetime": 1e999}',
        '{"lifetime": 1e300}',
        '{"lifetime": 43201}',
        '{"lifetime": "60"}',
        '{"lifetime": true}',
        '{"lifetime": null}',
        '{"lifetime": 60, "more": 1}',
        "{}",
        "60",
        "",
    ],
)
def test_a_life_that_is_none_is_refused(http, emulator, posted):
    answer = http.post(f"{emulator.url}/_tokens", content=posted)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert min(issued_by(http, emulator).values()) > 43_190  # as it was


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 43_201])
def test_a_life_that_is_none_is_refused_in_python(emulator, seconds):
    with pytest.raises(ValueError, match="at most 43200 seconds"):
        emulator.token_lifetime(seconds)


def test_a_life_is_set_by_a_request(http, emulator):
    assert http.post(f"{emulator.url}/_tokens", json={"lifetime": 60}).status_code == 200
    assert max(issued_by(http, emulator).values()) <= 60
    assert http.delete(f"{emulator.url}/_tokens").status_code == 200
