"""Damaged record files and indexes, read in all ways, which must agree."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import gpuio as mx
from gpuio.errors import Error, RecordError
from gpuio.recordio import IRHeader, MXIndexedRecordIO, MXRecordIO, pack
from gpuio.recordio.framing import MAGIC_BYTES, WHOLE, FramingError, frame, parse, part_kind, walk
from gpuio.recordio.header import unpack
from gpuio.recordio.index import Index
from gpuio.recordio.record_headers import HEAD_BYTES
from gpuio.recordio.record_reading import BEGINNING, MAX_WHOLE
from gpuio.recordio.record_set import RecordSet
from gpuio.recordio.recovery import scan
from gpuio.recordio.stored_image import StoredImage
from tests.fuzz.mutators import (
    RECORD_MUTATORS,
    TEXT_MUTATORS,
    Rng,
    mutate,
    mutate_one,
    pick,
)
from tests.fuzz.target import Parts, Target, refusing, write_files
from tests.io.records import jpeg


def record_file(payloads: list[bytes], first_key: int = 0) -> Parts:
    """A record file and its index."""
    content, lines = b"", b""
    for key, payload in enumerate(payloads, first_key):
        lines += b"%d\t%d\n" % (key, len(content))
        content += b"".join(map(bytes, frame(payload)))
    return content, lines


def labelled(labels: list[Any], images: list[bytes]) -> list[bytes]:
    """Image records; their ids are their numbers."""
    return [
        pack(IRHeader(0, label, number, 0), image)
        for number, (label, image) in enumerate(zip(labels, images, strict=True))
    ]


@cache
def seeds() -> list[Parts]:
    """Good record files with their indexes."""
    tiny = [jpeg(number, 16 + number, 14) for number in range(10)]
    boxes = [[2, 5, *[n, 0.1, 0.2, 0.6, 0.7] * (1 + n % 3)] for n in range(10)]
    magics = [MAGIC_BYTES * n + b"ab" * (n % 3) + MAGIC_BYTES for n in range(6)]
    identities = [pack(IRHeader(0, [n + 1, n + 3], 0, 0), b"") for n in range(2)]
    faces = [
        pack(IRHeader(0, [5, 7], 0, 0), b""),
        *labelled([float(n // 2) for n in range(4)], tiny[:4]),
        *identities,
    ]
    return [
        record_file(labelled([float(n) for n in range(10)], tiny)),
        record_file(labelled(boxes, tiny)),
        record_file(labelled([[n, 2 * n, 0.5] for n in range(10)], tiny), 5),
        record_file(faces),
        record_file([b"x" * n for n in range(12)]),
        record_file(magics + labelled([1.0, [2.0, 3.0]], [b"ab" + MAGIC_BYTES, MAGIC_BYTES * 2])),
        record_file(labelled([0.0] * 3, [b"", b"no image", tiny[0]])),
        record_file([]),
        # Larger than what is read of a record at first.
        record_file(labelled([1.0, [2.0] * 200, 3.0], [bytes(MAX_WHOLE), tiny[0] * 20, tiny[1]])),
    ]


def make_records(rng: Rng) -> Parts:
    """A damaged record file."""
    return (mutate_one(rng, [content for content, _ in seeds()], RECORD_MUTATORS),)


def make_pair(rng: Rng) -> Parts:
    """A record file and an index, of which at least one is damaged, or of another file."""
    content, index = pick(rng, seeds())
    kind = int(rng.integers(4))
    if kind != 0:
        content = mutate(rng, content, RECORD_MUTATORS)
    if kind == 1:
        index = pick(rng, seeds())[1]
    elif kind != 2:
        index = mutate(rng, index, TEXT_MUTATORS)
    return content, index


def check_records(parts: Parts, folder: Path) -> None:
    """Read a record file from front to back, by its own index, and by what can be recovered."""
    (path,) = write_files(folder, x_rec=parts[0])
    data = np.frombuffer(parts[0], np.uint8)
    offsets, whole = _walked(data, path)
    payloads = [parse(data, offset, "")[0].tobytes() for offset in offsets]
    _check_sequential(path, payloads, whole)
    spans = list(scan(data, str(path)))
    assert [span.begin for span in spans[1:]] == [span.end for span in spans[:-1]]
    assert not spans or (spans[0].begin, spans[-1].end) == (0, len(data))
    intact = [span.begin for span in spans if span.reason is None]
    if whole:
        index = Index.build(path)
        assert index.offsets.tolist() == offsets
        with RecordSet(path) as records:
            check_agreement(records)
    else:
        with refusing():
            Index.build(path)
            raise AssertionError("an index of a damaged file was built")
    if intact:
        np.savetxt(folder / "y.idx", [*enumerate(intact)], "%d", "\t")
        with RecordSet(path, folder / "y.idx") as records:
            check_agreement(records, all_intact=True)
    with refusing():
        RecordSet(path).close()


def _walked(data: np.ndarray, path: Path) -> tuple[list[int], bool]:
    """Offsets of the records up to the first damage, and whether there is none."""
    offsets: list[int] = []
    try:
        for offset in walk(data, str(path)):
            offsets.append(offset)
    except FramingError:
        return offsets, False
    return offsets, True


def _check_sequential(path: Path, payloads: list[bytes], whole: bool) -> None:
    found, errors = [], 0
    with MXRecordIO(path, "r") as reader:
        for _ in range(path.stat().st_size // 8 + 2):
            try:
                record = reader.read()
            except RecordError:
                errors += 1
                continue
            if record is None:
                break
            if not errors:
                found.append(record)
        else:
            raise AssertionError("the reader does not come to an end")
    assert found == payloads and (errors == 0) == whole


def check_agreement(records: RecordSet, all_intact: bool = False) -> None:
    """Compare what is read one by one with what is read in bulk, of one file. Records of one part
    must be read in bulk, unless their labels are very long.
    """
    count = len(records)
    ordinals = np.arange(count)
    batch = records.read_many(ordinals)
    labels: dict[int, np.ndarray] = {}
    bad = False
    data = np.fromfile(records.paths[0], np.uint8)
    for number, start in enumerate(records.starts.tolist()):
        try:
            payload = records.payload(number)
        except RecordError:
            assert not all_intact
            payload = None
        try:
            header, image = records.record(number)
        except RecordError:
            assert batch.images[number] is None, f"record {number} is bad, but not in bulk"
            bad = True
            continue
        assert payload is not None
        labels[number] = np.ravel(np.float32(header.label))
        assert np.array_equal(unpack(payload.tobytes())[0].label, header.label, equal_nan=True)
        # Of records that overlap by an index of another file, only those read alone are compared.
        whole = part_kind(data, start) == WHOLE
        assert whole or batch.images[number] is None
        short = labels[number].nbytes + HEAD_BYTES <= BEGINNING
        assert batch.images[number] is not None or not (whole and short and all_intact)
        if (found := batch.images[number]) is not None:
            read = found.read() if isinstance(found, StoredImage) else found
            assert np.array_equal(read, image)
            assert np.array_equal(np.ravel(np.float32(batch.labels[number])), labels[number], True)
            assert batch.ids[number] == header.id
    if count:
        records.location(count - 1)
    _check_label_blocks(records, labels, bad)
    images = records.image_ordinals()
    assert records.has_faces or len(images) == count
    assert records.fingerprint


def _check_label_blocks(records: RecordSet, labels: dict[int, np.ndarray], bad: bool) -> None:
    found: dict[int, np.ndarray] = {}
    try:
        for ordinals, rows in records.label_blocks(range(len(records))):
            found |= {o: row.copy() for o, row in zip(ordinals.tolist(), rows, strict=True)}
    except RecordError:
        assert bad
        return
    assert not bad and found.keys() == labels.keys()
    assert all(np.array_equal(found[number], labels[number], True) for number in found)


def check_pair(parts: Parts, folder: Path) -> None:
    """Read a record file by an index."""
    path, idx = write_files(folder, x_rec=parts[0], x_idx=parts[1])
    with refusing():
        index = Index.load(idx)
    assert len(index.keys) == len(index.offsets)
    index.save(folder / "y.idx")
    assert np.array_equal(Index.load(folder / "y.idx").offsets, index.offsets)
    with refusing(), MXIndexedRecordIO(idx, path, "r") as reader:
        for key in reader.keys[:50]:
            try:
                reader.read_idx(key)
            except RecordError:
                continue
    for kind in (str, float):
        try:
            Index.load(idx, kind)
        except Error:
            continue
    with refusing(), RecordSet(path, idx) as records:
        check_agreement(records)


@cache
def _reference(folder: Path) -> dict[tuple[int, bytes], tuple[np.ndarray, np.ndarray]]:
    """The samples of all seeds, by label width and payload."""
    folder.mkdir(exist_ok=True)
    found = {}
    for content, index in seeds():
        path, idx = write_files(folder, x_rec=content, x_idx=index)
        for width in (1, 3):
            with RecordSet(path, idx) as records:
                payloads = {
                    int(records.keys[n]): records.payload(n).tobytes() for n in range(len(records))
                }
            try:
                samples = _samples(path, idx, width)
            except Error:
                continue
            found |= {(width, payloads[key]): sample for key, sample in samples}
    return found


def _samples(path: Path, idx: Path, width: int) -> list[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    found = []
    with mx.io.ImageRecordIter(
        path_imgrec=path, path_imgidx=idx, data_shape=(3, 12, 13), batch_size=4, label_width=width,
        on_error="skip", last_batch_handle="pad", preprocess_threads=2, verbose=False,
    ) as iterator:  # fmt: skip
        for batch in iterator:
            pixels, labels = batch.data[0].asnumpy(), batch.label[0].asnumpy()
            keys = batch.index.astype(np.int64)  # those of an index may be negative
            for row, key in enumerate(keys[: 4 - batch.pad].tolist()):
                found.append((key, (pixels[row].copy(), labels[row].copy())))
    return found


def make_loaded(rng: Rng) -> Parts:
    """The number of labels, a record file with images, and an index, which is seldom damaged."""
    width, number = pick(rng, [(1, 0), (1, 3), (3, 2)])
    content, index = seeds()[number]
    if not rng.integers(6):
        index = mutate(rng, index, TEXT_MUTATORS)
    return bytes([width]), mutate(rng, content, RECORD_MUTATORS), index


def check_loaded(parts: Parts, folder: Path) -> None:
    """Load the images of a record file; those of intact records must be what they are in an intact
    file.
    """
    width = max(1, parts[0][0]) if parts[0] else 1
    expected = _reference(folder.parent / "reference")
    path, idx = write_files(folder, x_rec=parts[1], x_idx=parts[2])
    with refusing():
        found = _samples(path, idx, width)
    with RecordSet(path, idx) as records:
        keys = records.keys.tolist()
        for key, (pixels, label) in found:
            assert key in keys
            if keys.count(key) > 1:
                continue
            payload = records.payload(keys.index(key)).tobytes()
            if (width, payload) in expected:
                np.testing.assert_array_equal(pixels, expected[width, payload][0])
                np.testing.assert_array_equal(label, expected[width, payload][1])


TARGETS = [
    Target("records.alone", make_records, check_records),
    Target("records.indexed", make_pair, check_pair),
    Target("records.loaded", make_loaded, check_loaded, cost=4),
]
