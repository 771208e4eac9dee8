"""The doctor on the way to the service: address, TLS, what answers, and proxies."""

import socket
import ssl
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CANARY = "AQVNcanary0123456789secret"


# The way there


def test_nothing_listens(examined, free_port):
    shown = examined(base_url=f"http://127.0.0.1:{free_port}/v1")
    assert shown.code == 1
    assert shown.named("failed") == ["chat API", "native API"]
    shown.must_tell(
        "chat API", "failed",
        rf"^127\.0\.0\.1:{free_port} can't be reached \(connect: .*refused",
        "Start what is to listen there, such as `yandex-compat emulator`",
    )  # fmt: skip
    assert shown.lines["access"] == ("not checked", "chat API failed")


def test_a_name_without_an_address(examined):
    shown = examined(base_url="https://nowhere.invalid/v1")
    assert shown.code == 1
    shown.must_tell("chat API", "failed", r"^nowhere\.invalid:443 .*\(DNS: ", "name server")


def test_plain_http_to_a_public_host(examined):
    shown = examined(base_url="http://models.invalid/v1")
    assert shown.code == 1
    shown.must_tell("address", "failed", "over plain http, .* write https://…")
    assert shown.lines["proxies"] == ("not checked", "address failed")
    assert shown.lines["chat API"] == ("not checked", "proxies was not checked")
    shown = examined("--allow-http", base_url="http://models.invalid/v1")
    shown.must_tell("address", "warning", "Everyone on the way reads the credential")
    shown.must_tell("chat API", "failed", r"^models\.invalid:80 .*\(DNS: ")


def test_plain_http_to_a_private_host(examined):
    shown = examined(base_url="http://models.internal/v1")
    shown.must_tell("address", "warning", "whoever shares that network reads the credential")
    assert shown.errors == ""


@pytest.mark.parametrize(
    "url", ["no address", "ftp://h/v1", f"https://u:{CANARY}@h/v1", "https://"]
)
def test_an_address_that_is_none(examined, url):
    shown = examined(base_url=url)
    assert shown.code == 1
    shown.must_tell("address", "failed", "^base_url ")
    assert CANARY not in shown.everything


def test_an_api_that_is_none(examined):
    shown = examined("--api", CANARY)
    assert shown.code == 1
    shown.must_tell("address", "failed", 'api must be "chat" or "completion". Change --api')
    assert CANARY not in shown.everything


def test_plain_http_where_https_is_asked(examined, emulator):
    shown = examined(base_url=emulator.chat_url.replace("http://", "https://"))
    assert shown.code == 1
    shown.must_tell("chat API", "failed", r"\(TLS: ", "speaks plain http, write http://…")


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


def test_a_certificate_that_nobody_vouches_for(examined, program, self_signed, serving):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed)
    with serving(lambda handler, body: (401, b"{}"), context) as host:
        shown = examined(base_url=f"https://{host}/v1")
        taken = program(
            "doctor", "--base-url", f"https://{host}/v1", SSL_CERT_FILE=str(self_signed)
        )
    assert shown.code == 1
    shown.must_tell("chat API", "failed", r"\(TLS: .*self.signed", "set SSL_CERT_FILE")
    taken.must_tell(
        "chat API", "ok", r"connect [\d.]+ ms, TLS [\d.]+ ms, first byte", r"TLSv1\.\d$"
    )


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
def test_what_answers_is_not_the_service(examined, status, body, told, serving):
    with serving(lambda handler, asked: (status, body)) as host:
        shown = examined(base_url=f"http://{host}/v1")
    assert shown.code == 1
    shown.must_tell("chat API", "failed", told)


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
    shown.must_tell("chat API", "failed", r"\(answer: ", "or try again")


def test_a_server_of_another_s_with_the_chat_api_and_no_more(examined, serving, generation):
    def answer(handler, body):
        generates = handler.path == "/v1/chat/completions"
        return (200, generation) if generates else (404, b'{"error": "nothing here"}')

    with serving(answer) as host:
        shown = examined("--model", "smollm2", base_url=f"http://{host}/v1")
    assert shown.code == 0, shown.everything
    shown.must_tell("native API", "ok", "this server has no native API")
    shown.must_tell("access", "warning", r"this server lists no models \(404: nothing here")
    shown.must_tell("folder", "warning", "not known, since the server lists no models")
    shown.must_tell("model", "ok", "its family is not known.*not looked up")
    shown.must_tell("chat generation", "ok", "usage untold, finish reason stop")
    assert shown.lines["native generation"] == ("not checked", "this server has no native API")


