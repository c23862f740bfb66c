"""MXRecordIO and MXIndexedRecordIO over a server's files; lists and quarantine lists there."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import (
    ArgumentError,
    FileChangedError,
    IndexFormatError,
    RecordError,
    RecordFileNotFoundError,
    RecordKeyError,
    RemoteError,
)
from gpuio.loading.labels import read_label_table
from gpuio.recordio import MXIndexedRecordIO, MXRecordIO, RecordSet
from gpuio.recordio.lists import read_list
from gpuio.recordio.quarantine import Entry, file_name, read_quarantine
from gpuio.storage.remote.fetch import fetcher
from gpuio.storage.remote.options import RemoteOptions
from tests.io.threads import eventually
from tests.remote_files import remote_arguments, upload
from tests.servers.faulty import FaultyServer
from tests.storage.remote.stores import random_bytes

RECORDS = [random_bytes(1 + 5000 * number, number) for number in range(20)]
REC, IDX = "s3://bucket/x.rec", "s3://bucket/x.idx"

Arguments = dict[str, Any]


@pytest.fixture
def remote(faulty: FaultyServer, tmp_path: Path) -> Iterator[Arguments]:
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w") as writer:
        for number, record in enumerate(RECORDS):
            writer.write_idx(10 * number, record)
    upload(faulty, {name: tmp_path / name for name in ("x.rec", "x.idx")})
    yield remote_arguments(faulty, tmp_path / "cache")
    assert eventually(lambda: not fetcher().threads)


def test_records_come_in_their_order(remote: Arguments, faulty: FaultyServer) -> None:
    with MXRecordIO(REC, "r", **remote) as reader:
        assert list(reader) == RECORDS and reader.read() is None
        assert reader.uri == REC and reader.is_open and not reader.writable
        reader.reset()
        requests = faulty.total()
        assert reader.read() == RECORDS[0] and faulty.total() == requests
    assert not reader.is_open
    with pytest.raises(RecordError, match=r"x\.rec is closed; reset"):
        reader.read()
    # The whole file in one request, beside that for its size.
    assert faulty.requests["GET bucket/x.rec"] <= 3


def test_a_record_by_its_key_is_one_request(remote: Arguments, faulty: FaultyServer) -> None:
    with MXIndexedRecordIO(IDX, REC, "r", **remote) as reader:
        assert reader.keys == list(range(0, 200, 10)) and reader.idx_path == IDX
        before = faulty.requests["GET bucket/x.rec"]
        assert reader.read_idx(170) == RECORDS[17]
        assert faulty.requests["GET bucket/x.rec"] == before + 1
        assert faulty.sent["GET bucket/x.rec"] < len(RECORDS[17]) + 3 * 4096
        assert reader.read() == RECORDS[18]
        reader.seek(30)
        assert reader.read() == RECORDS[3]
        with pytest.raises(RecordKeyError, match=r"x\.idx has no record with the key 5"):
            reader.read_idx(5)


def test_without_an_index(remote: Arguments) -> None:
    with MXIndexedRecordIO(None, REC, "r", **remote) as reader:
        assert reader.read_idx(7) == RECORDS[7] and len(reader.keys) == 20


@pytest.mark.parametrize("is_open", [True, False])
def test_copies_begin_at_the_first_record(remote: Arguments, is_open: bool) -> None:
    options = {**remote["storage_options"], "token": "very-secret"}
    with MXRecordIO(REC, "r", **{**remote, "storage_options": options}) as reader:
        reader.read()
        if not is_open:
            reader.close()
        data = pickle.dumps(reader)
    assert b"very-secret" not in data
    with MXIndexedRecordIO(IDX, REC, "r", **remote) as indexed:
        indexed.read()
        with pickle.loads(pickle.dumps(indexed)) as copy:
            assert copy.read() == RECORDS[0] and copy.read_idx(50) == RECORDS[5]
    with pytest.raises(RemoteError, match="lacks token"):
        pickle.loads(data)


def test_a_url_with_secrets_is_not_shown(remote: Arguments, faulty: FaultyServer) -> None:
    faulty.put("x.rec", faulty.objects["bucket/x.rec"].data)
    url = faulty.url.replace("http://", "http://me:secret@") + "/x.rec?signature=secret"
    cache = {"cache_dir": remote["cache_dir"]}
    with MXRecordIO(url, "r", **cache) as reader:
        assert reader.uri == f"{faulty.url}/x.rec" and reader.read() == RECORDS[0]
    faulty.objects["x.rec"].data = b"no record"
    with MXRecordIO(url, "r", **cache) as reader, pytest.raises(RecordError) as raised:
        reader.read()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("index", [IDX, None])
def test_files_that_are_missing_changed_or_refused(
    remote: Arguments, faulty: FaultyServer, index: str | None
) -> None:
    reader = MXIndexedRecordIO(IDX, REC, "r", **remote)
    faulty.put("bucket/x.rec", b"\0" * len(faulty.objects["bucket/x.rec"].data))
    with pytest.raises(FileChangedError, match=f"{REC} has changed"):
        reader.read_idx(100)
    with pytest.raises(FileChangedError, match=f"{REC} has changed"):
        reader.read()
    reader.close()
    with pytest.raises(RecordError, match=REC):
        MXIndexedRecordIO(index, REC, "r", **remote).read()
    faulty.put("bucket/x.idx", b"not an index\n")
    with pytest.raises(IndexFormatError, match=IDX):
        MXIndexedRecordIO(IDX, REC, "r", **remote)
    faulty.always = "403 AccessDenied"
    with pytest.raises(RemoteError, match=f"{REC}.* AWS_ACCESS_KEY_ID"):
        MXIndexedRecordIO(index, REC, "r", **remote)
    faulty.always = None
    faulty.objects.clear()
    with pytest.raises(RecordFileNotFoundError, match=f"{REC} does not exist"):
        MXIndexedRecordIO(index, REC, "r", **remote)


LINES = b"\xef\xbb\xbf7\t1.5\ta b.jpg\n\n9\t2\tc\xff.jpg\r\n"


def test_lists(remote: Arguments, faulty: FaultyServer) -> None:
    options, url = RemoteOptions.create(**remote), "s3://bucket/x.lst"
    faulty.put("bucket/x.lst", LINES)
    items = list(read_list(url, remote=options))
    assert items == [(7, (1.5,), "a b.jpg"), (9, (2.0,), "c\udcff.jpg")]
    assert read_label_table(url, remote=options).find(9, "key") == [2.0]
    faulty.put("bucket/x.lst", LINES + b"10\tx\n")
    with pytest.raises(ArgumentError, match=r"s3://bucket/x\.lst, line 4: expected a key"):
        list(read_list(url, remote=options))
    with pytest.raises(ArgumentError, match=r"s3://bucket/none\.lst cannot be read: it does not"):
        list(read_list("s3://bucket/none.lst", remote=options))
    faulty.always = "403 AccessDenied"
    with pytest.raises(RemoteError, match=url):
        list(read_list(url, remote=options))


def test_quarantine_lists_have_names_without_escapes(
    remote: Arguments, faulty: FaultyServer, tmp_path: Path
) -> None:
    """A list that was made of a local file leaves out the same records by its URL."""
    faulty.put("a b.rec", faulty.objects["bucket/x.rec"].data)
    local = (tmp_path / "x.rec").rename(tmp_path / "a b.rec")
    options = RemoteOptions.create(remote["cache_dir"])
    for path in (str(local), f"{faulty.url}/a%20b.rec"):
        records = RecordSet(path, remote=options)
        assert file_name(records.paths[0]) == "a b.rec"
        left = records.without(range(20), [Entry("a b.rec", 0, 0, "")])
        assert list(left) == list(range(1, 20))
        records.close()


def test_quarantine_lists(remote: Arguments, faulty: FaultyServer) -> None:
    options, url = RemoteOptions.create(**remote), "s3://bucket/bad.tsv"
    faulty.put("bucket/bad.tsv", b"x.rec\t40\t3\tno image\n")
    assert read_quarantine(url, options) == [("x.rec", 40, 3, "no image")]
    faulty.put("bucket/bad.tsv", b"x.rec\n")
    with pytest.raises(RecordError, match=r"s3://bucket/bad\.tsv, line 1: expected file"):
        read_quarantine(url, options)
    with pytest.raises(RecordFileNotFoundError, match=r"s3://bucket/no\.tsv does not exist"):
        read_quarantine("s3://bucket/no.tsv", options)
    faulty.always = "403 AccessDenied"
    with pytest.raises(RemoteError, match=url):
        read_quarantine(url, options)
