"""Record files of a server, as one dataset."""

import multiprocessing
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import (
    ArgumentError,
    FileChangedError,
    IndexFormatError,
    RecordError,
    RecordFileNotFoundError,
)
from gpuio.recordio import Index, IRHeader, MXIndexedRecordIO, RecordSet, pack
from gpuio.recordio.record_headers import RecordBatch
from gpuio.recordio.stored_image import StoredImage
from gpuio.storage.parts import Bulk
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.statistics import statistics
from tests.io.threads import eventually, run_in_thread
from tests.servers.faulty import HANG, FaultyServer, faulty_server

MAGIC = b"\x0a\x23\xd7\xce"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as found:
        yield found


@pytest.fixture
def options(tmp_path: Path, server: FaultyServer) -> RemoteOptions:
    return RemoteOptions.create(tmp_path / "cache", storage_options=server.s3_options)


def write(folder: Path, name: str, images: list[bytes]) -> tuple[Path, Path]:
    """A record file and its index; keys count from 10, every third label is an array."""
    files = folder / f"{name}.rec", folder / f"{name}.idx"
    with MXIndexedRecordIO(files[1], files[0], "w") as writer:
        for key, image in enumerate(images, 10):
            label = [float(key)] * (key % 5 + 1) if key % 3 == 0 else float(key)
            writer.write_idx(key, pack(IRHeader(0, label, key, 0), image))
    return files


def serve(server: FaultyServer, *paths: Path) -> None:
    for path in paths:
        server.put(f"b/{path.name}", path.read_bytes())


def images_of(batch: RecordBatch) -> list[bytes | None]:
    found = [image.read() if isinstance(image, StoredImage) else image for image in batch.images]
    return [None if image is None else image.tobytes() for image in found]


# Small ones, such as are larger than what is read at first, and one that has several parts.
rng = np.random.default_rng(0)
IMAGES = [rng.bytes(int(size)) for size in rng.integers(0, 60_000, 20)]
IMAGES[3] = IMAGES[3] + MAGIC * 3 + b"end."
IMAGES[7] = rng.bytes(3 << 20)


def test_the_record_file_and_its_index_are_opened_at_once(
    server: FaultyServer, options: RemoteOptions
) -> None:
    """While one request is not answered the other one comes, and there is no third."""
    data = b"".join(MAGIC + (8).to_bytes(4, "little") + bytes([n] * 8) for n in range(3))
    server.put("b/x.rec", data)
    server.put("b/x.idx", b"0\t0\n1\t16\n2\t32\n")
    server.faults.append(HANG)
    opened: list[RecordSet] = []
    thread, raised = run_in_thread(
        lambda: opened.append(RecordSet("s3://b/x.rec", "s3://b/x.idx", options))
    )
    assert eventually(lambda: server.total() == 2)
    assert set(server.requests) == {"GET b/x.rec", "GET b/x.idx"}
    server.released.set()
    thread.join()
    assert not raised and opened[0].starts.tolist() == [0, 16, 32]
    assert server.total() == 3  # the one without an answer was repeated
    opened[0].close()


def test_errors_of_record_files_come_before_those_of_indexes(
    server: FaultyServer, options: RemoteOptions
) -> None:
    for content, name in ((None, "x.rec"), (b"", "x.idx")):
        if content is not None:
            server.put("b/x.rec", content)
        with pytest.raises(RecordFileNotFoundError, match=name):
            RecordSet("s3://b/x.rec", "s3://b/x.idx", options)


@pytest.mark.parametrize("use_bulk", [False, True])
def test_records_are_those_of_the_file(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions, use_bulk: bool
) -> None:
    files = write(tmp_path, "x", IMAGES)
    serve(server, *files)
    bulk = None
    if use_bulk:
        bulk = Bulk(lambda n: np.full(n, 7, np.uint8), lambda tasks: [task() for task in tasks])
    with RecordSet(*files) as local, RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as remote:
        assert remote.paths == ("s3://b/x.rec",) and remote.nbytes == local.nbytes
        assert (remote.keys == local.keys).all() and (remote.starts == local.starts).all()
        chosen = np.random.default_rng(1).permutation(len(local))
        one, other = remote.read_many(chosen, bulk), local.read_many(chosen, bulk)
        assert images_of(one) == images_of(other)
        assert [np.ravel(label).tolist() for label in one.labels] == [
            np.ravel(label).tolist() for label in other.labels
        ]
        assert (one.ids == other.ids).all() and not remote.has_changed
        # All of them are in memory, for those who read them without knowing of files.
        assert (one.images.places["file"] == -1)[one.images.places["known_size"] > 0].all()
        for ordinal in range(len(local)):
            assert remote.payload(ordinal).tobytes() == local.payload(ordinal).tobytes()
        assert str(remote.location(2)).startswith("s3://b/x.rec, key 12, byte ")


