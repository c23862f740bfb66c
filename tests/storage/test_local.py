"""Local files: paths and URIs, memory mapping, and creating files."""

import os
from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import RecordError, RecordFileNotFoundError, UnsupportedError
from gpuio.storage.local import create, local_path, map_file


def test_paths_and_uris() -> None:
    assert local_path("data/x.rec") == "data/x.rec"
    assert local_path(Path("data") / "x.rec") == os.path.join("data", "x.rec")
    assert local_path("file:///data/x.rec") == "/data/x.rec"


@pytest.mark.parametrize("uri", ["s3://bucket/x.rec", "hdfs://host/x.rec", "http://host/x.rec"])
def test_remote_files_are_not_supported(uri: str) -> None:
    with pytest.raises(UnsupportedError, match=r"x\.rec: remote files .* copy it to this machine"):
        local_path(uri)


@pytest.mark.parametrize("uri", [b"x.rec", 3, None])
def test_a_path_is_a_string_or_path_like(uri: object) -> None:
    with pytest.raises(TypeError, match=r"(must be|expected) str"):
        local_path(uri)  # type: ignore[arg-type]


def test_a_mapping_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(bytes(range(100)))
    data = map_file(str(path))
    assert data.dtype == np.uint8 and data.tobytes() == bytes(range(100))
    assert not data.flags.writeable and not data.flags.owndata
    part = data[10:20]
    del data
    path.unlink()  # the mapping keeps the content
    assert part.tobytes() == bytes(range(10, 20))


def test_an_empty_file_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "x.rec").touch()
    data = map_file(str(tmp_path / "x.rec"))
    assert data.dtype == np.uint8 and data.shape == (0,)


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
        map_file(path)
    assert str(caught.value) == (f"{path} does not exist; its folder has x_test.rec, x_train.rec")
    for number in range(4):
        (tmp_path / folder / f"x{number}.rec").touch()
    with pytest.raises(RecordFileNotFoundError, match=r"has x0\.rec, x1\.rec, x2\.rec, …$"):
        map_file(path)
    for missing in ("none.rec", "x.lst", os.path.join("nowhere", "x.rec"), ""):
        with pytest.raises(RecordFileNotFoundError, match=r"does not exist$"):
            map_file(missing)


def test_files_that_cannot_be_mapped(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"none\.rec does not exist"):
        map_file(str(tmp_path / "none.rec"))
    with pytest.raises(RecordError, match="is a directory, not a file"):
        map_file(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="cannot be read: Not a directory"):
        map_file(str(tmp_path / "file" / "x.rec"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_are_not_mapped(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)  # so that opening the other end does not wait
    try:
        with pytest.raises(RecordError, match="is a pipe or a device, not a regular file"):
            map_file(str(pipe))
    finally:
        os.close(writer)


@pytest.mark.parametrize(("mode", "content"), [("w", "a\nä"), ("wb", b"a\n\xff")])
def test_a_created_file_has_the_same_bytes_everywhere(
    mode: str, content: str | bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"overwritten" * 9)
    with create(str(path), mode) as file:
        file.write(content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_files_that_cannot_be_created(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match="its directory does not exist; create it"):
        create(str(tmp_path / "none" / "x"), "w")
    # Neither may root do this.
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "x"):
        with pytest.raises(RecordError, match="choose a location with write permission"):
            create(str(path), "wb")
