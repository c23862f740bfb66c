"""Local files: paths and URIs, and reading at any offset."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import (
    ArgumentError,
    FileChangedError,
    RecordError,
    RecordFileNotFoundError,
    UnsupportedError,
)
from gpuio.storage import local
from gpuio.storage.local import BufferedFile, LocalFile, local_path, to_bytes
from gpuio.storage.parts import Bulk
from tests.processes import run_process


def test_paths_and_uris() -> None:
    assert local_path("data/x.rec") == "data/x.rec"
    assert local_path(Path("data") / "x.rec") == os.path.join("data", "x.rec")
    assert local_path("file:///data/x.rec") == "/data/x.rec"


@pytest.mark.parametrize("uri", ["s3://bucket/x.rec", "hdfs://host/x.rec", "http://host/x.rec"])
def test_remote_files_are_no_paths(uri: str) -> None:
    with pytest.raises(UnsupportedError, match=r"^root must be .* this machine, not .*x\.rec$"):
        local_path(uri + "?signature=secret" * uri.startswith("http"), "root")


@pytest.mark.parametrize("uri", [b"x.rec", 3, None])
def test_a_path_is_a_string_or_path_like(uri: object) -> None:
    with pytest.raises(TypeError, match=r"(must be|expected) str"):
        local_path(uri)  # type: ignore[arg-type]


def test_a_path_has_no_null_character() -> None:
    with pytest.raises(ArgumentError, match=r"'a\\x00b': no file has a null character in its name"):
        local_path("a\0b")


def test_a_path_can_be_encoded() -> None:
    with pytest.raises(ArgumentError, match=r"'\\ud800': no file can have this name"):
        local_path("\ud800")


def written(path: Path, content: bytes) -> LocalFile:
    path.write_bytes(content)
    return LocalFile(str(path))


CONTENT = np.random.default_rng(0).integers(0, 256, 100_000, np.uint8).tobytes()


def test_slices_are_the_file_s_bytes(tmp_path: Path) -> None:
    file = written(tmp_path / "x.rec", CONTENT)
    assert len(file) == file.nbytes == len(CONTENT)
    for part in (slice(None), slice(10, 20), slice(-5, None), slice(99_990, 200_000), slice(9, 3)):
        data = file[part]
        assert data.dtype == np.uint8 and not data.flags.writeable
        assert data.tobytes() == to_bytes(data) == CONTENT[part]
        assert to_bytes(data[1:3]) == CONTENT[part][1:3]


def test_an_empty_file(tmp_path: Path) -> None:
    file = written(tmp_path / "x.rec", b"")
    assert len(file) == 0 and file[:].shape == (0,)


def test_a_call_that_reads_less_than_all_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MAX_READ", 1000)
    file = written(tmp_path / "x.rec", CONTENT)
    assert file[500:].tobytes() == CONTENT[500:]


def in_reverse(tasks: Sequence[Callable[[], None]]) -> None:
    for task in reversed(tasks):
        task()


BULK = Bulk(partial(np.full, fill_value=7, dtype=np.uint8), in_reverse)


@pytest.mark.parametrize("use_native", [True, False])
@given(
    st.lists(st.tuples(st.integers(0, 99_999), st.integers(1, 9_000)), max_size=30),
    st.sampled_from([None, BULK]),
)
def test_parts_are_read_together(
    tmp_path_factory: pytest.TempPathFactory, use_native: bool, parts: Any, bulk: Bulk | None
) -> None:
    file = written(tmp_path_factory.mktemp("parts") / "x.rec", CONTENT)
    begins = np.array([begin for begin, _ in parts], np.int64)
    ends = np.array([min(begin + length, len(CONTENT)) for begin, length in parts], np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "SHARE", 5_000)  # some parts are cut
        if not use_native:
            patch.setattr(local.native, "library", lambda: None)
        data, places = file.read_parts(begins, ends, bulk)
        _, aligned = file.read_parts(begins // 8 * 8, ends, bulk)
    for begin, end, place in zip(begins.tolist(), ends.tolist(), places.tolist(), strict=True):
        assert data[place : place + end - begin].tobytes() == CONTENT[begin:end]
    assert not data.flags.writeable and not (aligned % 8).any()


def test_reading_forwards(tmp_path: Path) -> None:
    file = BufferedFile(written(tmp_path / "x.rec", CONTENT))
    assert len(file) == len(CONTENT)
    for begin, end in [(0, 8), (8, 70_000), (70_000, 70_008), (70_008, 99_000), (0, 8), (9, 1)]:
        assert file[begin:end].tobytes() == CONTENT[begin:end]
    assert file[99_990:200_000].tobytes() == CONTENT[99_990:]


def test_a_file_remains_what_it_was(tmp_path: Path) -> None:
    """After it was replaced, deleted, or appended to."""
    path = tmp_path / "x.rec"
    file, appended = written(path, CONTENT), written(tmp_path / "y.rec", CONTENT)
    (tmp_path / "new").write_bytes(b"other")
    os.replace(tmp_path / "new", path)
    assert file[:].tobytes() == CONTENT and not file.has_changed()
    path.unlink()
    assert file[:].tobytes() == CONTENT and not file.has_changed()
    with (tmp_path / "y.rec").open("ab") as more:
        more.write(b"more")
    assert appended[:].tobytes() == CONTENT and len(appended) == len(CONTENT)
    assert appended.has_changed()


@pytest.mark.parametrize("size", [0, 4096, 99_999])
def test_a_file_that_becomes_shorter(size: int, tmp_path: Path) -> None:
    file = written(tmp_path / "x.rec", CONTENT)
    parts = np.array([0, 99_000]), np.array([10, 100_000])
    held = file[:]
    os.truncate(tmp_path / "x.rec", size)
    for call in (
        lambda: file[99_000:],
        lambda: file.read_parts(*parts),
        lambda: file.read_parts(*parts, BULK),
        file.has_changed,
        lambda: BufferedFile(file)[99_999:100_000],
    ):
        with pytest.raises(FileChangedError, match=rf"x\.rec has become shorter.*{size} bytes"):
            call()
    file.advise(*parts)
    assert file[:size].tobytes() == CONTENT[:size] and held.tobytes() == CONTENT


def test_a_file_that_is_overwritten_is_noticed(tmp_path: Path) -> None:
    file = written(tmp_path / "x.rec", CONTENT)
    os.utime(tmp_path / "x.rec", ns=(0, 0))
    with (tmp_path / "x.rec").open("r+b") as other:
        other.write(b"other")
    assert file.has_changed() and file[:5].tobytes() == b"other"


def test_more_files_than_may_be_open(tmp_path: Path) -> None:
    found = run_process(TOO_MANY, tmp_path / "x.rec")
    assert "x.rec cannot be read: Too many open files; 'ulimit -n' raises the limit" in found


TOO_MANY = """
import resource, sys
from gpuio.errors import RecordError
from gpuio.storage.local import LocalFile
open(sys.argv[1], "wb").close()
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
files = []
try:
    while len(files) < 100:
        files.append(LocalFile(sys.argv[1]))
