"""What is said about credentials."""

from contextlib import closing

import pytest

from gpuio.storage.remote.advice import credentials_advice, missing_secrets, refusal_advice
from gpuio.storage.remote.opening import open_file
from gpuio.storage.remote.options import RemoteOptions
from tests.servers.faulty import FaultyServer


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


def test_the_variable_of_a_token_for_azure_is_read(
    faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is not made of the option's, and the client reads no other one."""
    (missing,) = missing_secrets("az", RemoteOptions(withheld=("bearer_token",)))
    variable = missing.partition("variable ")[2].rstrip(")")
    assert variable == "AZURE_STORAGE_TOKEN"  # with others the client would ask for credentials
    monkeypatch.setenv(variable, "TOKEN")
    faulty.put("account/c/x", b"data")
    options = {"account_name": "account", "endpoint": f"{faulty.url}/account", "allow_http": True}
    with closing(open_file("az://c/x", RemoteOptions.create(storage_options=options))) as file:
        assert len(file) == 4
    headers = {name.lower(): value for name, value in faulty.headers.items()}
    assert headers["authorization"] == "Bearer TOKEN"
    assert missing_secrets("az", RemoteOptions(withheld=("bearer_token",))) == ()


def test_other_variables_of_azure() -> None:
    options = RemoteOptions(withheld=("azure_storage_account_key", "fabric_session_token"))
    key, token = missing_secrets("az", options)
    assert "AZURE_STORAGE_ACCOUNT_KEY" in key and "AZURE_FABRIC_SESSION_TOKEN" in token
