"""`yandex-compat doctor` over real sockets: each line, its advice, the exit code, and no secret."""

import json
import os
import re
import socket
import ssl
import threading
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from yandex_compat import plain_http
from yandex_compat.commands import doctor, doctor_machine
from yandex_compat.emulator import Emulator
from yandex_compat.pools import POOLS

CANARY = "AQVNcanary0123456789secret"
CHECKS = [
    "python", "versions", "extras", "variables", "address", "proxies", "credentials", "chat API",
    "native API", "access", "folder", "model", "chat generation", "native generation", "quota",
]  # fmt: skip
GENERATIONS = ["chat generation", "native generation"]
IAM = "/iam/v1/tokens"


@pytest.fixture(autouse=True)
def account(monkeypatch):
    """The emulator's account in the environment, no host that was warned of, nothing connected."""
    monkeypatch.setenv("YC_API_KEY", "test-key")
    monkeypatch.setenv("YC_FOLDER_ID", "test-folder")
    monkeypatch.setattr(plain_http, "_warned_of", set())
    POOLS.close()  # a connection that lies idle goes past the proxy of a test


@pytest.fixture
def examined(shown_by, emulator):
    """The doctor on the emulator, or on the address given."""

    def examine(*options, base_url=None):
        return shown_by("doctor", "--base-url", base_url or emulator.chat_url, *options)

    return examine


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return bound.getsockname()[1]


@contextmanager
def serving(answer, context=None):
    """A server that a function answers for: of handler and body, it gives status and body."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, told, *headers = answer(self, body)
            self.send_response(status)
            self.send_header("content-length", str(len(told)))
            for header in headers:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = _answer  # noqa: N815 -- names of http.server's

        def log_message(self, *told):
            pass

    class Quiet(HTTPServer):
        def handle_error(self, request, client_address):
            pass  # a handshake that the client gave up is what is tested

    server = Quiet(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def is_line(shown, check, status, *told):
    found, text = shown.lines[check]
    assert found == status, shown.everything
    for one in told:
        assert re.search(one, text), text
    return True


# All is well


def test_all_is_well_over_the_emulator(examined, emulator):
    shown = examined()
    assert shown.code == 0, shown.everything
    assert list(shown.lines) == CHECKS
    assert shown.named("ok") == CHECKS
    assert shown.output.splitlines()[-1] == "15 ok, 0 warning, 0 failed, 0 not checked"
    is_line(shown, "credentials", "ok", "^an API key, from YC_API_KEY; the service does not tell")
    is_line(shown, "chat API", "ok", r"DNS [\d.]+ ms, connect [\d.]+ ms, first byte [\d.]+ ms")
    is_line(shown, "access", "ok", "11 models are listed")
    is_line(shown, "folder", "ok", "^test-folder: the credential may list its models")
    is_line(shown, "model", "ok", "gpt://test-folder/yandexgpt/latest; .*32000 tokens.*both APIs")
    is_line(shown, "quota", "ok", "the service tells no limit; .*max_concurrency=0")
    paths = [record["path"] for record in emulator.requests]
    assert paths == [
        "/v1/models",
        "/foundationModels/v1/completion",
        "/v1/models",
        "/v1/chat/completions",
        "/foundationModels/v1/completion",
    ]
    assert "authorization" not in emulator.requests[0]["headers"]  # what only looks sends no key
    assert emulator.requests[3]["body"]["max_completion_tokens"] <= 16
    assert emulator.ledger[-1]["status"] == 200


def test_as_the_help_says(program):
    with Emulator(api_keys=("emulator-key",), folders=("emulator-folder",)) as account:
        shown = program(
            "doctor", "--base-url", account.chat_url,
            YC_API_KEY="emulator-key", YC_FOLDER_ID="emulator-folder",
        )  # fmt: skip
    assert shown.code == 0, shown.everything
    assert shown.named("ok") == CHECKS
    assert shown.errors == ""
    told = program("doctor", "--help", COLUMNS="200", TERMINAL_WIDTH="200").output
    for one in (
        "YC_API_KEY=emulator-key YC_FOLDER_ID=emulator-folder yandex-compat doctor",
        "--base-url http://127.0.0.1:8000/v1",
        "0 if nothing failed",
        "1 if something did",
        "--no-request",
    ):
        assert one in told


def test_scripts_get_an_object_a_line(examined):
    shown = examined("--json")
    assert shown.code == 0
    assert [one["check"] for one in shown.objects] == CHECKS
    assert all(
        list(one) == ["check", "status", "found", "advice", "details"] for one in shown.objects
    )
    details = {one["check"]: one["details"] for one in shown.objects}
    assert details["model"] == {
        "uri": "gpt://test-folder/yandexgpt/latest", "known": True, "listed": True
    }  # fmt: skip
    assert details["credentials"] == {"kind": "ApiKeyAuth", "source": "YC_API_KEY", "ends": None}
    assert details["chat API"]["ms"].keys() == {"DNS", "connect", "first byte"}
    assert details["versions"]["httpx"] == httpx.__version__


def test_the_exit_code_is_the_same_as_json(examined, monkeypatch):
    monkeypatch.setenv("YC_API_KEY", "another-key")
    shown = examined("--json")
    assert shown.code == 1
    assert {one["check"] for one in shown.objects if one["status"] == "failed"} == {"access"}


def test_nothing_is_generated_without_a_request(examined, emulator):
    shown = examined("--no-request")
    assert shown.code == 0
    assert shown.named("not checked") == GENERATIONS
    assert shown.lines["chat generation"][1] == "left out by --no-request"
    is_line(shown, "quota", "ok", "the service was not asked")
    assert not [one for one in emulator.requests if one["method"] == "POST"]


def test_the_native_api_may_be_the_chosen_one(examined, emulator):
    shown = examined("--api", "completion", base_url=emulator.native_url)
    assert shown.code == 0, shown.everything
    assert shown.named("ok") == CHECKS


def test_a_model_of_the_chat_api_only(examined):
    shown = examined("--model", "gpt-oss-120b")
    assert shown.code == 0
    assert shown.named("not checked") == ["native generation"]
    assert shown.lines["native generation"][1] == "gpt-oss-120b is on the chat API only"
    is_line(shown, "model", "ok", "128000 tokens of context, on the chat API only")


def test_a_model_of_the_chat_api_only_asked_of_the_native_one(examined, emulator):
    shown = examined("--api=completion", "--model=gpt-oss-120b", base_url=emulator.native_url)
    assert shown.code == 1
    is_line(shown, "native generation", "failed", "chat")


# The credential, and whose it is


def test_a_wrong_key(examined, monkeypatch):
    monkeypatch.setenv("YC_API_KEY", "another-key")
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == ["access"]
    is_line(shown, "access", "failed", "^401: Unknown api key", r"Check api_key \(YC_API_KEY\)")
    assert shown.lines["folder"] == ("not checked", "access failed")
    assert shown.lines["chat generation"] == ("not checked", "access failed")
    is_line(shown, "model", "ok", "not looked up, since the service was not asked")


def test_an_expired_iam_token(examined, emulator, monkeypatch):
    asked = {"yandexPassportOauthToken": "y0_test-oauth"}
    token = httpx.post(emulator.iam_url, json=asked).json()["iamToken"]
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_IAM_TOKEN", token)
    shown = examined()
    assert shown.code == 0, shown.everything
    is_line(
        shown, "credentials", "ok", "^an IAM token, from YC_IAM_TOKEN; it lives 12 hours at most",
        "set YC_SERVICE_ACCOUNT_KEY_FILE",
    )  # fmt: skip
    emulator.expire_tokens()
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == ["access"]
    is_line(shown, "access", "failed", "^401: ", "it may have expired; get a new one")
    assert token not in shown.everything


@pytest.fixture
def key_file(tmp_path, emulator, monkeypatch):
    """The path of an authorized key, named by the environment instead of the API key."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(emulator.authorized_key()), encoding="utf-8")
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_SERVICE_ACCOUNT_KEY_FILE", str(path))
    return path


