"""All iterators that read files, over a server's files: the batches are those of local files."""

import gzip
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    DataFileNotFoundError,
    Error,
    FileChangedError,
    RecordError,
    RecordFileNotFoundError,
    RemoteError,
    StateError,
)
from gpuio.recordio.quarantine import Entry, write_quarantine
from gpuio.storage.remote import calls
from gpuio.storage.remote.fetch import fetcher
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.statistics import statistics
from tests.io.conformance import trace
from tests.io.image_iterators import SHAPE, write_images
from tests.io.records import RUNS
from tests.io.threads import eventually, run_in_thread
from tests.remote_files import remote_arguments, upload
from tests.servers.faulty import FaultyServer, faulty_server
from tests.servers.seaweedfs import SeaweedFS

COUNT = 11
IMAGES = {"data_shape": SHAPE, "batch_size": 4, "preprocess_threads": 2, "prefetch_buffer": 2}
ROWS = {"batch_size": 4}

Open = Callable[..., mx.io.DataIter]


def write_files(folder: Path) -> None:
    """The files of all iterators."""
    write_images(folder, COUNT)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 99, (COUNT, 3))
    (folder / "x.csv").write_text("".join(f"{a},{b},{c}\n" for a, b, c in rows.tolist()))
    (folder / "y.csv").write_text("".join(f"{number}\n" for number in range(COUNT)))
    with gzip.open(folder / "x.csv.gz", "wb") as file:
        file.write((folder / "x.csv").read_bytes())
    lines = [f"{number} 0:{a} 2:{c}\n" for number, (a, _, c) in enumerate(rows.tolist())]
    (folder / "x.libsvm").write_text("".join(lines))
    pixels = rng.integers(0, 256, (COUNT, 5, 4), np.uint8)
    header = np.array([2051, COUNT, 5, 4], ">u4").tobytes()
    (folder / "images-idx3-ubyte").write_bytes(header + pixels.tobytes())
    labels = np.array([2049, COUNT], ">u4").tobytes() + bytes(range(COUNT))
    (folder / "labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    mx.nd.save(str(folder / "mean.nd"), {"mean_img": mx.nd.full(SHAPE, 7.5)})
    write_quarantine(folder / "bad.tsv", [Entry("x.rec", 0, 0, "not wanted")])


# By name: the iterator, its arguments, and those of them that name files.
KINDS: dict[str, tuple[Any, dict[str, Any], dict[str, str]]] = {
    "ImageRecordIter": (
        mx.io.ImageRecordIter,
        {**IMAGES, "shuffle": True, "seed": 3, "rand_mirror": True},
        {"path_imgrec": "x.rec", "path_imgidx": "x.idx", "path_imglist": "x.lst",
         "mean_img": "mean.nd", "quarantine": "bad.tsv"},
    ),
    "ImageRecordIter without an index": (mx.io.ImageRecordIter, IMAGES, {"path_imgrec": "x.rec"}),
    "ImageDetRecordIter": (
        mx.io.ImageDetRecordIter,
        {**IMAGES, "shuffle": True, "rand_mirror_prob": 0.5},
        {"path_imgrec": "d.rec", "path_imgidx": "d.idx"},
    ),
    "ImageIter": (
        mx.image.ImageIter, {**IMAGES, "shuffle": True, "rand_mirror": True},
        {"path_imglist": "x.lst", "path_root": ""},
    ),
    "ImageIter of records": (
        mx.image.ImageIter, IMAGES,
        {"path_imgrec": "x.rec", "path_imgidx": "x.idx", "path_imglist": "x.lst"},
    ),
    "ImageDetIter": (mx.image.ImageDetIter, IMAGES, {"path_imgrec": "d.rec"}),
    "CSVIter": (
        mx.io.CSVIter, {**ROWS, "data_shape": (3,)}, {"data_csv": "x.csv", "label_csv": "y.csv"}
    ),
    "CSVIter of a compressed file": (
        mx.io.CSVIter, {**ROWS, "data_shape": (3,), "prefetch_buffer": 0},
        {"data_csv": "x.csv.gz"},
    ),
    "LibSVMIter": (mx.io.LibSVMIter, {**ROWS, "data_shape": (3,)}, {"data_libsvm": "x.libsvm"}),
    "part of LibSVMIter": (
        mx.io.LibSVMIter,
        {"batch_size": 2, "data_shape": (3,), "num_parts": 2, "part_index": 1},
        {"data_libsvm": "x.libsvm"},
    ),
    "MNISTIter": (
        mx.io.MNISTIter, {**ROWS, "reshuffle": True, "silent": True},
        {"image": "images-idx3-ubyte", "label": "labels-idx1-ubyte.gz"},
    ),
}  # fmt: skip
DALI = ["ImageRecordIter", "ImageDetRecordIter", "ImageIter"]
RUN = [*((kind, "") for kind in KINDS), *((kind, "dali") for kind in DALI)]
# Their states identify the data by what is in memory, or by the list.
BY_CONTENT = {"ImageIter", "MNISTIter"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("files")
    write_files(found)
    return found


@pytest.fixture
def server(
    faulty: FaultyServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyServer]:
    """A server with the same files."""
    monkeypatch.setattr(calls, "FIRST_DELAY", 0.0)
    upload(faulty, {path.name: path for path in folder.iterdir()})
    yield faulty
    assert eventually(lambda: not fetcher().threads)


@pytest.fixture
def over(server: FaultyServer, folder: Path, tmp_path: Path) -> Open:
    """A function that opens an iterator over local files, or over the server's."""

    def open_iterator(
        name: str, remote: bool, executor: str = "", **changes: Any
    ) -> mx.io.DataIter:
        kind, values, files = KINDS[name]
        if executor == "dali":
            pytest.importorskip("nvidia.dali")
        base = "s3://bucket/" if remote else f"{folder}/"
        paths = {argument: base + file for argument, file in files.items()}
        more = remote_arguments(server, tmp_path / "cache") if remote else {}
        run = RUNS[executor] if executor else {}
        return kind(**{**values, **paths, **more, **run, **changes})

    return open_iterator


@pytest.mark.parametrize("kind, executor", RUN)
def test_batches_are_those_of_local_files(over: Open, kind: str, executor: str) -> None:
    with over(kind, False, executor) as local, over(kind, True, executor) as remote:
        assert trace(remote, 9) == trace(local, 9)
        assert "bucket" in repr(remote) or kind == "ImageIter"


@pytest.mark.parametrize("kind, executor", RUN)
def test_a_run_resumes_where_it_stopped(over: Open, kind: str, executor: str) -> None:
    with over(kind, True, executor) as iterator:
        trace(iterator, 2)
        state, copied = iterator.state_dict(), pickle.dumps(iterator)
        expected = trace(iterator, 5)
    with over(kind, True, executor) as again:
        again.load_state_dict(state)
        assert trace(again, 5) == expected
    with pickle.loads(copied) as copy:
        assert trace(copy, 5) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_of_local_files_is_one_of_other_data(over: Open, kind: str) -> None:
    """Remote files are identified by the store's name for their content, which local ones lack."""
    with over(kind, False) as local, over(kind, True) as remote:
        state = local.state_dict()
        if kind in BY_CONTENT:
            remote.load_state_dict(state)
        else:
            with pytest.raises(StateError, match="data"):
                remote.load_state_dict(state)


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_is_sent_for_what_is_cached(over: Open, kind: str) -> None:
    with over(kind, True) as iterator:
        trace(iterator, 8)
        requests = statistics().requests
        trace(iterator, 8)
        assert statistics().requests == requests


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_missing(over: Open, kind: str, server: FaultyServer) -> None:
    _, _, files = KINDS[kind]
    name = next(iter(files.values()))
    del server.objects[f"bucket/{name}"]
    with pytest.raises((RecordFileNotFoundError, DataFileNotFoundError, Error)) as raised:
        over(kind, True)
    assert f"s3://bucket/{name}" in str(raised.value) and "does not exist" in str(raised.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_refuses(over: Open, kind: str, server: FaultyServer) -> None:
    server.always = "403 AccessDenied"
    with pytest.raises(RemoteError, match=r"s3://bucket/.* AWS_ACCESS_KEY_ID") as raised:
        over(kind, True)
    assert "skip_signature=True" in str(raised.value)


def lose_cache(folder: Path) -> None:
    """Leave nothing in the cache, and nowhere to write it again."""
    for number in range(99):  # threads that read ahead may create it anew
        with suppress(FileNotFoundError):
            (folder / "cache").rename(folder / f"lost{number}")
        with suppress(FileExistsError):
            return (folder / "cache").touch(exist_ok=False)
    raise AssertionError("the cache comes back again and again")


@pytest.mark.parametrize("on_error", ["raise", "skip", "substitute"])
@pytest.mark.parametrize("kind, executor", [(kind, each) for kind in DALI for each in ("", "dali")])
def test_neither_refusal_nor_change_is_a_bad_record(
    over: Open, kind: str, executor: str, on_error: str, server: FaultyServer, tmp_path: Path
) -> None:
    with over(kind, True, executor, on_error=on_error) as iterator:
        trace(iterator, 1)
        lose_cache(tmp_path)
        server.always = "403 AccessDenied"
        with pytest.raises(RemoteError, match="s3://bucket/"):
            trace(iterator, 9)
        server.always = None
        for path, found in list(server.objects.items()):
            server.put(path, found.data + b"....")
        with pytest.raises(FileChangedError, match=r"s3://bucket/.* has changed"):
            for _ in range(4):
                with suppress(RemoteError):  # of batches that were made ahead
                    trace(iterator, 9)
        assert not iterator.bad_records  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["CSVIter", "CSVIter of a compressed file", "LibSVMIter"])
def test_a_text_that_changes_or_is_refused_later(
    over: Open, kind: str, server: FaultyServer, tmp_path: Path
) -> None:
    """The next call goes on where the failed one was."""
    with over(kind, True, prefetch_buffer=0) as iterator, over(kind, False) as local:
        found = trace(iterator, 1)
        lose_cache(tmp_path)
        server.always = "403 AccessDenied"
        with pytest.raises(RemoteError, match="s3://bucket/x"):
            for _ in range(9):
                found += trace(iterator, 1)
        server.always = None
        found += trace(iterator, 3)
        assert [each for each in found if each != "end"] == [
            each for each in trace(local, 9) if each != "end"
        ][: len(found) - found.count("end")]
        for path, each in list(server.objects.items()):
            server.put(path, each.data + b"1,2,3\n")
        with pytest.raises(FileChangedError, match=r"s3://bucket/x.* has changed"):
            trace(iterator, 9)


@pytest.mark.parametrize("kind", ["ImageIter", "CSVIter", "LibSVMIter"])
def test_closing_does_not_wait_for_a_server(kind: str, folder: Path, tmp_path: Path) -> None:
    make, values, files = KINDS[kind]
    with faulty_server() as hanging:
        upload(hanging, {path.name: path for path in folder.iterdir()})
        paths = {argument: f"s3://bucket/{file}" for argument, file in files.items()}
        iterator = make(**{**values, **paths, **remote_arguments(hanging, tmp_path / "cache")})
        iterator.next()
        (tmp_path / "cache").rename(tmp_path / "lost")
        hanging.always = "hang"
        thread, raised = run_in_thread(lambda: trace(iterator, 99))
        assert hanging.waiting.wait(20)
        iterator.close()
        thread.join(20)
        assert not thread.is_alive() and isinstance(raised[0], Error)


@pytest.mark.parametrize("limit", ["20MB", "1MB"])
@pytest.mark.parametrize("compressed", [False, True])
def test_texts_that_are_larger_than_a_block_or_the_cache(
    server: FaultyServer, tmp_path: Path, limit: str, compressed: bool
) -> None:
    """Parts in which each line is once, in their order."""
    numbers = np.random.default_rng(0).integers(0, 10**9, 500_000)
    text = "".join(f"{number} 0:1\n" for number in numbers.tolist()).encode()
    name = "big.libsvm.gz" if compressed else "big.libsvm"
    server.put(f"bucket/{name}", gzip.compress(text, 1) if compressed else text)
    options = {**remote_arguments(server, tmp_path / "cache"), "cache_limit": limit}
    parts = 1 if compressed else 3
    found = []
    for part in range(parts):
        with mx.io.LibSVMIter(
            data_libsvm=f"s3://bucket/{name}", data_shape=1, batch_size=100_000, num_parts=parts,
            part_index=part, round_batch=False, **options,
        ) as iterator:  # fmt: skip
            for batch in iterator:
                found.append(batch.label[0].asnumpy()[: 100_000 - batch.pad])
    np.testing.assert_array_equal(np.concatenate(found), numbers.astype(np.float32))
    total = len(server.objects[f"bucket/{name}"].data)
    # What is evicted is fetched again.
    assert server.sent[f"GET bucket/{name}"] < {"20MB": 1.5, "1MB": 4}[limit] * total


def test_several_files_in_one_string(over: Open) -> None:
    two = {"path_imgrec": "s3://bucket/x.rec;s3://bucket/d.rec", "path_imgidx": None}
    with over("ImageRecordIter", True, **two, mean_img=None, path_imglist=None) as iterator:
        assert iterator.num_data == 2 * COUNT - 1  # type: ignore[attr-defined]


def test_a_listed_image_that_is_missing_is_a_bad_record(over: Open, server: FaultyServer) -> None:
    del server.objects["bucket/3.jpg"]
    with over("ImageIter", True, on_error="skip", shuffle=False) as iterator:
        keys = np.concatenate([batch.index for batch in iterator]).tolist()
        (bad,) = iterator.bad_records  # type: ignore[attr-defined]
    assert 30 not in keys and bad.key == 30
    assert "s3://bucket/3.jpg" in bad.place and "does not exist" in bad.reason


@pytest.mark.parametrize("kind", ["ImageRecordIter", "CSVIter", "LibSVMIter"])
def test_files_of_a_folder(over: Open, kind: str, server: FaultyServer, folder: Path) -> None:
    argument, name = next(iter(KINDS[kind][2].items()))
    server.put(f"bucket/data/{name}", (folder / name).read_bytes())
    server.put("bucket/data/", b"")  # as consoles mark folders
    server.put(f"bucket/data/deeper/{name}", b"")
    others = dict.fromkeys(("path_imgidx", "label_csv")) if kind != "LibSVMIter" else {}
    others = {name: value for name, value in others.items() if name in KINDS[kind][2]}
    others[argument] = "s3://bucket/data/"
    local_others = {**others, argument: folder / name}
    with over(kind, True, **others) as remote, over(kind, False, **local_others) as local:
        assert trace(remote, 7) == trace(local, 7)
    with pytest.raises(Error, match=r"s3://bucket/none/ is a folder without"):
        over(kind, True, **{**others, argument: "s3://bucket/none/"})


@pytest.mark.parametrize("kind", ["ImageRecordIter", "ImageDetRecordIter", "CSVIter", "MNISTIter"])
def test_options_as_strings(over: Open, kind: str) -> None:
    """As MXNet's own iterators take all."""
    strings = {"cache_limit": "10000000", "retries": "10", "timeout": "7.5", "readahead": "1MB"}
    with over(kind, True, **strings) as iterator:
        iterator.next()
    for name, value in (("cache_limit", "much"), ("retries", -1), ("timeout", 0),
                        ("readahead", "1 light year"), ("storage_options", "x")):  # fmt: skip
        with pytest.raises(Error, match=name):
            over(kind, True, **{name: value})


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_takes_secrets_from_the_environment(
    over: Open, kind: str, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {"access_key_id": "AKIAname", "secret_access_key": "very-secret"}
    options = {**server.s3_options, "skip_signature": False, **secrets}
    with over(kind, True, storage_options=options) as iterator:
        copied = pickle.dumps(iterator)
        assert b"very-secret" not in copied and b"AKIAname" not in copied
        assert "very-secret" not in repr(iterator) + str(iterator.state_dict())
        expected = trace(iterator, 3)
    with pytest.raises(RemoteError, match=r"lacks access_key_id .*AWS_ACCESS_KEY_ID"):
        pickle.loads(copied)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAname")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    with pickle.loads(copied) as copy:
        assert trace(copy, 3) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("kind", ["ImageRecordIter", "ImageIter", "CSVIter", "LibSVMIter"])
@pytest.mark.filterwarnings("ignore:.*fork")  # Python and JAX warn of threads
def test_a_forked_process_does_not_hang(over: Open, kind: str, tmp_path: Path) -> None:
    with over(kind, True) as iterator:
        expected = trace(iterator, 1)
        process = os.fork()
        if process == 0:
            try:
                trace(iterator, 1)
                over(kind, True, cache_dir=tmp_path / "another")
            except Error:
                os._exit(7)
            except BaseException:
                os._exit(8)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
        assert trace(iterator, 1) != expected


@pytest.mark.parametrize("kind", ["ImageRecordIter", "ImageIter", "CSVIter"])
def test_a_store_with_authentication(
    s3_server: SeaweedFS, folder: Path, tmp_path: Path, kind: str
) -> None:
    make, values, files = KINDS[kind]
    remote = {"storage_options": s3_server.options, "cache_dir": tmp_path / "cache", "retries": 2}
    store, _ = open_store("s3://bucket", RemoteOptions.create(**remote))
    for path in folder.iterdir():
        writing = store.upload(f"in/{path.name}")
        writing.write(path.read_bytes())
        writing.complete()
    paths = {argument: f"s3://bucket/in/{file}" for argument, file in files.items()}
    local = {argument: f"{folder}/{file}" for argument, file in files.items()}
    with make(**values, **paths, **remote) as iterator, make(**values, **local) as expected:
        assert trace(iterator, 7) == trace(expected, 7)
    options = {**s3_server.options, "secret_access_key": "wrong"}
    with pytest.raises(RemoteError, match="secret_access_key in storage_options") as raised:
        make(**values, **paths, **{**remote, "storage_options": options})
    assert "wrong" not in str(raised.value)


def test_labels_are_not_scanned_if_their_space_is_known(over: Open) -> None:
    space = {"label_pad_width": 40}
    with (
        over("ImageDetRecordIter", True, **space) as remote,
        over("ImageDetRecordIter", False, **space) as local,
    ):
        assert trace(remote, 4) == trace(local, 4)
    with pytest.raises(ArgumentError, match="label_pad_width 3 has no space"):
        over("ImageDetRecordIter", False, label_pad_width=3)
    with (
        over("ImageDetRecordIter", True, label_pad_width=3) as remote,
        pytest.raises(RecordError, match="label_pad_width leaves space for 3"),
    ):
        remote.next()
