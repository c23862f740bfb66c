"""ObstoreStore against servers with authentication: an S3 server and one of Azure Blob Storage."""

from typing import Any

import pytest

from gpuio.errors import RemoteError
from gpuio.storage.remote import obstore_upload
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store
from tests.servers.azurite import Azurite
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.remote.conformance import DATA, StoreConformance, write

pytest.importorskip("obstore")

MIB = 1 << 20


class TestS3(StoreConformance):
    @pytest.fixture
    def place(self, s3_server: SeaweedFS) -> tuple[str, dict[str, Any]]:
        return "s3://bucket/folder", s3_server.options

    @pytest.fixture
    def small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(obstore_upload, "PART", 5 * MIB)

    def test_parts(self, url: str, options: RemoteOptions, small_parts: None) -> None:
        store, prefix = open_store(url, options)
        data = DATA * 4
        write(store, f"{prefix}a", data)
        version = store.info(f"{prefix}a")
        assert bytes(store.read(f"{prefix}a", 0, len(data), version)[:]) == data
        store.remove(f"{prefix}a")

    def test_no_parts_of_a_dropped_upload_are_left(
        self, url: str, options: RemoteOptions, s3_server: SeaweedFS, small_parts: None
    ) -> None:
        store, prefix = open_store(url, options)
        assert s3_server.unfinished() == []
        upload = store.upload(f"{prefix}a")
        upload.write(DATA * 4)
        assert len(s3_server.unfinished()) == 1
        upload.abort()
        assert s3_server.unfinished() == [] and list(store.list(prefix)) == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"secret_access_key": "wrong"}, r"403 SignatureDoesNotMatch.*AWS_SECRET_ACCESS_KEY"),
            ({"access_key_id": "nobody"}, r"403 InvalidAccessKeyId.*AWS_ACCESS_KEY_ID"),
            ({"session_token": "x", "access_key_id": "nobody"}, "refuses access"),
            ({"skip_signature": True}, r"403 AccessDenied.*AWS_ACCESS_KEY_ID"),
        ],
    )
    def test_wrong_credentials(
        self, url: str, options: RemoteOptions, changes: dict[str, Any], words: str
    ) -> None:
        other = RemoteOptions.create(storage_options={**options.storage_options, **changes})
        store, prefix = open_store(url, other)
        for call in (
            lambda: store.info(f"{prefix}a"),
            lambda: list(store.list(prefix)),
            lambda: write(store, f"{prefix}a", b"x"),
        ):
            with pytest.raises(RemoteError, match=words) as raised:
                call()
            assert "wrong" not in str(raised.value)

    def test_credentials_in_the_environment(
        self, url: str, options: RemoteOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in options.storage_options.items():
            if name != "allow_http":
                monkeypatch.setenv(f"AWS_{name.upper()}", str(value))
        store, prefix = open_store(url)
        write(store, f"{prefix}a", b"x")
        assert store.info(f"{prefix}a").size == 1
        store.remove(f"{prefix}a")


class TestAzure(StoreConformance):
    @pytest.fixture
    def place(self, azure_server: Azurite) -> tuple[str, dict[str, Any]]:
        return "az://container/folder", azure_server.options

    def test_wrong_credentials(self, url: str, options: RemoteOptions) -> None:
        changes = {"account_key": "d3Jvbmc="}
        other = RemoteOptions.create(storage_options={**options.storage_options, **changes})
        store, prefix = open_store(url, other)
        with pytest.raises(RemoteError, match=r"refuses access \(403.*AZURE_STORAGE_ACCOUNT_KEY"):
            store.info(f"{prefix}a")

    def test_a_missing_container(self, options: RemoteOptions) -> None:
        store, key = open_store("az://nothing/a", options)
        with pytest.raises(FileNotFoundError, match="there is no such bucket"):
            store.info(key)