def told_end(shown):
    [details] = [one["details"] for one in shown.objects if one["check"] == "credentials"]
    return datetime.fromisoformat(details["ends"]) - datetime.now(UTC)


@pytest.mark.usefixtures("key_file")
def test_an_authorized_key_is_exchanged_and_its_token_s_end_told(examined, emulator):
    emulator.expire_tokens()
    shown = examined("--iam-url", emulator.iam_url)
    assert shown.code == 0, shown.everything
    is_line(
        shown, "credentials", "ok",
        "^a service account's authorized key, from YC_SERVICE_ACCOUNT_KEY_FILE; exchanged",
        r"ends in \d+ h \d+ min, at \d{4}-\d\d-\d\d \d\d:\d\d UTC",
    )  # fmt: skip
    assert [one["path"] for one in emulator.requests].count(IAM) == 1


def test_an_oauth_token_is_exchanged(examined, emulator, monkeypatch):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_doctor")
    with Emulator(oauth_tokens=("y0_doctor",)) as account:
        account.token_lifetime(600)
        shown = examined("--iam-url", account.iam_url, "--json", base_url=account.chat_url)
    assert shown.code == 0, shown.everything
    assert timedelta(seconds=500) < told_end(shown) < timedelta(seconds=610)


def test_the_credential_of_a_machine(examined, emulator, monkeypatch):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_METADATA_ADDR", emulator.url)
    shown = examined("--metadata")
    assert shown.code == 0, shown.everything
    is_line(shown, "credentials", "ok", "^the service account of this machine, from --metadata")


def test_an_oauth_token_that_is_not_taken(examined, emulator, monkeypatch):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_unknown-canary")
    shown = examined("--iam-url", emulator.iam_url)
    assert shown.code == 1
    is_line(shown, "credentials", "failed", "No IAM token from .*OAuth token is invalid", "Check")
    assert shown.lines["access"] == ("not checked", "credentials failed")
    assert "unknown-canary" not in shown.everything


def test_iam_that_does_not_answer(examined, monkeypatch, free_port):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_nobody-asked")
    shown = examined("--iam-url", f"http://127.0.0.1:{free_port}{IAM}")
    assert shown.code == 1
    is_line(shown, "credentials", "failed", r"no answer from http://127\.0\.0\.1.*ConnectError")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"can't be read \(FileNotFoundError\): give the path of what `yc iam key create`"),
        ("no JSON", "has id, service_account_id and private_key"),
        ('{"id": "a"}', "has id, service_account_id and private_key"),
        (
            json.dumps({"id": "a", "service_account_id": "b", "private_key": CANARY}),
            "private_key of the service account's key can't sign",
        ),
    ],
)
def test_a_key_file_that_is_none(examined, key_file, content, told):
    key_file.unlink()
    if content:
        key_file.write_text(content)
    shown = examined()
    assert shown.code == 1
    is_line(shown, "credentials", "failed", told)
    assert CANARY not in shown.everything


def test_no_credential_at_all(examined, monkeypatch):
    monkeypatch.delenv("YC_API_KEY")
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == ["credentials"]
    is_line(
        shown, "credentials", "failed", "No credential: set YC_API_KEY", "pass --metadata",
        "`yandex-compat emulator`, and beside it `YC_API_KEY=emulator-key",
    )  # fmt: skip
    is_line(shown, "variables", "warning", "no credential beside YC_FOLDER_ID. Set YC_API_KEY")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("YC_API_KEY", "t1.canary-0123456789", "looks like an IAM token: pass it as iam_token"),
        ("YC_API_KEY", "y0_canary-0123456789", "looks like an OAuth token"),
        ("YC_IAM_TOKEN", CANARY, "looks like an API key: pass it as api_key"),
    ],
)
def test_a_credential_under_another_s_name(examined, monkeypatch, name, value, told):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv(name, value)
    shown = examined()
    assert shown.code == 1
    is_line(shown, "credentials", "warning", told)
    is_line(shown, "access", "failed", told)
    assert value not in shown.everything


