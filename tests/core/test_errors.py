"""The error tree, and the bodies it is read from."""

import inspect
import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from yandex_compat import (
    APIError,
    AuthenticationError,
    Completion,
    ConfigurationError,
    ContextOverflowError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StreamInterrupted,
    ToolCall,
    YandexError,
    errors,
)
from yandex_compat.errors import error_from_response

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__
]


def made(status: int, body: str | bytes = "", **headers: str) -> APIError:
    data = body if isinstance(body, bytes) else body.encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_from_response(status, named, data)


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_of_the_tree_and_no_builtins_kind(kind):  # D11
    assert issubclass(kind, YandexError)
    assert not issubclass(kind, ValueError | TypeError | LookupError | OSError)


def test_the_docstring_draws_every_error():
    drawn = errors.__doc__.split("None derives")[0]
    assert [kind.__name__ for kind in ALL if kind.__name__ not in drawn] == []


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, InvalidRequestError, False),
        (401, AuthenticationError, False),
        (403, PermissionDeniedError, False),
        (404, NotFoundError, False),
        (409, InvalidRequestError, False),
        (422, InvalidRequestError, False),
        (429, RateLimitError, True),
        (500, ServerError, True),
        (501, ServerError, False),
        (502, ServerError, True),
        (503, ServerError, True),
        (504, ServerError, True),
        (505, ServerError, False),
        (301, NotFoundError, False),
        (307, NotFoundError, False),
    ],
)
def test_each_status_has_its_kind(status, kind, retryable):  # WIRE C
    error = made(status, '{"message":"words"}')
    assert type(error) is kind
    assert error.status_code == error.response.status_code == status
    assert error.retryable is retryable
    assert str(error).startswith(f"{status}: words. ")


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (
            '{"error":{"grpcCode":3,"httpCode":400,"message":"bad words","details":[]}}',
            "bad words",
            3,
        ),
        ('{"code":3,"message":"bad words","details":[]}', "bad words", 3),
        (
            '{"error":{"message":"bad words","type":"x","param":null,"code":null}}',
            "bad words",
            None,
        ),
        ('{"error":{"message":"bad words","code":"too_bad"}}', "bad words", "too_bad"),
        ('{"error":"bad words"}', "bad words", None),
        ("bad words", "bad words", None),
        (" bad\n  words.\n", "bad words", None),
        ('"bad words"', "bad words", None),
        ('\ufeff{"error":"bad words"}', "bad words", None),
        (
            "<html><head><TITLE >502\n Bad words</TITLE></head>x</html>",
            "a web page, not the service's own answer: 502 Bad words",
            None,
        ),
        ("<html>bad words</html>", "<html>bad words</html>", None),
        ("\ufeff<html>bad words</html>", "<html>bad words</html>", None),
        ('{"error":{"type":"x"}}', "{'type': 'x'}", None),
        ('["bad", "words"]', "['bad', 'words']", None),
        (b"bad \xff words", "bad \ufffd words", None),
        ("", "Bad Request", None),
        ("  ", "Bad Request", None),
    ],
)
def test_every_body_is_read(body, message, code):  # WIRE C
    error = made(400, body)
    assert str(error).startswith(f"400: {message}. C")
    assert error.code == code


def test_an_empty_body_of_an_unknown_status_is_no_failure():
    assert str(made(599)).startswith("599: ")


@pytest.mark.parametrize("text", ["<title>", "<title", "<title></title"])
def test_pages_are_read_in_time_linear_in_their_length(text):
    """A pattern that is quadratic would not end within the time of a test."""
    assert str(made(502, text * 500_000)).startswith("502: <title")


def test_long_bodies_are_shown_in_part_and_kept_whole():
    error = made(500, "x" * 10_000)
    assert "x" * 500 + "…" in str(error)
    assert "x" * 501 not in str(error)
    assert len(error.response.text) == 10_000


@pytest.mark.parametrize(
    ("grpc", "status", "kind"),
    [
        (3, 400, InvalidRequestError),
        (4, 504, ServerError),
        (5, 404, NotFoundError),
        (7, 403, PermissionDeniedError),
        (8, 429, RateLimitError),
        (12, 501, ServerError),
        (13, 500, ServerError),
        (14, 503, ServerError),
        (16, 401, AuthenticationError),
        (2, 500, ServerError),
    ],
)
@pytest.mark.parametrize("word", ["code", "grpcCode"])
def test_codes_inside_a_200_name_the_status(grpc, status, kind, word):  # WIRE C
    error = made(200, f'{{"error":{{"{word}":{grpc},"message":"words"}}}}')
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, grpc)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"error":{"httpCode":429,"grpcCode":3,"message":"w"}}', 429),
        ('{"error":{"code":429,"message":"w"}}', 429),
        ('{"error":{"httpCode":"429","message":"w"}}', 500),
        ('{"error":{"code":"429","message":"w"}}', 500),
        ('{"error":{"httpCode":200,"message":"w"}}', 500),
        ('{"error":"w"}', 500),
        ('{"error":{"type":"rate_limit_error","message":"w"}}', 429),
        ('{"error":{"type":["rate_limit_error"],"message":"w"}}', 500),
        ('{"error":{"type":{"a":1},"message":"w"}}', 500),
        ('{"error":{"code":[8],"message":"w"}}', 500),
    ],
)
def test_statuses_inside_a_200(body, status):
    assert made(200, body).status_code == status


