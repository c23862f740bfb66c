"""SequentialFile: local and remote files alike."""

import gzip
from pathlib import Path

import pytest

from gpuio.errors import FileChangedError, RecordError, RecordFileNotFoundError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.sequential import LITTLE, SequentialFile
from tests.servers.faulty import FaultyServer
from tests.storage.remote.stores import random_bytes

CONTENT = random_bytes(300_000)


def options_of(server: FaultyServer, folder: Path) -> RemoteOptions:
    return RemoteOptions.create(folder / "cache", storage_options=server.s3_options, retries=0)


@pytest.mark.parametrize("remote", [False, True])
def test_it_is_read_again_and_again(faulty: FaultyServer, tmp_path: Path, remote: bool) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    faulty.put("bucket/x", CONTENT)
    path = "s3://bucket/x" if remote else tmp_path / "x"
    opened = SequentialFile(path, options_of(faulty, tmp_path))
    assert opened.path == str(path) and opened.size() == len(CONTENT)
    assert (opened.version is not None) == remote
    for little in (True, False):
        with opened.open(little) as file:
            assert file.read(10) == CONTENT[:10] and file.read() == CONTENT[10:]
            assert file.seek(-3, 2) == len(CONTENT) - 3 and file.read() == CONTENT[-3:]


def test_little_is_fetched_where_little_is_wanted(faulty: FaultyServer, tmp_path: Path) -> None:
    faulty.put("bucket/x", CONTENT)
    opened = SequentialFile("s3://bucket/x", options_of(faulty, tmp_path))
    with opened.open(little=True) as file:
        file.seek(100_000)
        assert file.read(100) == CONTENT[100_000:100_100]
    assert faulty.sent["GET bucket/x"] <= 2 * LITTLE


def test_a_remote_file_stays_the_same_version(faulty: FaultyServer, tmp_path: Path) -> None:
    faulty.put("bucket/x", CONTENT)
    options = options_of(faulty, tmp_path)
    opened = SequentialFile("s3://bucket/x", options)
    faulty.put("bucket/x", CONTENT[::-1])
    with pytest.raises(FileChangedError, match="s3://bucket/x has changed"), opened.open() as file:
        file.read(1)
    with SequentialFile("s3://bucket/x", options).open() as file:
        assert file.read() == CONTENT[::-1]


def test_a_closed_one_is_not_read(faulty: FaultyServer, tmp_path: Path) -> None:
    faulty.put("bucket/x", CONTENT)
    opened = SequentialFile("s3://bucket/x", options_of(faulty, tmp_path))
    opened.close()
    with pytest.raises(RecordError, match="s3://bucket/x is closed"), opened.open() as file:
        file.read(1)


def test_a_missing_one(faulty: FaultyServer, tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match="s3://bucket/x does not exist"):
        SequentialFile("s3://bucket/x", options_of(faulty, tmp_path))
    with pytest.raises(FileNotFoundError):
        SequentialFile(tmp_path / "x").open()


def test_secrets_of_a_url_are_not_shown(faulty: FaultyServer, tmp_path: Path) -> None:
    faulty.put("x.gz", gzip.compress(CONTENT))
    opened = SequentialFile(f"{faulty.url}/x.gz?signature=secret", RemoteOptions.create(tmp_path))
    assert opened.path == f"{faulty.url}/x.gz"
    with opened.open() as file:
        assert gzip.decompress(file.read()) == CONTENT and faulty.query == "signature=secret"