def test_a_credential_that_is_none(examined, monkeypatch):
    monkeypatch.setenv("YC_API_KEY", f'"{CANARY}"')
    shown = examined()
    assert shown.code == 1
    is_line(shown, "credentials", "failed", "^api_key .*copy it again, without the quotes")
    assert CANARY not in shown.everything


# The folder


def test_a_folder_of_another_account(examined, monkeypatch):
    monkeypatch.setenv("YC_FOLDER_ID", "b1gother")
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == ["folder"]
    is_line(shown, "access", "ok", "the credential is taken, and the folder is not")
    is_line(
        shown, "folder", "failed", "Specified folder ID 'b1gother' does not match",
        r"Set folder_id \(YC_FOLDER_ID\) to test-folder, the folder of the key's service account",
    )  # fmt: skip
    assert shown.lines["chat generation"] == ("not checked", "folder failed")
    is_line(shown, "model", "ok", "not looked up, since the folder was refused")


def test_a_folder_without_the_role(examined, emulator):
    error = {"error": {"grpcCode": 7, "httpCode": 403, "message": "Permission denied"}}
    emulator.script({"path": "/v1/models", "status": 403, "body": error})
    shown = examined()
    assert shown.code == 1
    is_line(shown, "folder", "failed", "^403: ", "role ai.languageModels.user in the folder test-f")


def test_no_folder(examined, monkeypatch):
    monkeypatch.delenv("YC_FOLDER_ID")
    shown = examined()
    assert shown.code == 1
    is_line(shown, "variables", "warning", "no YC_FOLDER_ID beside YC_API_KEY. Set YC_FOLDER_ID")
    is_line(shown, "folder", "failed", "^there is none. Set YC_FOLDER_ID")
    is_line(shown, "model", "failed", "needs a folder: .*set YC_FOLDER_ID")


def test_the_folder_of_a_whole_uri_is_enough(examined, monkeypatch):
    monkeypatch.delenv("YC_FOLDER_ID")
    shown = examined("--model", "gpt://test-folder/yandexgpt/rc")
    assert shown.code == 0, shown.everything
    assert shown.named("ok") == CHECKS
    is_line(shown, "model", "ok", "^gpt://test-folder/yandexgpt/rc; .*listed .* in another branch")


def test_the_folder_of_a_whole_uri_wins(examined, monkeypatch):
    monkeypatch.setenv("YC_FOLDER_ID", "b1gother")
    shown = examined("--model", "gpt://test-folder/yandexgpt")
    assert shown.code == 0, shown.everything
    is_line(shown, "folder", "ok", "^test-folder, which --model names; YC_FOLDER_ID is another")


def test_models_of_another_folder_are_told(examined, emulator):
    rows = {"data": [{"id": "gpt://b1gother/yandexgpt/latest"}]}
    emulator.script({"path": "/v1/models", "status": 200, "body": rows})
    shown = examined()
    is_line(shown, "folder", "warning", "the models listed are of b1gother")


@pytest.mark.parametrize("folder", ["<folder>", "b1g abc", "'b1g'\n", CANARY])
def test_a_folder_that_is_none(examined, monkeypatch, folder):
    monkeypatch.setenv("YC_FOLDER_ID", folder)
    shown = examined()
    assert shown.code == 1
    is_line(shown, "variables", "failed", r"^folder_id \(YC_FOLDER_ID\) ")
    assert shown.lines["access"] == ("not checked", "variables failed")
    assert CANARY not in shown.everything


# Variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("YANDEX_API_KEY", "YC_API_KEY"),
        ("YANDEX_CLOUD_API_KEY", "YC_API_KEY"),
        ("YANDEXGPT_API_KEY", "YC_API_KEY"),
        ("YC_APIKEY", "YC_API_KEY"),
        ("YC_API_KEI", "YC_API_KEY"),
        ("yc_api_key", "YC_API_KEY"),
        ("YC_TOKEN", "YC_IAM_TOKEN"),
        ("IAM_TOKEN", "YC_IAM_TOKEN"),
        ("YANDEX_OAUTH_TOKEN", "YC_OAUTH_TOKEN"),
        ("YC_SERVICE_ACCOUNT_KEY", "YC_SERVICE_ACCOUNT_KEY_FILE"),
    ],
)
def test_a_misspelt_variable(examined, monkeypatch, name, meant):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv(name, CANARY)
    shown = examined()
    assert shown.code == 1
    is_line(shown, "variables", "warning", rf"{name} is set, and nothing reads it.*Name it {meant}")
    assert CANARY not in shown.everything


@pytest.mark.parametrize("name", ["YC_FOLDER", "YANDEX_FOLDER_ID", "FOLDER_ID", "YC_FOLDERID"])
def test_a_misspelt_folder(examined, monkeypatch, name):
    monkeypatch.delenv("YC_FOLDER_ID")
    monkeypatch.setenv(name, "test-folder")
    is_line(examined(), "variables", "warning", f"{name} is set, .*Name it YC_FOLDER_ID")


@pytest.mark.parametrize("name", ["YC_CLOUD_ID", "YC_ZONE", "API_KEY", "OPENAI_API_KEY", "FOLDER"])
def test_variables_of_others_are_nobody_s_mistake(examined, monkeypatch, name):
    monkeypatch.setenv(name, "something-of-theirs")
    is_line(examined("--no-request"), "variables", "ok", "^set: YC_API_KEY, YC_FOLDER_ID$")