def test_labels_of_more_records_than_the_cache_holds(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    files = write(tmp_path, "x", [b"a" * 9000] * 200)
    serve(server, *files)
    little = replace(options, cache_limit=200_000)
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", little) as records:
        assert records.most_labels(range(200), 10) == 5
        found = np.concatenate([ordinals for ordinals, _ in records.label_blocks(range(200))])
        assert sorted(found.tolist()) == list(range(200))


def test_long_labels_of_more_records_than_the_cache_holds(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    files = tmp_path / "x.rec", tmp_path / "x.idx"
    with MXIndexedRecordIO(files[1], files[0], "w") as writer:
        for key in range(8):
            header = IRHeader(0, np.full(100, key, np.float32), key, 0)
            writer.write_idx(key, pack(header, b"a" * 500_000))
    serve(server, *files)
    little = replace(options, cache_limit=2_500_000)
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", little) as records:
        blocks = [(int(ordinals[0]), labels) for ordinals, labels in records.label_blocks(range(8))]
    assert all((labels == number).all() for number, labels in blocks) and len(blocks) == 8


def test_nothing_is_fetched_behind_records_that_an_index_leaves_out(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    images = [b"a" * 30_000] * 300
    rec, idx = write(tmp_path, "x", images)
    lines = idx.read_text().splitlines(keepends=True)
    idx.write_text("".join(lines[::100]))  # 3 MB apart
    serve(server, rec, idx)
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as records:
        assert images_of(records.read_many(np.arange(3))) == images[:3]
        before = server.sent["GET b/x.rec"]
        assert before < 200_000
        records.read_many(np.arange(3))
        assert server.sent["GET b/x.rec"] == before


@pytest.mark.parametrize("indexed", [True, False])
def test_folders_and_several_files(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions, indexed: bool
) -> None:
    for name in ("a", "b", "c"):
        serve(server, *write(tmp_path, name, [name.encode() * 50_000, b"other"]))
    paths = [tmp_path / f"{name}.rec" for name in "abc"]
    with RecordSet(paths) as local:
        expected = [local.record(number)[1].tobytes() for number in range(6)]
    urls = [f"s3://b/{name}.rec" for name in "abc"]
    for named in ("s3://b/", urls, ";".join(urls)):
        indexes = None
        if indexed:
            indexes = [url.replace("rec", "idx") for url in urls]
        with RecordSet(named, indexes, options) as records:
            assert images_of(records.read_many(np.arange(6))) == expected
            assert records.paths == tuple(urls)
            assert records.keys.tolist() == ([10, 11] * 3 if indexed else list(range(6)))
    with RecordSet([paths[0], urls[1]], None, options) as records:  # of both kinds
        assert images_of(records.read_many(np.arange(4))) == expected[:4]


def test_a_scan_fetches_a_file_once(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    files = write(tmp_path, "x", IMAGES)
    serve(server, *files)
    built = Index.build("s3://b/x.rec", options)
    assert built.offsets.tolist() == Index.load(files[1]).offsets.tolist()
    with RecordSet("s3://b/x.rec", None, options) as records:
        assert records.starts.tolist() == built.offsets.tolist()
        records.read_many(np.arange(len(IMAGES)))
    assert server.sent["GET b/x.rec"] < 1.2 * files[0].stat().st_size


def test_a_second_reading_sends_no_request(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    serve(server, *write(tmp_path, "x", IMAGES))
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as records:
        every = np.arange(len(records))
        records.read_many(every)
        before, requests = statistics(), server.total()
        for _ in range(2):
            images_of(records.read_many(every))
            list(records.label_blocks(every))
        after = statistics()
        assert (server.total(), after.requests) == (requests, before.requests)
        assert after.cached > before.cached


def test_a_single_record_is_one_request(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    serve(server, *write(tmp_path, "x", IMAGES))
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as records:
        before = server.total()
        for number in (0, 5, 19):
            assert records.record(number)[1].tobytes() == IMAGES[number]
        assert server.total() == before + 3


def test_what_is_read_ahead_is_not_waited_for(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    serve(server, *write(tmp_path, "x", IMAGES))
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as records:
        every = np.setdiff1d(np.arange(len(records)), [7])  # the one that is read in two steps
        size = sum(len(IMAGES[number]) for number in every)
        assert size <= records.read_ahead(every) < 2 * size
        assert records.readahead == 256 * 10**6
        assert eventually(lambda: server.sent["GET b/x.rec"] > size)
        assert eventually(lambda: not waits_for(records, every))


def waits_for(records: RecordSet, ordinals: np.ndarray) -> int:
    """Requests that reading some records sends."""
    before = statistics().requests
    records.read_many(ordinals)
    return statistics().requests - before


def test_the_fingerprint_has_the_version(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    rec, idx = write(tmp_path, "x", IMAGES)
    serve(server, rec, idx)
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as records:
        copy = pickle.loads(pickle.dumps(records))
        before = server.sent["GET b/x.rec"]
        assert records.fingerprint == copy.fingerprint
        assert server.sent["GET b/x.rec"] == before  # no samples
    changed = bytearray(rec.read_bytes())
    changed[-1] ^= 1
    server.put("b/x.rec", bytes(changed))
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as other:
        assert other.fingerprint != records.fingerprint


def test_a_changed_file_is_never_mixed(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    rec, idx = write(tmp_path, "x", IMAGES)
    serve(server, rec, idx)
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as records:
        records.read_many(np.arange(3))
        server.put("b/x.rec", rec.read_bytes()[::-1])
        assert images_of(records.read_many(np.arange(3)))[0] == IMAGES[0]
        with pytest.raises(FileChangedError, match=r"s3://b/x\.rec"):
            records.read_many(np.arange(20))


def test_what_is_wrong_is_named(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    rec, idx = write(tmp_path, "x", IMAGES)
    serve(server, rec, idx)
    with pytest.raises(RecordFileNotFoundError, match=r"s3://b/none\.rec"):
        RecordSet("s3://b/none.rec", None, options)
    with pytest.raises(RecordFileNotFoundError, match=r"the index s3://b/none\.idx does not exist"):
        RecordSet("s3://b/x.rec", "s3://b/none.idx", options)
    with pytest.raises(RecordFileNotFoundError, match=r"s3://b/c/ is a folder without \*\.rec"):
        RecordSet("s3://b/c/", None, options)
    with pytest.raises(IndexFormatError, match=r"s3://b/x\.rec"):
        RecordSet("s3://b/x.rec", "s3://b/x.rec", options)
    with pytest.raises(RecordError, match=r"s3://b/x\.idx"):
        RecordSet("s3://b/x.idx", None, options)
    damaged = bytearray(rec.read_bytes())
    damaged[0] ^= 1
    server.put("b/damaged.rec", bytes(damaged))
    with RecordSet("s3://b/damaged.rec", "s3://b/x.idx", options) as records:
        assert images_of(records.read_many(np.arange(2))) == [None, IMAGES[1]]
        with pytest.raises(RecordError, match=r"s3://b/damaged\.rec at byte 0: magic"):
            records.record(0)
    damaged = bytearray(rec.read_bytes())
    damaged[6:8] = b"\xff\x1f"  # a length beyond the end
    server.put("b/damaged.rec", bytes(damaged))
    with RecordSet("s3://b/damaged.rec", "s3://b/x.idx", options) as records:
        assert images_of(records.read_many(np.arange(2))) == [None, IMAGES[1]]
    with pytest.raises(RecordError, match=r"s3://b/damaged\.rec is closed"):
        records.record(1)


def test_a_limit_below_a_batch(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    serve(server, *write(tmp_path, "x", IMAGES))
    small = RemoteOptions.create(tmp_path / "small", "300kB", storage_options=server.s3_options)
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", small) as records:
        assert images_of(records.read_many(np.arange(2))) == IMAGES[:2]
        assert records.readahead == 300_000 // 16
        message = r"s3://b/x\.rec: [0-9]+ bytes of the cache .* cache_limit is 300000; raise it"
        with pytest.raises(ArgumentError, match=message):
            records.read_many(np.arange(20))


def read_in_child(records: RecordSet, expected: list[bytes]) -> None:
    assert images_of(records.read_many(np.arange(len(expected)))) == expected
    assert statistics().requests == 0 < statistics().cached


def test_a_spawned_process_uses_the_same_cache(
    tmp_path: Path, server: FaultyServer, options: RemoteOptions
) -> None:
    images = IMAGES[:3]
    serve(server, *write(tmp_path, "x", images))
    with RecordSet("s3://b/x.rec", "s3://b/x.idx", options) as records:
        records.read_many(np.arange(3))
        process = multiprocessing.get_context("spawn").Process(
            target=read_in_child, args=(records, images)
        )
        process.start()
        process.join()
        assert process.exitcode == 0
