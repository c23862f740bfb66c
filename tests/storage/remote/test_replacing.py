"""Writing, wherever files are: the same functions for paths and URLs."""

from pathlib import Path

import pytest

from gpuio.errors import ArgumentError, RecordFileNotFoundError, UnsupportedError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import (
    check_creatable,
    open_appended,
    remove_object,
    replacing,
    write_file,
)
from tests.servers.faulty import FaultyServer

pytest.importorskip("obstore")


@pytest.fixture
def options(faulty: FaultyServer) -> RemoteOptions:
    return RemoteOptions.create(storage_options=faulty.s3_options, retries=0, timeout=20)


@pytest.fixture(params=["here", "there"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder."""
    return str(tmp_path) if request.param == "here" else "s3://bucket/folder"


def content(place: str, name: str, server: FaultyServer) -> bytes | None:
    if place.startswith("s3:"):
        found = server.objects.get(f"bucket/folder/{name}")
        return None if found is None else found.data
    path = Path(place) / name
    return path.read_bytes() if path.exists() else None


def test_writing(place: str, options: RemoteOptions, faulty: FaultyServer) -> None:
    path = f"{place}/a"
    check_creatable(path)
    assert content(place, "a", faulty) is None
    write_file(path, b"one", options)
    assert content(place, "a", faulty) == b"one"
    with pytest.raises(ZeroDivisionError), replacing(path, "w", options) as file:
        file.write("two")
        file.flush()
        raise ZeroDivisionError
    assert content(place, "a", faulty) == b"one"
    with replacing(path, "w", options) as file:
        file.write("two")
    assert content(place, "a", faulty) == b"two"
    appended = open_appended(f"{place}/b", options)
    appended.write([b"x", b"yz"], 3)
    assert appended.position == 3
    appended.close()
    assert appended.closed and content(place, "b", faulty) == b"xyz"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for path, error in {
        str(tmp_path / "none" / "a"): RecordFileNotFoundError,
        "s3://bucket/": ArgumentError,
        "http://127.0.0.1/a": UnsupportedError,
    }.items():
        for call in (check_creatable, open_appended, lambda path: write_file(path, b"")):
            with pytest.raises(error):
                call(path)


def test_objects_are_removed(options: RemoteOptions, faulty: FaultyServer) -> None:
    faulty.put("bucket/a", b"x")
    for _ in range(2):
        remove_object("s3://bucket/a", options)
        assert not faulty.objects