def test_a_name_that_another_package_reads_is_none_where_ours_is_set(examined, monkeypatch):
    monkeypatch.setenv("YANDEX_API_KEY", "test-key")
    is_line(examined("--no-request"), "variables", "ok")


def test_of_two_credentials_the_one_that_is_taken_is_told(examined, monkeypatch):
    monkeypatch.setenv("YC_IAM_TOKEN", "t1.another")
    shown = examined("--no-request")
    assert shown.code == 0
    is_line(
        shown, "variables", "warning", "of YC_API_KEY and YC_IAM_TOKEN, YC_API_KEY is taken",
        "Unset YC_IAM_TOKEN",
    )  # fmt: skip


def test_an_empty_variable_is_told(examined, monkeypatch):
    monkeypatch.setenv("YC_IAM_TOKEN", "")
    is_line(
        examined("--no-request"), "variables", "warning", "empty, which counts as not set: YC_IAM"
    )


# The way there


def test_nothing_listens(examined, free_port):
    shown = examined(base_url=f"http://127.0.0.1:{free_port}/v1")
    assert shown.code == 1
    assert shown.named("failed") == ["chat API", "native API"]
    is_line(
        shown, "chat API", "failed",
        rf"^127\.0\.0\.1:{free_port} can't be reached \(connect: .*refused",
        "Start what is to listen there, such as `yandex-compat emulator`",
    )  # fmt: skip
    assert shown.lines["access"] == ("not checked", "chat API failed")


def test_a_name_without_an_address(examined):
    shown = examined(base_url="https://nowhere.invalid/v1")
    assert shown.code == 1
    is_line(shown, "chat API", "failed", r"^nowhere\.invalid:443 .*\(DNS: ", "name server")


def test_plain_http_to_a_public_host(examined):
    shown = examined(base_url="http://models.invalid/v1")
    assert shown.code == 1
    is_line(shown, "address", "failed", "over plain http, .* write https://…")
    assert shown.lines["proxies"] == ("not checked", "address failed")
    assert shown.lines["chat API"] == ("not checked", "proxies was not checked")
    shown = examined("--allow-http", base_url="http://models.invalid/v1")
    is_line(shown, "address", "warning", "Everyone on the way reads the credential")
    is_line(shown, "chat API", "failed", r"^models\.invalid:80 .*\(DNS: ")


def test_plain_http_to_a_private_host(examined):
    shown = examined(base_url="http://models.internal/v1")
    is_line(shown, "address", "warning", "whoever shares that network reads the credential")
    assert shown.errors == ""


@pytest.mark.parametrize(
    "url", ["no address", "ftp://h/v1", f"https://u:{CANARY}@h/v1", "https://"]
)
def test_an_address_that_is_none(examined, url):
    shown = examined(base_url=url)
    assert shown.code == 1
    is_line(shown, "address", "failed", "^base_url ")
    assert CANARY not in shown.everything


def test_an_api_that_is_none(examined):
    shown = examined("--api", CANARY)
    assert shown.code == 1
    is_line(shown, "address", "failed", 'api must be "chat" or "completion". Change --api')
    assert CANARY not in shown.everything


