"""Opening files by paths and URLs, against a server."""

import _thread
import pickle
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import (
    ArgumentError,
    FileChangedError,
    RecordError,
    RecordFileNotFoundError,
    RemoteError,
)
from gpuio.storage.local import LocalFile
from gpuio.storage.remote import opening
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.opening import (
    any_remote,
    cache_of,
    list_folder,
    location,
    open_each,
    open_file,
    open_stream,
)
from gpuio.storage.remote.options import RemoteOptions
from tests.io.threads import eventually
from tests.servers.faulty import (
    CUT,
    LONG,
    REFUSED,
    RESIZED,
    SHIFTED,
    SHORT,
    FaultyServer,
    Object,
)
from tests.storage.remote.stores import random_bytes

CONTENT = random_bytes(300_000)


@pytest.fixture
def options(tmp_path: Path, faulty: FaultyServer, no_delays: None) -> RemoteOptions:
    faulty.put("bucket/data/x.rec", CONTENT)
    return RemoteOptions.create(tmp_path / "cache", storage_options=faulty.s3_options)


def test_a_path_is_a_local_file(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(CONTENT)
    for name in (path, str(path), f"file://{path}"):
        file = open_file(name)
        assert isinstance(file, LocalFile) and file[:].tobytes() == CONTENT
        with open_stream(name) as stream:
            assert stream.read() == CONTENT
    with pytest.raises(FileNotFoundError), open_stream(tmp_path / "none"):
        pass


@pytest.mark.parametrize("scheme", ["s3", "http"])
def test_a_url_is_a_remote_file(options: RemoteOptions, faulty: FaultyServer, scheme: str) -> None:
    url = "s3://bucket/data/x.rec"
    if scheme == "http":
        options = RemoteOptions.create(options.cache_dir)
        url = f"{faulty.url}/bucket/data/x.rec?signature=secret"
    file = open_file(url, options)
    assert isinstance(file, RemoteFile)
    assert file.path == url.partition("?")[0]
    assert file[5000:100_000].tobytes() == CONTENT[5000:100_000]
    before = faulty.total()
    again = open_file(url, options)
    assert again[5000:100_000].tobytes() == CONTENT[5000:100_000]
    assert faulty.total() == before + 1  # for its version
    with open_stream(url, options) as stream:
        assert stream.read() == CONTENT


@pytest.mark.parametrize("first", [opening.FIRST, 4096, 10_000])
def test_the_first_bytes_come_with_the_version(
    first: int, options: RemoteOptions, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "FIRST", first)
    for size in (0, 1, 4095, 4096, 10_001, len(CONTENT)):
        url, path = f"s3://bucket/{size}.idx", f"bucket/{size}.idx"
        faulty.put(path, CONTENT[:size])
        for time in range(2):
            requests = faulty.total()
            with open_stream(url, options) as stream:
                assert stream.read() == CONTENT[:size]
            # One for the version, unless the object is empty; and one for what is left of it.
            assert faulty.total() - requests == 1 + (size == 0 or (time == 0 and size > first))
            if size and time == 1:  # what is cached is not sent again
                assert faulty.headers["range"] == "bytes=0-0"


@pytest.mark.parametrize("fault", [SHORT, LONG, SHIFTED, RESIZED, CUT, REFUSED, "503"])
def test_first_bytes_that_are_wrong_are_requested_again(
    fault: str, options: RemoteOptions, faulty: FaultyServer
) -> None:
    faulty.faults.append(fault)
    try:
        with open_stream("s3://bucket/data/x.rec", options) as stream:
            assert stream.read() == CONTENT
    except (FileChangedError, RemoteError):
        assert fault == RESIZED  # the size is part of the version
    with open_stream("s3://bucket/data/x.rec", options) as stream:
        assert stream.read() == CONTENT


def test_without_a_cache_first_bytes_are_not_requested(
    tmp_path: Path, options: RemoteOptions, faulty: FaultyServer
) -> None:
    (tmp_path / "cache").write_bytes(b"")  # no folder
    with open_stream("s3://bucket/data/x.rec", options) as stream:
        assert stream.read() == CONTENT
    assert eventually(lambda: faulty.sent["GET bucket/data/x.rec"] == len(CONTENT) + 1)


def test_an_object_without_a_version(
    tmp_path: Path, options: RemoteOptions, faulty: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """There is a warning, and nothing of it is left in the cache."""
    url = f"{faulty.url}/x.rec"
    faulty.objects["x.rec"] = Object(CONTENT, etag=None, modified=None)
    for content in (CONTENT, CONTENT[::-1]):
        faulty.objects["x.rec"].data = content
        for opened in range(2):
            file = open_file(url, options=RemoteOptions.create(options.cache_dir))
            assert file[:].tobytes() == content
            faulty.always = "500"
            assert file[:].tobytes() == content  # cached, as long as it is open
            faulty.always = None
            file.close()
            assert not list(tmp_path.rglob("*.segment")), opened
    (warning,) = [each for each in caplog.records if url in each.getMessage()]
    assert "neither an ETag nor" in warning.getMessage()


def test_an_object_without_a_version_that_is_replaced(
    tmp_path: Path, options: RemoteOptions, faulty: FaultyServer
) -> None:
    """The very next request notices it, although the size is the same."""
    url = f"{faulty.url}/y.rec"
    faulty.objects["y.rec"] = Object(CONTENT, etag=None, modified=None)
    with closing(open_file(url, RemoteOptions.create(options.cache_dir))) as file:
        assert file[100_000:100_010].tobytes() == CONTENT[100_000:100_010]
        faulty.objects["y.rec"].data = CONTENT[::-1]
        with pytest.raises(FileChangedError, match=r"y\.rec has changed"):
            file[200_000:200_010]
        assert file[100_000:100_010].tobytes() == CONTENT[100_000:100_010]
    with closing(open_file(url, RemoteOptions.create(options.cache_dir))) as file:
        assert file[200_000:200_010].tobytes() == CONTENT[::-1][200_000:200_010]


def test_a_changed_object(options: RemoteOptions, faulty: FaultyServer) -> None:
    file = open_file("s3://bucket/data/x.rec", options)
    assert file[:10].tobytes() == CONTENT[:10]
    faulty.put("bucket/data/x.rec", CONTENT[::-1])
    with pytest.raises(FileChangedError, match=r"s3://bucket/data/x\.rec"):
        file[200_000:]
    assert file[:10].tobytes() == CONTENT[:10]
    assert open_file("s3://bucket/data/x.rec", options)[:].tobytes() == CONTENT[::-1]


def test_servers_that_fail_now_and_then(options: RemoteOptions, faulty: FaultyServer) -> None:
    file = open_file("s3://bucket/data/x.rec", options)
    faulty.faults.extend(["503", "cut", "short", "500", "refused"])
    for begin in range(0, len(CONTENT), 70_000):
        assert file[begin : begin + 70_000].tobytes() == CONTENT[begin : begin + 70_000]


def test_what_is_missing(options: RemoteOptions) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"s3://bucket/none\.rec"):
        open_file("s3://bucket/none.rec", options)


def test_a_refusal_is_no_bad_record(options: RemoteOptions, faulty: FaultyServer) -> None:
    file = open_file("s3://bucket/data/x.rec", options)
    faulty.always = "403 AccessDenied"
    with pytest.raises(RemoteError) as caught:
        file[:10]
    assert not isinstance(caught.value, RecordError)


def test_folders(options: RemoteOptions, faulty: FaultyServer) -> None:
    for name in ("b.rec", "a.rec", "a.idx", "deeper/c.rec"):
        faulty.put(f"bucket/data/{name}", b"")
    names = ["a", "b", "x"]
    assert list_folder("s3://bucket/data/", ".rec", options) == [
        f"s3://bucket/data/{name}.rec" for name in names
    ]
    with pytest.raises(RecordFileNotFoundError, match=r"s3://bucket/none/ is a folder without"):
        list_folder("s3://bucket/none/", ".rec", options)


def test_the_environment_has_the_default_options(
    tmp_path: Path, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.put("x.rec", CONTENT)
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GPUIO_CACHE_LIMIT", "100kB")
    file = open_file(f"{faulty.url}/x.rec")
    assert file[:10].tobytes() == CONTENT[:10]
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["v1"]
    with pytest.raises(ArgumentError, match="cache_limit is 100000"):
        file[:]


def test_one_cache_for_all_files(options: RemoteOptions) -> None:
    copy = pickle.loads(pickle.dumps(options))
    assert cache_of(options) is cache_of(copy)


def test_servers_with_the_same_names_share_nothing(
    options: RemoteOptions, faulty: FaultyServer, tmp_path: Path
) -> None:
    there = {**faulty.s3_options, "endpoint": faulty.url.replace("127.0.0.1", "localhost")}
    other = RemoteOptions.create(tmp_path / "cache", storage_options=there)
    files = [open_file("s3://bucket/data/x.rec", each) for each in (options, other)]
    folders = {file.remote.cached.folder for file in files if isinstance(file, RemoteFile)}
    assert len(folders) == 2


def test_what_counts_as_remote() -> None:
    assert any_remote(["a", "s3://b/c"]) and not any_remote(["a", "file:///b"])
    assert location("s3://b/c;d") == "s3://b/c;d" and location("file:///b") == "/b"


@pytest.mark.parametrize("several", [False, True])
def test_several_files_are_opened_in_order(several: bool) -> None:
    assert open_each(str, range(40), several) == [str(number) for number in range(40)]
    with pytest.raises(ZeroDivisionError):
        open_each(lambda number: 1 // number, [1, 0, 2], several)


@pytest.mark.parametrize("left", [0, 1])
def test_threads_that_cannot_begin_are_not_waited_for(
    left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For lack of memory: the others do their work, if there is one."""
    start, started = _thread.start_new_thread, []

    def limited(function: Callable[..., object], arguments: tuple[Any, ...]) -> int:
        started.append(1)
        return start(function, arguments) if len(started) <= left else 0

    monkeypatch.setattr(_thread, "start_new_thread", limited)
    if left:
        assert open_each(str, range(9), several=True) == [*"012345678"]
    else:
        with pytest.raises(MemoryError, match="before they began"):
            open_each(str, range(9), several=True)
