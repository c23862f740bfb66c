"""FsspecStore: the conformance tests, and file systems that fail."""

import threading
from typing import Any

import fsspec
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from gpuio.errors import ArgumentError, FileChangedError, RecordFileNotFoundError, RemoteError
from gpuio.storage.remote import fsspec_store
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


def test_the_user_of_a_url_is_not_shown(failing: FsspecStore) -> None:
    store, key = open_store("failing://name:SECRET@host/a", RemoteOptions(retries=0))
    Failing.errors.append(OSError("login of name with SECRET"))
    with pytest.raises(RemoteError, match=r"//host/a: OSError: login of … with …;"):
        store.read(key, 0, 1, failing.info("a"))


class NeverReplacing(MemoryFileSystem):
    """Ignores it if a file should be renamed to the name of another one, as fsspec's WebHDFS."""

    protocol = ("neverreplacing",)
    store: dict[str, Any] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("neverreplacing://", "memory://"))

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        if path2 not in self.store:
            self.store[path2] = self.store.pop(path1)


def test_a_file_system_that_replaces_no_files() -> None:
    fsspec.register_implementation("neverreplacing", NeverReplacing, clobber=True)
    store, key = open_store("neverreplacing://host/a")
    for content in (b"old", b"new"):
        upload = store.upload(key)
        upload.write(content)
        if content == b"old":
            upload.complete()
            continue
        with pytest.raises(RemoteError, match=r"//host/a is not replaced: .*; remove that first"):
            upload.complete()
        upload.abort()
    assert bytes(store.read(key, 0, 3, store.info(key))) == b"old"
    assert [found for found, _ in store.list("")] == ["a"]


class Copying(MemoryFileSystem):
    """Has no `mv` of its own, and copies for longer than the timeout."""

    protocol = ("copying",)
    store: dict[str, Any] = {}
    mv = AbstractFileSystem.mv
    never = threading.Event()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("copying://", "memory://"))

    def cp_file(self, *arguments: Any, **options: Any) -> None:
        self.never.wait(1.7)
        super().cp_file(*arguments, **options)


def test_copying_a_large_file_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("copying", Copying, clobber=True)
    monkeypatch.setattr(fsspec_store, "COPIED", 100)
    store, key = open_store("copying://host/a", RemoteOptions(timeout=1.5))
    upload = store.upload(key)
    upload.write(bytes(10_000))
    upload.complete()
    assert store.info(key).size == 10_000


class Connecting(MemoryFileSystem):
    """Asks its server as soon as it is created, as those of SFTP and FTP do."""

    protocol = ("connecting",)
    errors: list[Exception] = []
    entered, released = threading.Event(), threading.Event()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.entered.set()
        assert self.released.wait(30)
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch, no_delays: None) -> type[Connecting]:
    fsspec.register_implementation("connecting", Connecting, clobber=True)
    monkeypatch.setattr(Connecting, "errors", [])
    monkeypatch.setattr(Connecting, "entered", threading.Event())
    monkeypatch.setattr(Connecting, "released", threading.Event())
    return Connecting


def test_a_server_that_is_asked_at_once(connecting: type[Connecting]) -> None:
    connecting.released.set()
    refused = ConnectionRefusedError(111, "Connection refused")
    connecting.errors += [refused]
    open_store("connecting://once/a")
    connecting.errors += [refused] * 9
    message = "connecting://always: .*refused; tried 4 times in .*; check the host and the network"
    with pytest.raises(RemoteError, match=message):
        open_store("connecting://always/a")


def test_who_waits_for_a_server_keeps_nobody_else_waiting(connecting: type[Connecting]) -> None:
    waiting = threading.Thread(target=open_store, args=("connecting://slow/a",))
    waiting.start()
    try:
        assert connecting.entered.wait(30)
        other = threading.Thread(target=open_store, args=("memory://quick/a",), daemon=True)
        other.start()
        other.join(10)
        assert not other.is_alive()
    finally:
        connecting.released.set()
        waiting.join()


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
