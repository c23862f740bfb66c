"""Opening stores: one for the same URL's store and the same options."""

import pickle

import pytest

from gpuio.errors import ArgumentError, RemoteError
from gpuio.storage.remote import registry
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store

pytest.importorskip("obstore")

PUBLIC = RemoteOptions(
    storage_options={"skip_signature": True, "client_options": {"timeout": "1s"}}
)


def test_the_same_store_is_opened_once() -> None:
    store, key = open_store("s3://bucket/dir/a?b.rec", PUBLIC)
    assert key == "dir/a?b.rec"
    twin = RemoteOptions(
        cache_dir="/elsewhere",
        storage_options={"client_options": {"timeout": "1s"}, "skip_signature": True},
    )
    assert open_store("s3a://bucket/b", twin)[0] is store
    assert open_store("s3://other/b", PUBLIC)[0] is not store
    private = RemoteOptions(storage_options={"skip_signature": False})
    assert open_store("s3://bucket/b", private)[0] is not store
    assert open_store("s3://bucket", PUBLIC) == (store, "")


def test_web_servers() -> None:
    store, key = open_store("http://127.0.0.1:1/dir/a%20b.rec")
    assert key == "dir/a b.rec"
    assert open_store("http://127.0.0.1:1/b")[0] is store
    assert open_store("http://me:pw@127.0.0.1:1/b")[0] is not store
    signed, key = open_store("http://127.0.0.1:1/dir/a.rec?sig=1")
    assert key == "dir/a.rec" and signed is not store
    assert open_store("http://127.0.0.1:1/dir/a.rec?sig=2")[0] is not signed


def test_credentials_that_are_set_later_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store("s3://bucket/a", PUBLIC)[0]
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert open_store("s3://bucket/a", PUBLIC)[0] is not store


def test_another_user_of_hdfs_is_another_client(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hdfs_native")
    monkeypatch.setenv("HADOOP_USER_NAME", "one")
    store = open_store("hdfs://127.0.0.1:1/a")[0]
    assert open_store("hdfs://127.0.0.1:1/b")[0] is store
    monkeypatch.setenv("HADOOP_USER_NAME", "two")
    assert open_store("hdfs://127.0.0.1:1/a")[0] is not store


def test_old_stores_are_dropped() -> None:
    first = open_store("http://127.0.0.1:1/a")[0]
    for number in range(registry.MOST):
        open_store(f"http://127.0.0.1:{number + 2}/a")
    assert open_store("http://127.0.0.1:1/a")[0] is not first


def test_unpickled_options_name_the_secrets_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    options = RemoteOptions(
        storage_options={"access_key_id": "A", "secret_access_key": "SECRET", "region": "x"}
    )
    open_store("s3://bucket/a", options)
    restored = pickle.loads(pickle.dumps(options))
    with pytest.raises(RemoteError, match=r"lacks access_key_id \(or .* AWS_SECRET_ACCESS_KEY"):
        open_store("s3://bucket/a", restored)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    open_store("s3://bucket/a", restored)


def test_no_url() -> None:
    for url in ("/a/b", "s3:///b", "file:///a"):
        with pytest.raises(ArgumentError):
            open_store(url)
