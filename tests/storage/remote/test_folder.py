"""RemoteFolder: files that are read one by one."""

import pickle
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gpuio.errors import (
    ArgumentError,
    Error,
    FileChangedError,
    RecordError,
    RecordFileNotFoundError,
    RemoteError,
)
from gpuio.storage.remote.folder import RemoteFolder
from gpuio.storage.remote.options import RemoteOptions
from tests.io.threads import run_in_thread
from tests.servers.faulty import FaultyServer, faulty_server


@pytest.fixture
def folder(faulty: FaultyServer, tmp_path: Path) -> RemoteFolder:
    for name in ("a.jpg", "more/b #%20ü.jpg", "empty"):
        faulty.put(f"bucket/in/{name}", name.encode() * (name != "empty"))
    return RemoteFolder("s3://bucket/in", options_of(faulty, tmp_path))


def options_of(server: FaultyServer, folder: Path) -> RemoteOptions:
    return RemoteOptions.create(folder / "cache", storage_options=server.s3_options, retries=0)


def test_files_are_read_by_their_names(folder: RemoteFolder, faulty: FaultyServer) -> None:
    for reader in (folder, pickle.loads(pickle.dumps(folder))):
        for name in ("a.jpg", "more/b #%20ü.jpg"):
            assert reader.read(name).tobytes() == name.encode()
            assert reader.path(name) == reader.url(name) == f"s3://bucket/in/{name}"
        assert reader.read("s3://bucket/in/a.jpg").tobytes() == b"a.jpg"
        assert reader.read("empty").tobytes() == b""


def test_what_was_read_is_cached(folder: RemoteFolder, faulty: FaultyServer) -> None:
    folder.read("a.jpg")
    requests = faulty.total()
    assert folder.read("a.jpg").tobytes() == b"a.jpg" and faulty.total() == requests


def test_a_file_stays_the_version_that_it_was(
    folder: RemoteFolder, faulty: FaultyServer, tmp_path: Path
) -> None:
    folder.read("a.jpg")
    faulty.put("bucket/in/a.jpg", b"other")
    assert folder.read("a.jpg").tobytes() == b"a.jpg"
    (tmp_path / "cache").rename(tmp_path / "lost")
    with pytest.raises(FileChangedError, match=r"s3://bucket/in/a\.jpg has changed"):
        folder.read("a.jpg")
    del faulty.objects["bucket/in/a.jpg"]
    with pytest.raises(FileChangedError, match=r"s3://bucket/in/a\.jpg was removed"):
        folder.read("a.jpg")


def test_threads_that_open_a_file_at_once_read_the_same_version(
    faulty: FaultyServer, tmp_path: Path, no_delays: None
) -> None:
    faulty.put("bucket/in/a.jpg", b"old")
    folder = RemoteFolder("s3://bucket/in", replace(options_of(faulty, tmp_path), retries=1))
    faulty.faults.append("hang")
    found: list[bytes] = []
    slow = threading.Thread(target=lambda: found.append(folder.read("a.jpg").tobytes()))
    slow.start()
    assert faulty.waiting.wait(20)
    assert folder.read("a.jpg").tobytes() == b"old"
    faulty.put("bucket/in/a.jpg", b"new")
    faulty.released.set()
    slow.join()
    assert found == [b"old"]


@pytest.mark.parametrize("name", ["../x", "more/../../x", "a\0b", ".", "/a.jpg", ""])
def test_names_that_lead_elsewhere(folder: RemoteFolder, name: str) -> None:
    with pytest.raises(RecordError, match="s3://bucket/in/"):
        folder.read(name)


def test_what_cannot_be_a_store_is_said_at_once(tmp_path: Path) -> None:
    options = RemoteOptions.create(tmp_path, storage_options={"colour": "red"})
    with pytest.raises(ArgumentError, match="colour"):
        RemoteFolder("s3://bucket/in", options)


def test_errors_name_the_file(folder: RemoteFolder, faulty: FaultyServer) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"s3://bucket/in/none\.jpg does not exist"):
        folder.read("none.jpg")
    faulty.always = "403 AccessDenied"
    with pytest.raises(RemoteError, match=r"s3://bucket/in/a\.jpg"):
        folder.read("a.jpg")


def test_errors_name_the_file_of_a_signed_folder(faulty: FaultyServer, tmp_path: Path) -> None:
    folder = RemoteFolder(f"{faulty.url}/in/?signature=secret", RemoteOptions.create(tmp_path))
    assert folder.path("what is it?.jpg") == f"{faulty.url}/in/what is it?.jpg"
    with pytest.raises(RecordError, match=r"/in//a\.jpg' names no file") as raised:
        folder.read("/a.jpg")
    assert "secret" not in str(raised.value)


def test_threads_read_at_once(folder: RemoteFolder) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(folder.read("a.jpg").tobytes()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"a.jpg"] * 8


def test_closing_ends_what_waits(tmp_path: Path) -> None:
    with faulty_server() as server:
        server.put("bucket/in/a.jpg", b"a" * 9000)
        folder = RemoteFolder("s3://bucket/in/", options_of(server, tmp_path))
        server.faults.extend([None])
        server.always = "hang"
        thread, raised = run_in_thread(lambda: folder.read("a.jpg"))
        assert server.waiting.wait(20)
        folder.close()
        thread.join(20)
        assert not thread.is_alive() and isinstance(raised[0], RecordError)
    with pytest.raises(Error):
        folder.read("a.jpg")