except RecordError as error:
    print(error)
count = len(files)
files.clear()
files += [LocalFile(sys.argv[1]) for _ in range(count)]  # they were closed
"""


@pytest.mark.parametrize("folder", ["", "data"])
def test_similar_names_are_suggested(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    names = ["x_test.rec", "x_train.rec", "x_train.idx", "y.rec"]
    for name in names:
        (tmp_path / folder / name).touch()
    path = os.path.join(folder, "x.rec")
    with pytest.raises(RecordFileNotFoundError) as caught:
        LocalFile(path)
    assert str(caught.value) == (f"{path} does not exist; its folder has x_test.rec, x_train.rec")
    with pytest.raises(
        RecordFileNotFoundError, match=r"does not exist; its folder has x_test\.rec$"
    ):
        LocalFile(path.replace("x.rec", "x_test"))
    for number in range(4):
        (tmp_path / folder / f"x{number}.rec").touch()
    with pytest.raises(RecordFileNotFoundError, match=r"has x0\.rec, x1\.rec, x2\.rec, …$"):
        LocalFile(path)
    for missing in ("none.rec", "x.lst", os.path.join("nowhere", "x.rec"), ""):
        with pytest.raises(RecordFileNotFoundError, match=r"does not exist$"):
            LocalFile(missing)


def test_an_empty_path_is_named() -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"the empty path, .* does not exist"):
        LocalFile("")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"none\.rec does not exist"):
        LocalFile(str(tmp_path / "none.rec"))
    with pytest.raises(RecordError, match="is a directory, not a file"):
        LocalFile(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="cannot be read: Not a directory"):
        LocalFile(str(tmp_path / "file" / "x.rec"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_are_not_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(RecordError, match="is a pipe or a device, not a regular file"):
        LocalFile(str(pipe))  # nor is there a wait for somebody who writes to it