def test_plain_http_where_https_is_asked(examined, emulator):
    shown = examined(base_url=emulator.chat_url.replace("http://", "https://"))
    assert shown.code == 1
    is_line(shown, "chat API", "failed", r"\(TLS: ", "speaks plain http, write http://…")


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory):
    """The server's side of TLS with a certificate that nobody else vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(host, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_a_certificate_that_nobody_vouches_for(examined, program, self_signed):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed)
    with serving(lambda handler, body: (401, b"{}"), context) as host:
        shown = examined(base_url=f"https://{host}/v1")
        taken = program(
            "doctor", "--base-url", f"https://{host}/v1", SSL_CERT_FILE=str(self_signed)
        )
    assert shown.code == 1
    is_line(shown, "chat API", "failed", r"\(TLS: .*self.signed", "set SSL_CERT_FILE")
    is_line(taken, "chat API", "ok", r"connect [\d.]+ ms, TLS [\d.]+ ms, first byte", r"TLSv1\.\d$")


PAGE = b"<html><head><title>Sign in to the network</title></head></html>"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, PAGE, "but with a web page. Check base_url and the proxies between: GET http"),
        (403, PAGE, "403: a web page, .*: Sign in to the network.*Check base_url and the proxies"),
        (503, PAGE, "503: a web page.*try again later"),
        (503, b'{"error": "upstream"}', "503: upstream.*try again later"),
        (302, b"", "Check base_url: GET .* was asked, and no redirect is followed"),
        (407, b"", "the proxy wants to know who asks. Write .*http://USER:PASSWORD@HOST:PORT"),
    ],
)
def test_what_answers_is_not_the_service(examined, status, body, told):
    with serving(lambda handler, asked: (status, body)) as host:
        shown = examined(base_url=f"http://{host}/v1")
    assert shown.code == 1
    is_line(shown, "chat API", "failed", told)


def test_a_server_that_hangs_up(examined):
    with socket.create_server(("127.0.0.1", 0)) as bound, ThreadPoolExecutor(1) as pool:

        def hang_up():
            for _ in range(2):
                connection, _ = bound.accept()
                connection.recv(1)
                connection.close()

        hanging = pool.submit(hang_up)
        shown = examined(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}/v1")
        hanging.result()
    assert shown.code == 1
    is_line(shown, "chat API", "failed", r"\(answer: ", "or try again")


ANSWER = (
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"one"},'
    b'"finish_reason":"stop"}]}'
)


def test_a_server_of_another_s_with_the_chat_api_and_no_more(examined):
    def answer(handler, body):
        generates = handler.path == "/v1/chat/completions"
        return (200, ANSWER) if generates else (404, b'{"error": "nothing here"}')

    with serving(answer) as host:
        shown = examined("--model", "smollm2", base_url=f"http://{host}/v1")
    assert shown.code == 0, shown.everything
    is_line(shown, "native API", "ok", "this server has no native API")
    is_line(shown, "access", "warning", r"this server lists no models \(404: nothing here")
    is_line(shown, "folder", "warning", "not known, since the server lists no models")
    is_line(shown, "model", "ok", "its family is not known.*not looked up")
    is_line(shown, "chat generation", "ok", "usage untold, finish reason stop")
    assert shown.lines["native generation"] == ("not checked", "this server has no native API")


def test_a_server_that_never_heard_of_the_chosen_api(examined):
    with serving(lambda handler, body: (404, b'{"error": "nothing here"}')) as host:
        shown = examined("--api", "completion", base_url=f"http://{host}/native")
    assert shown.code == 1
    is_line(shown, "native generation", "failed", "^404: nothing here", "check base_url")


# Proxies


class Proxy:
    """Forwards plain http where it is told the right password, and remembers what was asked."""

    def __init__(self, password):
        self.password = password
        self.asked = []

    def __call__(self, handler, body):
        told = handler.headers.get("proxy-authorization", "")
        if b64decode(told.removeprefix("Basic ")).decode() != f"user:{self.password}":
            return 407, f"who asks? not {told}".encode()
        self.asked.append(handler.path)
        headers = {
            name: value
            for name, value in handler.headers.items()
            if name.lower() not in {"proxy-authorization", "host", "connection"}
        }
        with httpx.Client(trust_env=False) as client:
            answer = client.request(handler.command, handler.path, content=body, headers=headers)
        return answer.status_code, answer.content


def test_a_proxy_that_is_named_and_does_not_apply(examined, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{CANARY}@proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "example.com")
    shown = examined()
    assert shown.code == 0, shown.everything
    is_line(shown, "proxies", "ok", r"^HTTPS_PROXY, NO_PROXY set; 127\.0\.0\.1: reached directly$")
    assert CANARY not in shown.everything


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_that_catches_this_machine(examined, monkeypatch, name, free_port):
    monkeypatch.setenv(name, f"http://user:{CANARY}@127.0.0.1:{free_port}")
    shown = examined()
    assert shown.code == 1
    is_line(
        shown, "proxies", "warning", rf"127\.0\.0\.1 through 127\.0\.0\.1:{free_port} \({name}\)",
        r"add 127\.0\.0\.1 to NO_PROXY",
    )  # fmt: skip
    is_line(
        shown, "chat API", "failed", rf"through the proxy 127\.0\.0\.1:{free_port} \(connect: ",
        r"Add 127\.0\.0\.1 to NO_PROXY",
    )  # fmt: skip
    assert CANARY not in shown.everything
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    shown = examined()
    assert shown.code == 0, shown.everything
    is_line(shown, "proxies", "ok", r"127\.0\.0\.1: reached directly")


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("proxy.invalid", "proxy.invalid:80"),
        ("http://proxy.invalid:8", "proxy.invalid:8"),
        (f"https://{CANARY}@proxy.invalid", "proxy.invalid:443"),
    ],
)
def test_a_proxy_is_told_by_the_variable_that_names_it(examined, monkeypatch, value, host):
    monkeypatch.setenv("HTTP_PROXY", value)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:8080")
    shown = examined()
    is_line(shown, "proxies", "warning", rf"127\.0\.0\.1 through {host} \(HTTP_PROXY\)")
    is_line(shown, "chat API", "failed", rf"through the proxy {host} \(DNS: ")


def test_a_proxy_that_works(examined, emulator, monkeypatch):
    proxy = Proxy(CANARY)
    with serving(proxy) as host:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{CANARY}@{host}")
        shown = examined()
    assert shown.code == 0, shown.everything
    is_line(shown, "chat API", "ok", f"answers through {host}: DNS")
    is_line(shown, "chat generation", "ok")
    assert f"{emulator.chat_url}/chat/completions" in proxy.asked
    assert CANARY not in shown.everything


def test_a_proxy_that_wants_another_password(examined, monkeypatch):
    with serving(Proxy("right-password")) as host:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{CANARY}@{host}")
        shown = examined()
    assert shown.code == 1
    is_line(shown, "chat API", "failed", "the proxy wants to know who asks")
    assert CANARY not in shown.everything
    assert b64encode(f"user:{CANARY}".encode()).decode() not in shown.everything


def test_a_proxy_that_tunnels_nothing(program, emulator):
    """To the service itself, by https: the proxy is the emulator, which knows no CONNECT."""
    proxy = f"http://user:{CANARY}@127.0.0.1:{emulator.url.rsplit(':', 1)[1]}"
    shown = program("doctor", HTTPS_PROXY=proxy, NO_PROXY="")
    assert shown.code == 1
    is_line(shown, "proxies", "ok", r"ai\.api\.cloud\.yandex\.net through 127\.0\.0\.1:.*llm\.api")
    is_line(
        shown, "chat API", "failed", r"through the proxy 127\.0\.0\.1:\d+ \(proxy: ",
        "user and password in the proxy's address",
    )  # fmt: skip
    is_line(shown, "quota", "ok", "keeps to 10 generations of a model at once")
    assert CANARY not in shown.everything


def test_a_proxy_that_is_none(examined, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{CANARY}@proxy.invalid:port")
    shown = examined()
    assert shown.code == 1
    is_line(shown, "proxies", "failed", "No HTTP client can be made.*check HTTP_PROXY")
    assert shown.lines["chat API"] == ("not checked", "proxies failed")
    assert CANARY not in shown.everything


# The model, and its answers


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("brand-new", "its family is not known.*does not list it. `yandex-compat models`"),
        ("yandex-gpt", "Did you mean 'yandexgpt'"),
        ("YandexGPT", "in small letters only"),
        ("text-search-doc", "is an embedding model, but this call takes a text model"),
        ("gpt://FOLDER/yandexgpt/latest", "holds a placeholder"),
        ("a b", "is neither a name nor a model URI"),
    ],
)
def test_a_model_that_is_none(examined, model, told):
    shown = examined("--model", model)
    assert shown.code == 1
    is_line(shown, "model", "failed", told)
    assert shown.lines["chat generation"] == ("not checked", "model failed")


def test_a_model_of_a_known_family_that_is_not_listed(examined):
    shown = examined("--model", "yandexgpt-next")
    assert shown.code == 0  # the emulator answers for each of a family
    is_line(shown, "model", "warning", "its family is known.*the service does not list it")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("500", "^500: Internal error .*try again later, or raise max_retries"),
        ("502", "^502: a web page, not the service's own answer: 502 Bad Gateway"),
        ("503", "^503: "),
        ("504", "^504: .*The answer took too long"),
        ("reset", "^No answer from .*Check base_url and the network, or try again"),
        ("cut", "^No answer from .*RemoteProtocolError"),
    ],
)
def test_faults(examined, emulator, kind, told):
    emulator.faults(1, kinds=(kind,))
    shown = examined()
    assert shown.code == 1
    assert shown.named("failed") == GENERATIONS
    for name in GENERATIONS:
        is_line(shown, name, "failed", told)


def test_the_quota_is_taken(shown_by):
    with Emulator(quota=1) as account, ThreadPoolExecutor(1) as pool:
        account.script({"text": "one two three", "gate": True})
        body = {
            "model": "gpt://test-folder/yandexgpt/latest",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
        }
        headers = {"authorization": "Api-Key test-key"}
        url = f"{account.chat_url}/chat/completions"
        held = pool.submit(httpx.post, url, json=body, headers=headers, timeout=30)
        account.wait_for_request()
        shown = shown_by("doctor", "--base-url", account.chat_url)
        account.release()
        assert held.result().status_code == 200
    assert shown.code == 0, shown.everything  # a warning: somebody uses what one has
    for name in GENERATIONS:
        is_line(shown, name, "warning", "^429: .*allowed 1 requests", "Set max_concurrency=1")
    is_line(
        shown, "quota", "warning", "all 1 places that the service allows were taken by others",
        "Wait for them to end",
    )  # fmt: skip


def test_a_quota_of_nothing(examined, emulator):
    error = {
        "error": {"grpcCode": 8, "httpCode": 429, "message": "limit exceed: allowed 0 requests"}
    }
    emulator.script(*[{"status": 429, "body": error}] * 2)
    shown = examined()
    assert shown.code == 1
    is_line(shown, "chat generation", "failed", "There is no quota at all")


def test_a_quota_that_no_number_is_told_of(examined, emulator):
    emulator.script(*[{"status": 429, "body": "busy", "headers": {"retry-after": "7"}}] * 2)
    shown = examined()
    assert shown.code == 0
    is_line(shown, "chat generation", "warning", "^429: busy", "asks for a wait of 7 s")
    is_line(shown, "quota", "warning", "a place was taken by others")


def test_a_used_up_quota_of_lists(examined, emulator):
    emulator.script({"path": "/v1/models", "status": 429, "body": "busy"})
    shown = examined()
    assert shown.code == 0, shown.everything
    is_line(shown, "access", "warning", "^429: busy")
    is_line(shown, "chat generation", "ok")


def test_limits_that_the_service_tells_are_told(examined, emulator):
    headers = {"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "7"}
    body = json.loads(ANSWER)
    path = "/v1/chat/completions"
    emulator.script({"status": 200, "body": body, "headers": headers, "path": path})
    is_line(
        examined(), "quota", "ok",
        "tells x-ratelimit-limit-requests: 10, x-ratelimit-remaining-requests: 7; this client",
    )  # fmt: skip


def test_a_list_of_another_shape(examined, emulator):
    emulator.script({"path": "/v1/models", "status": 200, "body": {"data": 5}})
    shown = examined()
    assert shown.code == 1
    is_line(shown, "access", "failed", "^The list of models")


# This machine


def test_without_frameworks_the_doctor_runs_and_says_what_is_missing(program, emulator):
    missing = (
        "langchain", "langchain_core", "llama_index", "jwt", "starlette", "uvicorn"
    )  # fmt: skip
    shown = program("doctor", "--base-url", emulator.chat_url, without=missing)
    assert shown.code == 0, shown.everything
    is_line(
        shown, "extras", "warning", "^installed: cli; missing: emulator .*iam \\(pyjwt\\)",
        r"langchain \(langchain-core\); llamaindex \(llama-index-core\)",
        r"only YandexClient works: pip install 'yandex-compat\[.*langchain,llamaindex\]'",
    )  # fmt: skip
    assert "langchain-core" not in shown.lines["versions"][1]


def test_without_one_framework(program, emulator):
    shown = program("doctor", "--base-url", emulator.chat_url, without=("llama_index",))
    assert shown.code == 0
    is_line(
        shown, "extras", "ok", r"missing: llamaindex .*pip install 'yandex-compat\[llamaindex\]"
    )


def test_without_packaging_the_bounds_are_not_checked(program, emulator):
    shown = program("doctor", "--base-url", emulator.chat_url, without=("packaging",))
    assert shown.code == 0, shown.everything
    is_line(shown, "versions", "not checked", "httpx [0-9.]+.*packaging, which is not installed")


def test_a_key_file_without_what_signs(program, emulator, key_file):
    shown = program("doctor", "--base-url", emulator.chat_url, without=("jwt",))
    assert shown.code == 1
    is_line(shown, "credentials", "failed", r"PyJWT: pip install 'yandex-compat\[iam\]'")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_there_is_a_line(program, missing):
    shown = program("doctor", without=(missing,))
    assert shown.code == 1
    assert shown.output == ""
    [line] = shown.errors.splitlines()
    assert "pip install 'yandex-compat[" in line


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Has the metadata of other versions found first."""

    def stand_in(name, version):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    return stand_in


