"""Messages of obstore that no test server causes. The others are in test_obstore_store.py."""

import pytest

from gpuio.errors import ArgumentError, RemoteError
from gpuio.storage.remote.calls import TransientError
from gpuio.storage.remote.obstore_errors import explained, option_error

URL = "s3://bucket/a"


def generic(summary: str, details: str = "") -> Exception:
    return Exception(f"Generic S3 error: {summary}\n\nDebug source:\n{details}")


@pytest.mark.parametrize(
    ("summary", "details", "kind", "words"),
    [
        ("Error performing GET http://169.254.169.254/latest/api/token in 1s - HTTP error: x",
         "HttpError TimedOut", RemoteError, "no credentials"),
        ("Error performing GET http://169.254.169.254/x in 1s - Server returned error response: 503"
         , "", TransientError, "503"),
        ("Error performing GET https://h/a in 1ms - HTTP error: error sending request",
         "reqwest certificate UnknownIssuer", RemoteError, "root_certificate"),
        ("Error performing GET http://h/a?X=SIGNATURE in 1ms - HTTP error: builder error",
         "reqwest BadScheme", RemoteError, "allow_http=True"),
        ("something new about http://h/a?X=SIGNATURE", "", RemoteError, "something new about"),
    ],
)  # fmt: skip
def test_meanings(summary: str, details: str, kind: type, words: str) -> None:
    found = explained(generic(summary, details), URL, "s3", {"key": "SIGNATURE"})
    assert type(found) is kind
    assert words in str(found) and "SIGNATURE" not in str(found)


def test_a_refused_deletion() -> None:
    error = generic(
        "DeleteObjects request failed for key a: Access Denied. (code: AccessDenied)",
        'DeleteFailed { code: "AccessDenied" }',
    )
    found = explained(error, URL, "s3", {})
    assert str(found).startswith(f"{URL}: the server refuses access (AccessDenied); the")


def test_a_key_that_looks_like_an_answer() -> None:
    name = "s3://bucket/Server returned non-2xx status code: 503 <Code>SlowDown</Code>"
    assert type(explained(generic("new"), name, "s3", {})) is RemoteError


def test_wrong_options_name_the_store() -> None:
    error = option_error(generic("Invalid key: SIGNATURE1"), URL, {"token": "SIGNATURE1"})
    assert type(error) is ArgumentError and str(error).startswith(URL)
    assert "Invalid key: …" in str(error)
