"""Clients of obstore: their options. What they do is in test_obstore_store.py."""

import sys

import pytest

from gpuio.errors import ArgumentError, RemoteError
from gpuio.storage.remote.obstore_client import make_client, needs_own_client
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import parse_url

pytest.importorskip("obstore")


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("s3://b/a", {"nonsense": "SECRET"}, "nonsense"),
        ("s3://b/a", {"access_key_id": "SECRET"}, "credentials are incomplete.*AWS_SECRET"),
        ("s3://b/a", {"skip_signature": "perhaps"}, "perhaps"),
        ("az://b/a", {}, "AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://b/a", {"account_name": "x", "account_key": "SECRET!"}, "Invalid Access Key"),
        ("gs://b/a", {"service_account_key": "{SECRET"}, "service account"),
        ("http://h/a", {"region": "x"}, "no options but client_options, not region"),
        ("http://h/a", {"client_options": {"timeout": "soon"}}, "soon"),
        ("http://h/a", {"client_options": "SECRET"}, "client_options.* a mapping, not str"),
        ("s3://b/a", {"client_options": None}, "client_options.* a mapping, not NoneType"),
    ],
)
def test_wrong_options(url: str, options: dict[str, object], message: str) -> None:
    with pytest.raises((ArgumentError, RemoteError), match=message) as raised:
        make_client(parse_url(url), RemoteOptions.create(storage_options=options), 0)
    assert "SECRET" not in str(raised.value).replace("AWS_SECRET", "")
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://h/a/b%20c", False), ("http://h/a?b", True), ("http://h/a%2Fb", True),
        ("http://h/a//b", True), ("http://h/a/", True), ("http://h", True),
    ],
)  # fmt: skip
def test_urls_that_must_be_sent_as_they_are(url: str, own: bool) -> None:
    assert needs_own_client(parse_url(url)) == own


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ImportError, match=r"s3://b/a: .* pip install 'gpuio\[remote\]'"):
        make_client(parse_url("s3://b/a"), RemoteOptions(), 0)
