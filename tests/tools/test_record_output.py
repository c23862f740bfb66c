"""Record files with their indexes: whole, or not there."""

from array import array
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError, RemoteError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.record_output import RecordOutput, RemoteRecordOutput, open_output
from tests.io.records import jpeg, write_records
from tests.remote_files import remote_arguments
from tests.servers.faulty import FaultyServer

T = mx.tools


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write_records(tmp_path / "x", [jpeg(number) for number in range(6)])["path_imgrec"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_outputs_may_be_links(rec: Path, tmp_path: Path) -> None:
    """The files that they name are replaced, also if there is none yet."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "y.rec").write_bytes(b"old")
    for name in ("y.rec", "y.idx"):
        (tmp_path / name).symlink_to(f"disk/{name}")
    before = contents(tmp_path / "disk")
    with RecordOutput(tmp_path / "y.rec") as output:
        output.write(1, b"one")
        assert "y.rec.part" in contents(tmp_path / "disk")
        assert (tmp_path / "disk" / "y.rec").read_bytes() == before["y.rec"]
    assert set(contents(tmp_path / "disk")) == {"y.rec", "y.idx"}
    assert T.shuffle(rec, tmp_path / "y.rec").records == 6
    assert (tmp_path / "y.rec").is_symlink() and (tmp_path / "y.idx").is_symlink()
    assert T.info(tmp_path / "y.rec").records == 6
    (tmp_path / "loop.rec").symlink_to("loop.rec")
    with pytest.raises(RecordError, match=r"loop\.rec cannot be written: Too many levels"):
        T.shuffle(rec, tmp_path / "loop.rec")


def test_two_runs_do_not_write_one_file(rec: Path, tmp_path: Path) -> None:
    with RecordOutput(tmp_path / "out.rec") as output:
        output.write(1, b"one")
        with pytest.raises(RecordError, match="being written by another run"):
            T.shuffle(rec, tmp_path / "out.rec")
        output.write(2, b"two")
    with mx.recordio.MXIndexedRecordIO(output.idx, output.rec, "r") as reader:
        assert [reader.read_idx(key) for key in reader.keys] == [b"one", b"two"]


@pytest.fixture
def remote(faulty: FaultyServer, tmp_path: Path) -> RemoteOptions:
    pytest.importorskip("obstore")
    return RemoteOptions.create(**remote_arguments(faulty, tmp_path / "cache") | {"retries": 0})


def test_the_same_files_on_a_server(
    remote: RemoteOptions, faulty: FaultyServer, tmp_path: Path
) -> None:
    faulty.put("bucket/y.idx", b"old")
    here, there = open_output(tmp_path / "y.rec"), open_output("s3://bucket/y.rec", (), remote)
    assert isinstance(here, RecordOutput) and isinstance(there, RemoteRecordOutput)
    assert (there.rec, there.idx) == ("s3://bucket/y.rec", "s3://bucket/y.idx")
    for output in (here, there):
        with output:
            for key in (5, 3):
                output.write(key, bytes([key]) * key)
            assert list(output.offsets) == [0, 16]
            output.keys = array("q", [7, 8])
            assert list(faulty.objects) == ["bucket/y.idx"]
    assert list(faulty.objects) == ["bucket/y.rec", "bucket/y.idx"], "the index last"
    for key, found in faulty.objects.items():
        assert found.data == (tmp_path / key.removeprefix("bucket/")).read_bytes()


@pytest.mark.parametrize("number", range(4))
def test_where_the_store_fails_no_index_accompanies_other_records(
    number: int, remote: RemoteOptions, faulty: FaultyServer
) -> None:
    """At the first, second … request: the old index goes, the records come, the new index."""
    faulty.put("bucket/y.rec", b"old records")
    faulty.put("bucket/y.idx", b"old index")
    faulty.faults.extend([None] * number)
    faulty.always = "403 AccessDenied"
    output = open_output("s3://bucket/y.rec", (), remote)
    failed = False
    try:
        with output:
            output.write(1, b"one")
    except RemoteError:
        failed = True
    faulty.always = None
    records = faulty.objects["bucket/y.rec"].data
    index = faulty.objects.get("bucket/y.idx")
    if index is not None:
        assert (records == b"old records") is (index.data == b"old index")
    assert failed is (number < 3) and not faulty.uploads


def test_a_server_s_inputs_are_not_overwritten(remote: RemoteOptions) -> None:
    for name in ("y.rec", "y.idx"):
        with pytest.raises(ArgumentError, match="would overwrite the original"):
            open_output("s3://bucket/y.rec", [f"s3a://bucket/{name}"], remote)