def test_a_server_that_never_heard_of_the_chosen_api(examined, serving):
    with serving(lambda handler, body: (404, b'{"error": "nothing here"}')) as host:
        shown = examined("--api", "completion", base_url=f"http://{host}/native")
    assert shown.code == 1
    shown.must_tell("native generation", "failed", "^404: nothing here", "check base_url")


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
    shown.must_tell("proxies", "ok", r"^HTTPS_PROXY, NO_PROXY set; 127\.0\.0\.1: reached directly$")
    assert CANARY not in shown.everything


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_that_catches_this_machine(examined, monkeypatch, name, free_port):
    monkeypatch.setenv(name, f"http://user:{CANARY}@127.0.0.1:{free_port}")
    shown = examined()
    assert shown.code == 1
    shown.must_tell(
        "proxies", "warning", rf"127\.0\.0\.1 through 127\.0\.0\.1:{free_port} \({name}\)",
        r"add 127\.0\.0\.1 to NO_PROXY",
    )  # fmt: skip
    shown.must_tell(
        "chat API", "failed", rf"through the proxy 127\.0\.0\.1:{free_port} \(connect: ",
        r"Add 127\.0\.0\.1 to NO_PROXY",
    )  # fmt: skip
    assert CANARY not in shown.everything
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    shown = examined()
    assert shown.code == 0, shown.everything
    shown.must_tell("proxies", "ok", r"127\.0\.0\.1: reached directly")


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
    shown.must_tell("proxies", "warning", rf"127\.0\.0\.1 through {host} \(HTTP_PROXY\)")
    shown.must_tell("chat API", "failed", rf"through the proxy {host} \(DNS: ")


def test_a_proxy_that_works(examined, emulator, monkeypatch, serving):
    proxy = Proxy(CANARY)
    with serving(proxy) as host:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{CANARY}@{host}")
        shown = examined()
    assert shown.code == 0, shown.everything
    shown.must_tell("chat API", "ok", f"answers through {host}: DNS")
    shown.must_tell("chat generation", "ok")
    assert f"{emulator.chat_url}/chat/completions" in proxy.asked
    assert CANARY not in shown.everything


def test_a_proxy_that_wants_another_password(examined, monkeypatch, serving):
    with serving(Proxy("right-password")) as host:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{CANARY}@{host}")
        shown = examined()
    assert shown.code == 1
    shown.must_tell("chat API", "failed", "the proxy wants to know who asks")
    assert CANARY not in shown.everything
    assert b64encode(f"user:{CANARY}".encode()).decode() not in shown.everything


def test_a_proxy_that_tunnels_nothing(program, emulator):
    """To the service itself, by https: the proxy is the emulator, which knows no CONNECT."""
    proxy = f"http://user:{CANARY}@127.0.0.1:{emulator.url.rsplit(':', 1)[1]}"
    shown = program("doctor", HTTPS_PROXY=proxy, NO_PROXY="")
    assert shown.code == 1
    shown.must_tell("proxies", "ok", r"ai\.api\.cloud\.yandex\.net through 127\.0\.0\.1:.*llm\.api")
    shown.must_tell(
        "chat API", "failed", r"through the proxy 127\.0\.0\.1:\d+ \(proxy: ",
        "user and password in the proxy's address",
    )  # fmt: skip
    shown.must_tell("quota", "ok", "keeps to 10 generations of a model at once")
    assert CANARY not in shown.everything


def test_a_proxy_that_is_none(examined, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{CANARY}@proxy.invalid:port")
    shown = examined()
    assert shown.code == 1
    shown.must_tell("proxies", "failed", "No HTTP client can be made.*check HTTP_PROXY")
    assert shown.lines["chat API"] == ("not checked", "proxies failed")
    assert CANARY not in shown.everything