def test_a_version_out_of_bounds(examined, packages):
    packages("httpx", "0.27.0")
    shown = examined("--no-request")
    assert shown.code == 1
    is_line(
        shown, "versions", "failed", r"httpx 0\.27\.0 is not <1,>=0\.28\.1",
        r"pip install 'httpx<1,>=0\.28\.1'",
    )  # fmt: skip


def test_a_version_out_of_an_extra_s_bounds(examined, packages):
    packages("langchain-core", "0.1.0")
    shown = examined("--no-request")
    assert shown.code == 0
    is_line(shown, "versions", "warning", r"langchain-core 0\.1\.0 is not <2,>=1\.7")


def test_code_of_another_version_than_pip_s(examined, monkeypatch):
    monkeypatch.setattr(doctor_machine, "__version__", "9.9")
    is_line(
        examined("--no-request"), "versions", "warning", "The code is of 9.9, .*Install it anew"
    )


def test_code_that_is_not_installed(examined, monkeypatch):
    monkeypatch.setattr(doctor_machine, "_DISTRIBUTION", "yandex-compat-that-is-not-there")
    shown = examined("--no-request")
    assert shown.code == 0
    is_line(shown, "versions", "not checked", "runs from its source")
    is_line(shown, "extras", "not checked", "runs from its source")
    is_line(shown, "python", "ok")


