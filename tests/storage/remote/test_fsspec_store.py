"""FsspecStore: the conformance tests, and file systems that fail."""

from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from gpuio.errors import ArgumentError, FileChangedError, RecordFileNotFoundError, RemoteError
from gpuio.storage.remote.fsspec_store import FsspecStore
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.url import parse_url
from tests.storage.remote.conformance import StoreConformance


class TestMemory(StoreConformance):
    @pytest.fixture
    def place(self) -> tuple[str, dict[str, Any]]:
        return "memory://folder", {}


class Failing(MemoryFileSystem):
    """Fails some times, by errors that file systems have."""

    protocol = ("failing",)
    store: dict[str, Any] = {}
    errors: list[Exception] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("failing://", "memory://"))

    def cat_file(self, *arguments: Any, **options: Any) -> bytes:
        if Failing.errors:
            raise Failing.errors.pop(0)
        return super().cat_file(*arguments, **options)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, no_delays: None) -> FsspecStore:
    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr(Failing, "errors", [])
    options = RemoteOptions(retries=2, storage_options={"password": "SECRET"})
    store = FsspecStore(parse_url("failing://host/a"), options)
    upload = store.upload("a")
    upload.write(b"0123456789")
    upload.complete()
    return store


def test_what_passes_is_repeated(failing: FsspecStore) -> None:
    version = failing.info("a")
    Failing.errors += [ConnectionResetError("SECRET"), TimeoutError()]
    assert bytes(failing.read("a", 2, 5, version)) == b"234"
    Failing.errors += [OSError("SECRET")] * 3
    with pytest.raises(RemoteError, match=r"failing://host/a: OSError: …; tried 3 times"):
        failing.read("a", 2, 5, version)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError("SECRET"), RemoteError, "access is refused"),
        (RuntimeError("SECRET"), RemoteError, "RuntimeError"),
        (FileNotFoundError("SECRET"), FileChangedError, "was removed"),
    ],
)
def test_what_does_not_pass(failing: FsspecStore, error: Exception, kind: type, words: str) -> None:
    version = failing.info("a")
    Failing.errors.append(error)
    with pytest.raises(kind, match=words) as raised:
        failing.read("a", 2, 5, version)
    assert "SECRET" not in str(raised.value) and raised.value.__context__ is None


def test_unknown_protocols_and_missing_packages() -> None:
    with pytest.raises(ArgumentError, match=r"nonsense://host cannot be opened"):
        open_store("nonsense://host/a")
    try:
        import paramiko  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="paramiko"):
            open_store("sftp://host/a")


def test_local_files_stay_local() -> None:
    with pytest.raises(ArgumentError):
        open_store("file:///etc/hostname")
    with pytest.raises(RecordFileNotFoundError):
        store, key = open_store("memory://never/a")
        store.info(key)
