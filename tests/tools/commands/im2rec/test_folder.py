"""ImageFolder: the same files here and on a server."""

from pathlib import Path

import pytest

from gpuio.errors import ArgumentError, RecordFileNotFoundError, RemoteError, UnsupportedError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.commands.im2rec.folder import ImageFolder
from tests.remote_files import remote_arguments, upload
from tests.servers.faulty import FaultyServer

pytest.importorskip("obstore")

FILES = {name: name.encode() for name in ("b.jpg", "a.jpg", "a/1 é.jpg", "a-b/x", "a/c/y", "a/0")}


@pytest.fixture
def remote(faulty: FaultyServer, tmp_path: Path) -> RemoteOptions:
    return RemoteOptions.create(**remote_arguments(faulty, tmp_path / "cache"))


def test_files_are_listed_and_read(
    faulty: FaultyServer, remote: RemoteOptions, tmp_path: Path
) -> None:
    faulty.put("bucket/images/a/c/", b"")  # what some tools leave in the place of a folder
    faulty.put("bucket/images2/z", b"z")
    upload(faulty, {f"images/{name}": data for name, data in FILES.items()})
    for root in ("s3://bucket/images", "s3://bucket/images/"):
        there = ImageFolder.at(root, remote)
        there.check()
        assert there.is_remote and there.path("a/0") == "s3://bucket/images/a/0"
        assert there.listed() == [
            ("", ["a.jpg", "b.jpg"]), ("a", ["0", "1 é.jpg"]), ("a/c", ["y"]), ("a-b", ["x"]),
        ]  # fmt: skip
        assert {name: there.read(name) for name in FILES} == FILES
    for name, data in FILES.items():
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(data)
    here = ImageFolder.at(tmp_path / "images", remote)
    here.check()
    assert not here.is_remote and here.path("a/0") == str(tmp_path / "images/a/0")
    assert {name: here.read(name) for name in FILES} == FILES


def test_what_cannot_be_read(faulty: FaultyServer, remote: RemoteOptions, tmp_path: Path) -> None:
    there = ImageFolder.at("s3://bucket/images", remote)
    with pytest.raises(RecordFileNotFoundError, match="s3://bucket/images has no files"):
        there.listed()
    with pytest.raises(RecordFileNotFoundError, match=r"images/0\.jpg does not exist"):
        there.read("0.jpg")
    with pytest.raises(ArgumentError):
        there.read("../0.jpg")
    faulty.always = "403 AccessDenied"
    with pytest.raises(RemoteError, match="refuses access"):
        there.read("0.jpg")
    with pytest.raises(RecordFileNotFoundError, match="is not a folder"):
        ImageFolder.at(tmp_path / "none").check()
    web = ImageFolder.at(f"{faulty.url}/images?secret")
    with pytest.raises(UnsupportedError, match="web servers list no files") as caught:
        web.listed()
    assert "secret" not in str(caught.value) and "secret" not in web.path("a")
