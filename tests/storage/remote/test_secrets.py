"""Secrets in options and in messages."""

from gpuio.storage.remote.secrets import plain_name, scrub, secret_names, without_secrets

OPTIONS = {
    "region": "eu-west-1",
    "AWS_ENDPOINT": "http://127.0.0.1:1",
    "access_key_id": "AKIASECRET",
    "aws_secret_access_key": "SECRET/KEY+=",
    "endpoint_url": "http://me:SECRET@host",
    "client_options": {"timeout": "2s", "default_headers": {"authorization": "Bearer SECRET"}},
    "new_option": "SECRET",
    "provider": object(),
}


def test_only_what_is_known_to_be_harmless_is_kept() -> None:
    assert without_secrets(OPTIONS) == {
        "region": "eu-west-1",
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "client_options": {"timeout": "2s"},
    }
    assert secret_names(OPTIONS) == (
        "access_key_id", "aws_secret_access_key", "endpoint_url", "client_options.default_headers",
        "new_option", "provider",
    )  # fmt: skip
    assert without_secrets({}) == {} and secret_names({}) == ()


def test_prefixes_of_providers() -> None:
    assert plain_name("AWS_REGION") == "region"
    assert plain_name("azure_storage_account_name") == plain_name("account_name") == "account_name"
    assert plain_name("container_name") == "container_name"


def test_messages() -> None:
    text = (
        'Error performing GET https://me:SECRET@h:1/a?X-Sig=SECRET%2F&b=SECRET in 2ms "http://h/b?SECRET"'
        ": key AKIASECRET, SECRET/KEY+=, Bearer SECRET"
    )
    found = scrub(text, OPTIONS)
    assert "SECRET" not in found
    assert found.startswith('Error performing GET https://…@h:1/a?… in 2ms "http://h/b?…"')
    assert scrub("ftp://me:SEC@RET@host/a@b, ftp://host") == "ftp://…@host/a@b, ftp://host"
    assert scrub("is it right?", {"password": "is"}) == "is it right?"
