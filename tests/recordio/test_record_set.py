"""RecordSet: several files as one data set; locations and labels of records."""

import pickle
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.recordio import IRHeader, MXIndexedRecordIO, RecordSet, pack, record_set
from gpuio.recordio.framing import frame
from gpuio.recordio.record_reading import MAX_AHEAD, MAX_WHOLE
from gpuio.recordio.record_set import Location
from gpuio.recordio.stored_image import StoredImage
from gpuio.storage.local import LocalFile
from gpuio.storage.parts import Bulk

MAGIC = b"\x0a\x23\xd7\xce"


# Among the numbers one that has the bytes of the magic, which splits the record within its label.
SPLITTING = float(np.frombuffer(MAGIC, "<f4")[0])
NUMBERS = st.one_of(st.floats(width=32), st.just(SPLITTING))
LABELS = st.one_of(NUMBERS, st.lists(NUMBERS, max_size=5))
IMAGES = st.sampled_from([b"", b"image", MAGIC, b"some" + MAGIC * 2 + b"image", b"x" * 50])
FILES = st.lists(st.lists(st.tuples(LABELS, IMAGES), max_size=6), min_size=1, max_size=3)


def write(folder: Path, name: str, keys: list[int]) -> tuple[Path, Path]:
    files = folder / f"{name}.rec", folder / f"{name}.idx"
    with MXIndexedRecordIO(files[1], files[0], "w") as writer:
        for key in keys:
            image = f"{name} {key}".encode() + (MAGIC * 2 if key % 3 == 0 else b"")
            writer.write_idx(key, pack(IRHeader(0, float(key), key, 0), image))
    return files


@pytest.fixture
def two(tmp_path: Path) -> list[tuple[Path, Path]]:
    return [write(tmp_path, "a", [5, 3, 9]), write(tmp_path, "b", [1, 0])]


def contents(records: RecordSet) -> list[tuple[float, bytes]]:
    found = [records.record(number) for number in range(len(records))]
    return [(header.label, image.tobytes()) for header, image in found]


EXPECTED = [
    (5.0, b"a 5"),
    (3.0, b"a 3" + MAGIC * 2),
    (9.0, b"a 9" + MAGIC * 2),
    (1.0, b"b 1"),
    (0.0, b"b 0" + MAGIC * 2),
]


def test_several_files_are_one_sequence(two: list[tuple[Path, Path]], tmp_path: Path) -> None:
    recs, idxs = zip(*two, strict=True)
    for records in (
        RecordSet(recs, idxs),
        RecordSet(recs),
        RecordSet(";".join(map(str, recs))),
        RecordSet(tmp_path),
        RecordSet(tmp_path, tmp_path),
        RecordSet([f"file://{path}" for path in recs]),
    ):
        with records:
            assert contents(records) == EXPECTED
            expected = [5, 3, 9, 1, 0] if records.has_index else [0, 1, 2, 3, 4]
            assert records.keys.tolist() == expected
            assert records.nbytes == sum(path.stat().st_size for path in recs)
            assert records.starts[3] == recs[0].stat().st_size
            location = records.location(3)
            assert location == (str(recs[1]), 0, expected[3])
            assert str(location).startswith(f"{recs[1]}, key {expected[3]}, byte 0")
            assert contents(pickle.loads(pickle.dumps(records))) == EXPECTED


def test_records_come_in_the_order_of_their_offsets(tmp_path: Path) -> None:
    rec, idx = write(tmp_path, "a", [5, 3, 9])
    lines = idx.read_text().splitlines(keepends=True)
    idx.write_text("".join([lines[2], lines[0]]))
    with RecordSet(rec, idx) as records:
        assert records.keys.tolist() == [5, 9]
        assert contents(records) == [EXPECTED[0], EXPECTED[2]]


def test_what_was_read_outlives_the_set(two: list[tuple[Path, Path]]) -> None:
    records = RecordSet(two[0][0])
    payload = records.payload(0)
    records.close()
    records.close()
    assert payload[24:].tobytes() == b"a 5"
    for read in (records.payload, records.record, records.header):
        with pytest.raises(RecordError, match=r"a\.rec is closed"):
            read(0)


def test_several_records_are_read_at_once(two: list[tuple[Path, Path]]) -> None:
    records = RecordSet([rec for rec, _ in two])
    wanted = np.array([4, 0, 3, 1, 3])
    batch = records.read_many(wanted)
    for ordinal, label, image, number in zip(wanted, *batch, strict=True):
        assert (label, bytes(image)) == EXPECTED[ordinal] and number == label
    one_file = records.read_many(np.array([0, 0]))
    assert [bytes(image) for image in one_file.images] == [b"a 5"] * 2  # type: ignore[arg-type]
    records.close()
    assert bytes(one_file.images[0]) == b"a 5"  # type: ignore[arg-type]
    with pytest.raises(RecordError, match="is closed"):
        records.read_many(wanted)