def test_the_status_line_wins_over_the_body():
    assert made(403, '{"error":{"httpCode":429,"message":"w"}}').status_code == 403


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("invalid model_uri", "gpt://FOLDER/NAME/BRANCH"),
        ("Failed to parse model URI gpt://x", "gpt://FOLDER/NAME/BRANCH"),
        (
            "Specified folder ID 'a' does not match with service account folder ID 'b'",
            "Set folder_id (YC_FOLDER_ID)",
        ),
    ],
)
def test_the_two_mistakes_users_make_get_their_advice(message, advice):  # WIRE Endpoints
    error = made(400, f'{{"error":{{"grpcCode":3,"message":"{message}"}}}}')
    assert advice in str(error)
    assert message in str(error)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "YC_API_KEY"),
        (403, "ai.languageModels.user"),
        (404, "base_url"),
        (308, "base_url"),
        (429, "quota"),
        (500, "client request"),
        (501, "does not do this"),
    ],
)
def test_each_kind_says_what_to_do(status, advice):  # D11
    assert advice in str(made(status, "words"))


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 32000 tokens",
        "number of input tokens must be no more than 32000, got 40000",
        "too many tokens",
        "prompt tokens exceed the limit",
        "the input must not exceed 8192 tokens",
        "input is longer than 8192 tokens",
    ],
)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_context_overflow_is_recognised(message, status):
    assert type(made(status, message)) is ContextOverflowError
    assert "larger context" in str(made(status, message))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "tokens per minute limit exceeded"),
        (500, "maximum context length"),
        (400, "invalid model_uri"),
        (400, "max_completion_tokens exceeds the limit 8000"),
        (400, "max_tokens must not exceed 2000 tokens"),
        (422, "number of tokens to generate must be positive"),
        (401, "The token is invalid"),
    ],
)
def test_other_refusals_are_no_context_overflow(status, message):
    assert not isinstance(made(status, message), ContextOverflowError)


def test_ids_are_kept_and_the_request_id_is_told():  # D11
    error = made(500, "words", X_Request_Id="r-1", X_Server_Trace_Id="t-1")
    assert (error.request_id, error.trace_id) == ("r-1", "t-1")
    assert "500: words (request r-1). " in str(error)


def test_without_ids_none_is_told():
    error = made(500, "words")
    assert (error.request_id, error.trace_id, error.retry_after) == (None, None, None)
    assert "(request" not in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_in_seconds(value, seconds):
    assert made(429, retry_after=value).retry_after == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_retry_after_as_a_date(zone):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1000), usegmt=True)
    error = made(429, retry_after=date.replace("GMT", zone))
    assert 900 < error.retry_after <= 1000


def test_retry_after_in_the_past_is_now():
    assert made(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT").retry_after == 0.0


def test_the_response_can_be_read_again():
    headers = {"content-encoding": "gzip", "content-length": "3", "x-a": "1", "set-cookie": "c"}
    error = error_from_response(500, headers, b'{"a":1}')
    assert error.response.json() == {"a": 1}
    assert error.response.headers["x-a"] == "1"
    assert not {"content-encoding", "set-cookie"} & error.response.headers.keys()


@pytest.mark.parametrize("words", ["Превышена квота".encode(), b"caf\xe9"])
def test_headers_of_any_bytes_are_kept(words):
    headers = httpx.Headers([(b"x-reason", words), (b"retry-after", b"7")])
    error = error_from_response(429, headers, b'{"error":"quota"}')
    assert (type(error), error.retry_after) == (RateLimitError, 7.0)
    assert error.response.headers["x-reason"] == headers["x-reason"]


@pytest.mark.parametrize("status", [400, 401, 429, 501, 503])
def test_pickled_errors_keep_what_they_carry(status):  # D11
    error = made(status, '{"code":3,"message":"words"}', x_request_id="r", retry_after="2")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.retryable is error.retryable
    for word in ("status_code", "code", "request_id", "trace_id", "retry_after"):
        assert getattr(again, word) == getattr(error, word)
    assert again.response.text == error.response.text


def test_pickled_interruptions_keep_the_partial():
    partial = Completion("so far", tool_calls=(ToolCall("1", "f", "{"),))
    again = pickle.loads(pickle.dumps(StreamInterrupted("broke", partial=partial)))
    assert (str(again), again.partial, again.retryable) == ("broke", partial, True)


def test_an_api_error_of_ones_own_has_a_response():
    error = APIError("words")
    assert isinstance(error.response, httpx.Response)
    assert (error.status_code, error.retryable) == (None, False)


def test_errors_that_were_never_sent_are_not_retryable():
    assert not ConfigurationError("x").retryable
    assert not YandexError("x").retryable


def test_a_retry_after_of_an_absurd_year_is_none():
    error = error_from_response(429, {"retry-after": "Mon, 01 Jan 99999999999 00:00:00 GMT"}, b"")
    assert (error.status_code, error.retry_after) == (429, None)


def test_a_message_beside_an_empty_error_is_told():  # WIRE C
    assert "overloaded" in str(made(503, '{"error": null, "message": "overloaded"}'))


def test_half_a_character_in_a_message_can_be_written_down():
    told = made(400, '{"error": {"message": "a\\ud83d"}}')
    assert "a?" in str(told)
    str(told).encode()
