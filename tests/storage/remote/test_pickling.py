"""Pickles hold no secret URLs; processes that are spawned get them."""

import copy
import multiprocessing
import pickle
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import UnsupportedError
from gpuio.io import ImageRecordIter
from gpuio.recordio import IRHeader, MXIndexedRecordIO, MXRecordIO, RecordSet, pack
from gpuio.storage.remote.folder import RemoteFolder
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.pickling import check_picklable
from tests.io.records import jpeg
from tests.servers.faulty import FaultyServer

SIGNATURE = "?X-Amz-Signature=SECRET&part=SECRET"


@pytest.mark.parametrize(
    "values",
    [
        "https://host/a.rec?sig=SECRET",
        "https://me:SECRET@host/a.rec",
        "sftp://me:SECRET@host/a.rec",
        "https://host/a.rec?versionId=1&sig=SECRET",
        "https://host/a.rec?SECRET",
        "https://host/a.rec?sig=SECRET#",  # no URL of a file
        "a.rec;https://host/a.rec?sig=SECRET",
        ((), {"path_imgrec": ["a.rec", "https://host/a.rec?sig=SECRET"]}),
        [{"https://host/a.rec?sig=SECRET"}],
    ],
)
def test_secrets_are_refused(values: object) -> None:
    with pytest.raises(
        UnsupportedError, match=r"X cannot be pickled or copied: \w+://host/a\.rec was"
    ) as raised:
        check_picklable(values, "X")
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "values",
    [
        "a.rec?sig=x", Path("a.rec"), "s3://bucket/a.rec?b", "https://host/a.rec",
        "https://host/a.rec?versionId=1&download", "hdfs://me@host/a.rec", "https://host/a;b.rec",
        "az://container@account/a.rec", None, 3, {"a": ("b", object())}, b"https://host/a?sig=x",
    ],
)  # fmt: skip
def test_others_are_not(values: object) -> None:
    check_picklable(values, "X")


@pytest.fixture
def url(faulty: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A record file on a server, with a query."""
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path / "cache"))
    with MXIndexedRecordIO(tmp_path / "a.idx", tmp_path / "a.rec", "w") as writer:
        for number in range(3):
            writer.write_idx(number, pack(IRHeader(0, 0.0, number, 0), jpeg(number, 20, 20)))
    faulty.put("a.rec", (tmp_path / "a.rec").read_bytes())
    faulty.put("a.idx", (tmp_path / "a.idx").read_bytes())
    return f"{faulty.url}/a.rec{SIGNATURE}"


def test_what_reads_a_secret_url_is_not_pickled(url: str) -> None:
    shape: dict[str, Any] = {"data_shape": (3, 8, 8), "batch_size": 1}
    index = url.replace(".rec", ".idx")
    with (
        MXRecordIO(url, "r") as reader,
        RecordSet(url, index) as records,
        ImageRecordIter(path_imgrec=url, path_imgidx=index, **shape) as batches,
    ):
        for each in (reader, records, batches, RemoteFolder(url, RemoteOptions())):
            message = f"^{type(each).__name__} cannot be pickled"
            for make in (pickle.dumps, copy.deepcopy):
                with pytest.raises(UnsupportedError, match=message) as raised:
                    make(each)  # type: ignore[operator]
                assert "SECRET" not in str(raised.value)


def count(reader: MXRecordIO, counts: "SimpleQueue[int]") -> None:
    """Count the records of a reader."""
    counts.put(sum(1 for _ in reader))


def test_spawned_processes_get_it(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    counts: SimpleQueue[int] = context.SimpleQueue()
    with MXRecordIO(url, "r") as reader:
        process = context.Process(target=count, args=(reader, counts))
        process.start()
        process.join()
        assert process.exitcode == 0 and counts.get() == 3
        with pytest.raises(UnsupportedError):
            pickle.dumps(reader)