def test_a_python_that_the_tests_did_not_run_on(examined, monkeypatch):
    monkeypatch.setattr(doctor_machine.platform, "python_version", lambda: "3.99.1")
    is_line(examined("--no-request"), "python", "ok", r"^3\.99\.1 .*; the tests ran on 3\.11")


def test_a_fault_of_the_doctor_s_own_is_a_line():
    def broken():
        raise RuntimeError("a mistake")

    found = doctor._tried(broken)
    assert (found.status, found.advice) == ("failed", "Please report it.")
    assert "RuntimeError: a mistake" in found.found


# Secrets


@pytest.mark.parametrize("command", ["doctor", "models"])
@pytest.mark.parametrize(
    "arguments",
    [[CANARY], ["--api-key", CANARY], [f"--api-key={CANARY}"], [f"--{CANARY}"], [f"-{CANARY}"]],
)
def test_an_option_that_is_not_known_is_refused_unseen(shown_by, command, arguments):
    shown = shown_by(command, *arguments)
    assert shown.code == 2
    assert "read from the environment only" in shown.errors
    assert CANARY not in shown.everything


ECHOES = {
    "json": (401, f'{{"error":{{"message":"Unknown api key {CANARY}","code":16}}}}'),
    "plain": (500, f"no such key: {CANARY}"),
    "page": (403, f"<html><title>{CANARY}</title>{CANARY}</html>"),
    "in a 200": (200, f'{{"error":{{"message":"Unknown api key {CANARY}","code":16}}}}'),
    "no json": (200, f"Authorization: Api-Key {CANARY}"),
    "another shape": (200, f'{{"data": [["{CANARY}"]]}}'),
    "a name": (200, f'{{"data": [{{"id": "gpt://{CANARY}/{CANARY}/latest"}}]}}'),
    "quota": (429, f"too many of {CANARY}"),
}


@pytest.mark.parametrize("way", [(), ("--json",)])
@pytest.mark.parametrize("command", ["doctor", "models"])
@pytest.mark.parametrize(("status", "body"), ECHOES.values(), ids=ECHOES.keys())
def test_what_the_server_repeats_is_blotted_out(shown_by, monkeypatch, command, status, body, way):
    """The key of the credential, of a misspelt variable, of a proxy: a server may know each."""
    asked = []

    def answer(handler, asked_for):
        asked.append(handler.headers.get("authorization"))
        if asked[-1] is None:
            return 401, b"{}"
        return status, body.encode(), ("x-request-id", CANARY), ("x-ratelimit-key", CANARY)

    monkeypatch.setenv("YC_API_KEY", CANARY)
    with serving(answer) as host:
        shown = shown_by(command, "--base-url", f"http://{host}/v1", *way)
    assert f"Api-Key {CANARY}" in asked
    assert "***" in shown.everything
    assert CANARY not in shown.everything
    assert CANARY[4:14] not in shown.everything


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("YANDEX_API_KEY", "canary0123456789"),
        ("YC_OAUTH_TOKEN", "canary0123456789"),
        ("OPENAI_API_KEY", "canary0123456789"),
        ("HTTPS_PROXY", "http://user:canary0123456789@proxy.invalid:1"),
        ("HTTPS_PROXY", "http://canary0123456789@proxy.invalid:1"),
        ("SOMETHING_ELSE", CANARY),
    ],
)
@pytest.mark.parametrize("command", ["doctor", "models"])
def test_another_secret_of_the_environment_is_blotted_out_too(
    shown_by, monkeypatch, command, variable, value
):
    secret = CANARY if value == CANARY else "canary0123456789"

    def answer(handler, body):
        has_key = handler.headers.get("authorization")
        return (400, f"no place for {secret}".encode()) if has_key else (401, b"{}")

    monkeypatch.setenv(variable, value)
    with serving(answer) as host:
        shown = shown_by(command, "--base-url", f"http://{host}/v1")
    assert "no place for ***" in shown.everything
    assert secret not in shown.everything