def test_face_layout(tmp_path: Path) -> None:
    rec, idx = tmp_path / "f.rec", tmp_path / "f.idx"
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        writer.write_idx(0, pack(IRHeader(0, [4.0, 6.0], 0, 0), b""))
        for key in (1, 2, 3):
            writer.write_idx(key, pack(IRHeader(0, 0.0, key, 0), b"image"))
        writer.write_idx(4, pack(IRHeader(0, [1.0, 3.0], 4, 0), b""))
        writer.write_idx(5, pack(IRHeader(0, [3.0, 4.0], 5, 0), b""))
    for records in (RecordSet(rec, idx), RecordSet(rec)):
        assert records.image_ordinals() == range(1, 4) and records.has_faces
    plain, _ = write(tmp_path, "g", [0, 1])
    assert RecordSet([rec, plain]).image_ordinals().tolist() == [1, 2, 3, 6, 7]
    assert RecordSet([plain, rec]).has_faces
    assert RecordSet(plain).image_ordinals() == range(2) and not RecordSet(plain).has_faces


def test_fingerprint(two: list[tuple[Path, Path]], tmp_path: Path) -> None:
    recs, idxs = zip(*two, strict=True)
    mark = RecordSet(recs, idxs).fingerprint
    assert RecordSet(recs, idxs).fingerprint == mark
    assert (
        len({mark, RecordSet(recs[::-1], idxs[::-1]).fingerprint, RecordSet(recs[0]).fingerprint})
        == 3
    )
    data = bytearray(recs[0].read_bytes())
    data[34] ^= 1
    recs[0].write_bytes(data)
    assert RecordSet(recs, idxs).fingerprint != mark


def test_errors(two: list[tuple[Path, Path]], tmp_path: Path) -> None:
    (rec, idx), (other, _) = two
    with pytest.raises(RecordError, match=r"key \d+ points at byte \d+, where no record of"):
        RecordSet(other, idx)
    with pytest.raises(ArgumentError, match="2 record files and 1 indexes"):
        RecordSet([rec, other], idx)
    for nothing in (3, "", ";", []):
        with pytest.raises(
            ArgumentError, match=r"expected a path or a sequence of paths of \.rec files"
        ):
            RecordSet(nothing)  # type: ignore[arg-type]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordFileNotFoundError, match=r"without \*\.rec files"):
        RecordSet(tmp_path / "empty")
    with pytest.raises(RecordFileNotFoundError, match=r"none\.rec"):
        RecordSet(tmp_path / "none.rec")
    short = tmp_path / "short.rec"
    with MXIndexedRecordIO(tmp_path / "short.idx", short, "w") as writer:
        writer.write_idx(0, b"tiny")
    with pytest.raises(RecordError, match="4 bytes, too few for an image record's header of 24"):
        RecordSet(short).record(0)
    cut = tmp_path / "cut.rec"
    cut.write_bytes(rec.read_bytes()[:-4])
    with pytest.raises(RecordError, match=r"cut\.rec at byte \d+.*cut off"):
        RecordSet(cut)
    with pytest.raises(RecordError, match="cut off"):
        RecordSet(cut, idx).record(2)
    assert RecordSet(cut, idx).record(0)[0].label == 5


def test_an_index_between_records_is_an_error_of_that_record(tmp_path: Path) -> None:
    rec, idx = write(tmp_path, "a", [5, 3, 9])
    lines = idx.read_text().splitlines()
    lines[1] = f"3\t{int(lines[1].split()[1]) + 4}"
    idx.write_text("\n".join(lines))
    with RecordSet(rec, idx) as records:
        records.record(0)
        with pytest.raises(RecordError, match=r"magic 0x[0-9a-f]{8}, expected 0xced7230a"):
            records.record(1)


