"""What is said about credentials."""

import pytest

from gpuio.storage.remote.advice import credentials_advice, missing_secrets, refusal_advice
from gpuio.storage.remote.options import RemoteOptions


def test_each_provider_has_its_own_variables() -> None:
    assert "AWS_ACCESS_KEY_ID" in credentials_advice("s3")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in credentials_advice("gs")
    assert "AZURE_STORAGE_ACCOUNT_KEY" in credentials_advice("az")
    assert credentials_advice("http") == credentials_advice("https")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredToken", "AWS_SESSION_TOKEN"),
        ("RequestTimeTooSkewed", "clock"),
        ("AuthorizationHeaderMalformed", "AWS_REGION"),
        ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        ("SomethingNew", "AWS_ACCESS_KEY_ID"),
        ("", "skip_signature"),
    ],
)
def test_codes_of_s3(code: str, words: str) -> None:
    assert words in refusal_advice("s3", code, {})


def test_credentials_without_permission() -> None:
    assert "no permission" in refusal_advice("s3", "AccessDenied", {"region": "x"})
    for unsigned in ({"skip_signature": True}, {"aws_skip_signature": "true"}):
        assert refusal_advice("s3", "AccessDenied", unsigned) == credentials_advice("s3")


def test_secrets_that_a_pickle_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    options = RemoteOptions(
        withheld=("aws_secret_access_key", "client_options.default_headers", "token")
    )
    key, headers, token = missing_secrets("s3", options)
    assert key == "aws_secret_access_key (or the environment variable AWS_SECRET_ACCESS_KEY)"
    assert headers == "client_options.default_headers" and "AWS_TOKEN" in token
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert missing_secrets("s3", options) == (headers, token)
    assert missing_secrets("hdfs", RemoteOptions(withheld=("password",))) == ("password",)
    assert missing_secrets("s3", RemoteOptions()) == ()