@pytest.mark.parametrize("way", [(), ("--json",)])
@pytest.mark.parametrize(
    "arguments",
    [
        ["--base-url", f"https://{CANARY}@h.invalid/v1"],
        ["--base-url", f"https://h.invalid/v1?key={CANARY}"],
        ["--base-url", f"https://h.invalid/{CANARY}/v1"],
        ["--base-url", "https://h.invalid/canary0123456789/v1"],
        ["--base-url", CANARY],
        ["--iam-url", f"https://u:{CANARY}@h.invalid/iam"],
        ["--model", CANARY],
        ["--model", f"gpt://{CANARY}/yandexgpt"],
        ["--api", CANARY],
    ],
)
@pytest.mark.parametrize("command", ["doctor", "models"])
def test_a_key_in_an_option_s_place_is_not_shown(shown_by, monkeypatch, command, arguments, way):
    if command == "models" and arguments[0] == "--model":
        assert shown_by(command, *arguments).code == 2  # it has no such option
        return
    if arguments[0] == "--iam-url":
        monkeypatch.delenv("YC_API_KEY")
        monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_an-oauth-token")
    shown = shown_by(command, *arguments, *way)
    assert shown.code == 1
    assert CANARY not in shown.everything
    assert "canary0123456789" not in shown.everything


def test_a_key_in_the_key_file_variable_is_not_shown(examined, monkeypatch, emulator):
    key = emulator.authorized_key()
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_SERVICE_ACCOUNT_KEY_FILE", json.dumps(key)[:-1])
    shown = examined()
    assert shown.code == 1
    is_line(shown, "credentials", "failed", "has id, service_account_id and private_key")
    assert key["private_key"][40:80] not in shown.everything


@pytest.mark.usefixtures("key_file")
def test_what_iam_repeats_is_blotted_out(examined, monkeypatch):
    sent = []

    def answer(handler, body):
        sent.append(json.loads(body)["jwt"])
        return 401, f'{{"code":16,"message":"no good: {sent[0]}"}}'.encode()

    with serving(answer) as host:
        shown = examined("--iam-url", f"http://{host}{IAM}")
    assert shown.code == 1
    is_line(shown, "credentials", "failed", r"401: no good: \*\*\*")
    assert sent[0] not in shown.everything


def test_an_exchanged_token_that_the_service_repeats_is_blotted_out(examined, monkeypatch):
    def answer(handler, body):
        token = handler.headers.get("authorization", "").partition(" ")[2]
        return (400, f"nothing for {token}".encode()) if token else (401, b"{}")

    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_repeated")
    with serving(answer) as host, Emulator(oauth_tokens=("y0_repeated",)) as account:
        shown = examined("--iam-url", account.iam_url, base_url=f"http://{host}/v1")
    is_line(shown, "access", "warning", r"nothing for \*\*\*")
    assert "t1.issued" not in shown.everything


def test_what_a_terminal_would_obey_is_not_sent_to_it(examined):
    def answer(handler, body):
        generates = handler.path == "/v1/chat/completions"
        return (200, ANSWER, ("x-ratelimit-limit", "\x9b2J 10")) if generates else (404, b"{}")

    with serving(answer) as host:
        shown = examined(base_url=f"http://{host}/v1")
    assert "x-ratelimit-limit: " in shown.output
    assert "\x9b" not in shown.output
    assert os.linesep not in shown.lines["quota"][1]


@pytest.mark.parametrize("command", ["doctor", "models"])
def test_signs_that_the_screen_lacks_end_nothing(program, command):
    def answer(handler, body):
        has_key = handler.headers.get("authorization")
        return (401, "нет такого ключа".encode()) if has_key else (401, b"{}")

    with serving(answer) as host:
        shown = program(command, "--base-url", f"http://{host}/v1", PYTHONIOENCODING="ascii")
    assert shown.code == 1
    assert "401: ??? ?????? ?????" in shown.everything
    assert "Traceback" not in shown.everything


def test_some_hosts_through_a_proxy_and_some_not(examined, monkeypatch, free_port):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_nobody-asked")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port}")
    shown = examined("--iam-url", "https://iam.invalid/iam/v1/tokens")
    assert shown.code == 1
    is_line(
        shown, "proxies", "ok",
        rf"^iam\.invalid through 127\.0\.0\.1:{free_port} \(HTTPS_PROXY\); 127\.0\.0\.1: reached",
    )  # fmt: skip


def test_the_service_itself_lists_models(shown_by, monkeypatch):
    """Asked through a proxy that answers in its place."""

    def answer(handler, body):
        assert handler.path.startswith("http://ai.api.cloud.yandex.net/")
        return 404, b'{"error": "nothing here"}'

    with serving(answer) as host:
        monkeypatch.setenv("HTTP_PROXY", f"http://{host}")
        # The native API's own address is reached by https.
        monkeypatch.setenv("HTTPS_PROXY", f"http://{host}")
        shown = shown_by("doctor", "--base-url=http://ai.api.cloud.yandex.net/v1", "--allow-http")
    assert shown.code == 1
    is_line(shown, "chat API", "ok", f"^ai.api.cloud.yandex.net answers through {host}")
    is_line(shown, "access", "failed", "^404: nothing here", "Check base_url")


def test_an_answer_without_an_end_is_not_read_to_it(examined):
    def answer(handler, body):
        if handler.headers.get("authorization"):
            return 401, b"{}"
        handler.wfile.write(b"HTTP/1.1 404 Not Found\r\n\r\n")
        while True:  # until the other side hangs up
            handler.wfile.write(b" " * 65_536)

    with serving(answer) as host:
        shown = examined(base_url=f"http://{host}/v1")
    assert shown.named("failed") == ["access"]
    is_line(shown, "chat API", "ok", "first byte")


@pytest.mark.parametrize("url", ["no address", "iam.invalid", f"https://iam.invalid:{CANARY}/"])
def test_an_address_of_iam_that_is_none(examined, monkeypatch, url):
    monkeypatch.delenv("YC_API_KEY")
    monkeypatch.setenv("YC_OAUTH_TOKEN", "y0_nobody-asked")
    shown = examined("--iam-url", url)
    assert shown.code == 1
    assert shown.named("failed") == ["credentials"]
    is_line(shown, "credentials", "failed", "^url is not a web address")
    assert CANARY not in shown.everything