@pytest.fixture
def extents(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """What is read ahead: first byte and length of each part."""
    found: list[list[int]] = []

    def note(file: LocalFile, begins: Any, ends: Any) -> None:
        found.extend(np.stack([begins, ends - begins], axis=1).tolist())

    monkeypatch.setattr(LocalFile, "advise", note)
    return found


def test_of_a_partial_index_only_its_records_are_read_ahead(
    tmp_path: Path, extents: list[list[int]]
) -> None:
    """What lies between them, megabytes here, is not."""
    sizes = [300, 4_000_000, 500, 4_000_000, 4_000_000]
    rec, idx = write_file(tmp_path / "a", [(0, bytes(size)) for size in sizes], [*range(5)])
    with RecordSet(rec, idx) as whole:
        starts = whole.starts.tolist()
    idx.write_text("".join(f"{key}\t{starts[key]}\n" for key in (0, 2, 3)))
    with RecordSet(rec, idx) as records:
        records.read_ahead(np.array([0, 1, 2]))
        images = records.read_many(np.array([2, 0, 1])).images
    assert extents == [
        [starts[0], MAX_AHEAD],
        [starts[2], starts[3] - starts[2]],
        [starts[3], MAX_AHEAD],
    ]
    assert [image.nbytes for image in images if image is not None] == [4_000_000, 300, 500]


def test_records_of_several_files_are_read_ahead(tmp_path: Path, extents: list[list[int]]) -> None:
    files = [write_file(tmp_path / name, [(0, b"x" * 8)] * 3, [0, 1, 2]) for name in "ab"]
    with RecordSet(*zip(*files, strict=True)) as records:
        records.read_ahead(np.array([4, 0, 5]))
    assert extents == [[0, 40], [40, 40], [80, 40]]


SIZES = st.sampled_from([0, 1, 3_000, 4_000, 5_000, MAX_WHOLE - 40, MAX_WHOLE, 20_000, 100_000])


def one_by_one(tasks: Sequence[Callable[[], None]]) -> None:
    for task in tasks:
        task()


BULK = Bulk(partial(np.empty, dtype=np.uint8), one_by_one)


@given(
    st.lists(st.tuples(LABELS, SIZES), min_size=1, max_size=6),
    st.sampled_from([None, BULK]),
    st.data(),
)
def test_records_of_all_sizes_are_read_at_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: Any, bulk: Bulk | None, data: st.DataObject
) -> None:
    contents = [(label, bytes(size // 2) + b"x" * (size - size // 2)) for label, size in sizes]
    file = write_file(tmp_path_factory.mktemp("sizes") / "a", contents, [*range(len(contents))])
    chosen = data.draw(st.lists(st.integers(0, len(contents) - 1), max_size=9))
    with RecordSet(*file) as records:
        batch = records.read_many(np.array(chosen, np.int64), bulk)
        for ordinal, label, image in zip(chosen, batch.labels, batch.images, strict=True):
            header, expected = records.record(ordinal)
            found = records.header(ordinal)
            assert found[2:] == header[2:]
            for each in [found.label] if image is None else [found.label, label]:
                np.testing.assert_array_equal(each, header.label)
            if isinstance(image, StoredImage):
                assert bulk is None
                assert image.nbytes == len(expected) > MAX_WHOLE - 100
                assert image.beginning.tobytes() == expected[: len(image.beginning)].tobytes()
                assert len(image.beginning) > 4000
                assert image.read().tobytes() == contents[ordinal][1]
            elif image is not None:
                assert image.tobytes() == contents[ordinal][1]
            assert expected.tobytes() == contents[ordinal][1]


def test_memory_per_record_is_two_integers(tmp_path: Path) -> None:
    count = 50_000
    rec, idx = write_file(tmp_path / "a", [(0, b"")] * count, list(range(count)))
    RecordSet(rec, idx).close()  # imports and caches
    tracemalloc.start()
    records = RecordSet(rec, idx)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert records.keys.dtype == records.starts.dtype == np.int64 and len(records) == count
    assert held < count * 16 + 100_000


def test_locations_as_strings() -> None:
    assert str(Location("train.rec", 123, 5)) == "train.rec, key 5, byte 123"
    assert f"{Location('a/cat.jpg', None, 5)}" == "a/cat.jpg, key 5"


def write_file(path: Path, records: list[tuple[Any, bytes]], order: list[int]) -> tuple[Path, Path]:
    """A record file and its index, with the lines of the index in the given order."""
    offsets, content = [], b""
    for label, image in records:
        offsets.append(len(content))
        content += b"".join(map(bytes, frame(pack(IRHeader(0, label, 0, 0), image))))
    files = path.with_suffix(".rec"), path.with_suffix(".idx")
    files[0].write_bytes(content)
    files[1].write_text("".join(f"{number}\t{offsets[number]}\n" for number in order))
    return files


def gathered(records: RecordSet, ordinals: range | np.ndarray) -> dict[int, np.ndarray]:
    """The label of each record, by `label_blocks`."""
    found: dict[int, np.ndarray] = {}
    for numbers, labels in records.label_blocks(ordinals):
        assert numbers.dtype == np.int64 and labels.dtype == np.float32
        assert labels.ndim == 2 and len(labels) == len(numbers) > 0
        assert found.keys().isdisjoint(numbers.tolist())
        found.update(zip(numbers.tolist(), labels, strict=True))
    return found


@given(FILES, st.data())
def test_label_blocks_are_the_labels_of_the_records(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[tuple[Any, bytes]]],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    written = [
        write_file(folder / str(number), file, data.draw(st.permutations(range(len(file)))))
        for number, file in enumerate(files)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_set, "HEADERS_AT_ONCE", data.draw(st.integers(1, 8)))
        patch.setattr(record_set, "NUMBERS_AT_ONCE", data.draw(st.integers(1, 8)))
        with RecordSet(*zip(*written, strict=True)) as records:
            count = len(records)
            chosen = data.draw(st.permutations(range(count)))[: data.draw(st.integers(0, count))]
            for ordinals in (range(count), np.array(chosen, np.int64)):
                found = gathered(records, ordinals)
                assert found.keys() == set(np.asarray(ordinals).tolist())
                for ordinal, label in found.items():
                    expected = np.ravel(np.float32(records.record(ordinal)[0].label))
                    np.testing.assert_array_equal(
                        label.view(np.uint32), expected.view(np.uint32), strict=True
                    )
            lengths = [
                len(label)
                for file in files
                for label, _ in file
                if isinstance(label, list) and SPLITTING not in label
            ]
            if not records.has_faces:
                assert records.most_labels(records.image_ordinals(), 100) >= max(lengths, default=0)


def test_labels_of_equal_length_are_one_block(tmp_path: Path) -> None:
    labels: list[Any] = [1, [2, 3], [4], [5, 6], 7]
    file = write_file(tmp_path / "a", [(label, b"image") for label in labels], list(range(5)))
    with RecordSet(*file) as records:
        blocks = {block.shape: sorted(n.tolist()) for n, block in records.label_blocks(range(5))}
        assert blocks == {(3, 1): [0, 2, 4], (2, 2): [1, 3]}


def damaged(kind: str, content: bytearray, begin: int) -> bytearray:
    """A file whose record at an offset is damaged."""
    if kind == "magic":
        content[begin] ^= 1
    elif kind == "length":
        content[begin + 4 : begin + 8] = (20).to_bytes(4, "little")
    elif kind == "label length":
        content[begin + 8 : begin + 12] = (2**32 - 1).to_bytes(4, "little")
    elif kind == "part kind":
        content[begin + 7] |= 3 << 5
    elif kind == "cut off":
        del content[-4:]
    elif kind == "cut in the header":
        del content[begin + 20 :]
    return content


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("magic", "magic 0xced7230b, expected"),
        ("length", "20 bytes, too few for an image record's header of 24"),
        ("label length", "too few for an image record's header and label"),
        ("part kind", "a later part of a record"),
        ("cut off", "the file is cut off"),
        ("cut in the header", "the file is cut off"),
    ],
)
def test_a_damaged_record_is_named(kind: str, message: str, tmp_path: Path) -> None:
    labels: list[Any] = [[1, 2], 3, [4, 5, 6]]
    rec, idx = write_file(tmp_path / "a", [(label, b"image") for label in labels], [0, 1, 2])
    begin = int(idx.read_text().split()[-1])
    rec.write_bytes(damaged(kind, bytearray(rec.read_bytes()), begin))
    with RecordSet(rec, idx) as records:
        assert gathered(records, range(2)).keys() == {0, 1}
        with pytest.raises(RecordError, match=rf"a\.rec, key 2, byte {begin}: .*{message}"):
            gathered(records, range(3))
        assert records.most_labels(records.image_ordinals(), 100) == 2


def test_an_index_that_points_at_a_later_part(tmp_path: Path) -> None:
    rec, idx = write_file(tmp_path / "a", [(1, b"some" + MAGIC + b"image" * 9)], [0])
    idx.write_text("0\t0\n1\t36\n")
    with (
        RecordSet(rec, idx) as records,
        pytest.raises(RecordError, match=r"a\.rec, key 1, byte 36: .*a later part of a record"),
    ):
        gathered(records, range(2))


def test_a_tiny_file_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.rec").write_bytes(MAGIC + bytes(4))
    with RecordSet(tmp_path / "a.rec") as records:
        assert records.most_labels(records.image_ordinals(), 100) == 0
        with pytest.raises(RecordError, match=r"a\.rec, key 0, byte 0: the record has 0 bytes"):
            gathered(records, range(1))
