"""MXRecordIO and MXIndexedRecordIO that write to URLs."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import RecordError, RemoteError, UnsupportedError
from gpuio.recordio import MXIndexedRecordIO, MXRecordIO
from gpuio.storage.remote import obstore_upload
from tests.processes import run_process
from tests.remote_files import remote_arguments
from tests.servers.faulty import FaultyServer

pytest.importorskip("obstore")

URLS = ("s3://bucket/x.idx", "s3://bucket/x.rec")
RECORDS = [bytes([number]) * (700_000 * number) for number in range(10)]


@pytest.fixture
def options(
    faulty: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    monkeypatch.setattr(obstore_upload, "PART", 5 << 20)
    yield remote_arguments(faulty, tmp_path / "cache") | {"retries": 0}
    assert not faulty.uploads


def contents(server: FaultyServer) -> dict[str, bytes]:
    return {key.removeprefix("bucket/"): found.data for key, found in server.objects.items()}


def test_the_same_bytes_as_locally(
    faulty: FaultyServer, options: dict[str, Any], tmp_path: Path
) -> None:
    local = MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w")
    remote = MXIndexedRecordIO(*URLS, "w", **options)
    assert (remote.idx_path, remote.uri) == URLS
    for writer in (local, remote):
        for key, record in enumerate(RECORDS):
            writer.write_idx(key, record)
            if key == 5:
                writer.flush()
        assert writer.keys == list(range(10)) and writer.tell() > sum(map(len, RECORDS))
        assert not faulty.objects
        writer.close()
        writer.close()
    assert contents(faulty) == {name: (tmp_path / name).read_bytes() for name in ("x.rec", "x.idx")}
    assert list(faulty.objects) == ["bucket/x.rec", "bucket/x.idx"], "the index last"
    with MXIndexedRecordIO(*URLS, "r", **options) as reader:
        assert [reader.read_idx(key) for key in reader.keys] == RECORDS


def test_nothing_of_an_unclosed_or_failed_writer_is_visible(
    faulty: FaultyServer, options: dict[str, Any]
) -> None:
    faulty.put("bucket/x.rec", b"old")
    writer = MXIndexedRecordIO(*URLS, "w", **options)
    writer.write_idx(0, RECORDS[-1])
    del writer
    gc.collect()
    assert contents(faulty) == {"x.rec": b"old"}
    with pytest.raises(ZeroDivisionError), MXRecordIO(URLS[1], "w", **options) as plain:
        plain.write(RECORDS[-1])
        raise ZeroDivisionError
    assert contents(faulty) == {"x.rec": b"old"} and not plain.is_open
    with MXRecordIO(URLS[1], "w", **options) as plain:
        plain.write(b"a")
        plain.reset()
        plain.write(b"new")
    with MXRecordIO(URLS[1], "r", **options) as reader:
        assert list(reader) == [b"new"]


def test_failures_close_both_files(faulty: FaultyServer, options: dict[str, Any]) -> None:
    """Where the records cannot be written, there is no index."""
    for step in ("write", "flush", "close"):
        writer = MXIndexedRecordIO(*URLS, "w", **options)
        writer.write_idx(0, b"a")
        faulty.always = "403 AccessDenied"
        with pytest.raises(RemoteError, match=r"s3://bucket/x\.rec"):
            if step == "write":
                for number in range(20):
                    writer.write_idx(number, RECORDS[-1])
            elif step == "flush":
                for number in range(20):
                    writer.write_idx(number, RECORDS[1])
                    writer.flush()
            else:
                writer.close()
        assert not writer.is_open
        faulty.always = None
        writer.close()
        assert not faulty.objects
        with pytest.raises(RecordError, match="is closed"):
            writer.write(b"")


def test_an_old_index_never_belongs_to_new_records(
    faulty: FaultyServer, options: dict[str, Any]
) -> None:
    for key in (0, 1):
        with MXIndexedRecordIO(*URLS, "w", **options) as writer:
            writer.write_idx(key, RECORDS[key])
    assert contents(faulty)["x.idx"] == b"1\t0\n"
    for refused in ("x.idx", "x.rec"):
        faulty.put("bucket/x.idx", b"1\t0\n")
        writer = MXIndexedRecordIO(*URLS, "w", **options)
        writer.write_idx(2, RECORDS[2])
        faulty.faults.extend([None, *([None] if refused == "x.idx" else []), "403 AccessDenied"])
        with pytest.raises(RemoteError, match=f"bucket/{refused}"):
            writer.close()
        faulty.faults.clear()
        assert list(contents(faulty)) == ["x.rec"]


def test_an_index_that_may_not_be_removed_is_replaced(
    faulty: FaultyServer, options: dict[str, Any]
) -> None:
    faulty.put("bucket/x.idx", b"old")
    writer = MXIndexedRecordIO(*URLS, "w", **options)
    writer.write_idx(2, b"new")
    faulty.faults.append("403 AccessDenied")
    writer.close()
    assert contents(faulty)["x.idx"] == b"2\t0\n"


def test_where_nothing_can_be_written(faulty: FaultyServer, options: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="web servers take no files"):
        MXRecordIO(f"{faulty.url}/x.rec", "w")
    with pytest.raises(UnsupportedError):  # the record file's upload is dropped
        MXIndexedRecordIO(f"{faulty.url}/x.idx", URLS[1], "w", **options)
    assert not faulty.objects


FORKING = """
import json, os, sys
from gpuio.errors import RecordError
from gpuio.recordio import MXRecordIO
from gpuio.storage.remote import obstore_upload

obstore_upload.PART = 5 << 20
writer = MXRecordIO("s3://bucket/x.rec", "w", storage_options=json.loads(sys.argv[1]))
writer.write(bytes(6_000_000))
if not (child := os.fork()):
    try:
        writer.write(b"x")
    except RecordError:
        writer.close()
        sys.exit(int(writer.is_open))
    sys.exit(2)
assert os.waitpid(child, 0)[1] == 0
writer.write(b"end")
writer.close()
"""


def test_a_forked_process_leaves_a_writer_alone(
    faulty: FaultyServer, options: dict[str, Any]
) -> None:
    run_process(FORKING, json.dumps(faulty.s3_options))
    with MXRecordIO(URLS[1], "r", **options) as reader:
        assert list(reader) == [bytes(6_000_000), b"end"]
