"""Records that are read one after another, here and from a server: any order, damage, sizes."""

from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import FileChangedError, RecordError
from gpuio.recordio import RecordSet
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.payloads import read_payloads
from tests.io.records import write_records
from tests.remote_files import remote_arguments, upload
from tests.servers.faulty import FaultyServer

pytest.importorskip("obstore")

SIZES = [0, 1, 70_000, 2_000_000, 5, 300_000, 40_000, 1_200_000]


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    contents = [bytes([number]) * size for number, size in enumerate(SIZES)]
    return write_records(tmp_path / "x", contents)


def opened(paths: dict[str, Path], server: FaultyServer, options: RemoteOptions) -> RecordSet:
    folder = upload(server, {path.name: path for path in paths.values()})
    return RecordSet([f"{folder}x.rec"], [f"{folder}x.idx"], options)


@pytest.mark.parametrize("readahead", ["0", "100kB", "16MB"])
def test_the_same_records_in_any_order(
    readahead: str, paths: dict[str, Path], faulty: FaultyServer, tmp_path: Path
) -> None:
    options = RemoteOptions.create(
        **remote_arguments(faulty, tmp_path / "cache"), readahead=readahead
    )
    local = RecordSet(paths["path_imgrec"], paths["path_imgidx"])
    with opened(paths, faulty, options) as remote:
        for order in (range(len(SIZES)), [5, 3, 3, 0, 7], []):
            ordinals = np.array(order, np.int64)
            expected = [local.payload(ordinal).tobytes() for ordinal in order]
            for records in (local, remote):
                found = [
                    payload.tobytes()
                    for payload in read_payloads(records, ordinals)
                    if not isinstance(payload, RecordError)
                ]
                assert found == expected


def test_few_requests(paths: dict[str, Path], faulty: FaultyServer, tmp_path: Path) -> None:
    """Records that follow each other are fetched together; what is cached, not again."""
    options = RemoteOptions.create(**remote_arguments(faulty, tmp_path / "cache"))
    with opened(paths, faulty, options) as remote:
        before = faulty.total()
        for _ in range(2):
            assert len(list(read_payloads(remote, range(len(SIZES))))) == len(SIZES)
        assert faulty.total() - before <= 6


def test_damage_is_yielded_and_a_changed_file_raised(
    paths: dict[str, Path], faulty: FaultyServer, tmp_path: Path
) -> None:
    data = bytearray(paths["path_imgrec"].read_bytes())
    local = RecordSet(paths["path_imgrec"], paths["path_imgidx"])
    data[local.starts[2]] ^= 1
    paths["path_imgrec"].write_bytes(data)
    options = RemoteOptions.create(**remote_arguments(faulty, tmp_path / "cache"))
    with opened(paths, faulty, options) as remote:
        for records in (local, remote):
            found = list(read_payloads(records, range(len(SIZES))))
            wrong = [isinstance(payload, RecordError) for payload in found]
            assert wrong == [number == 2 for number in range(len(SIZES))]
            assert "x.rec at byte" in str(found[2])
    options = RemoteOptions.create(**remote_arguments(faulty, tmp_path / "another"))
    with opened(paths, faulty, options) as remote:
        faulty.put("bucket/x.rec", bytes(data) + b"\0\0\0\0")
        with pytest.raises(FileChangedError):
            list(read_payloads(remote, range(len(SIZES))))
