"""RecordSet: several files as one data set."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.recordio import IRHeader, MXIndexedRecordIO, RecordSet, pack

MAGIC = b"\x0a\x23\xd7\xce"


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
            assert records.locate(3).startswith(f"{recs[1]}, key {expected[3]}, byte 0")
            assert contents(pickle.loads(pickle.dumps(records))) == EXPECTED


def test_records_come_in_the_order_of_their_offsets(tmp_path: Path) -> None:
    rec, idx = write(tmp_path, "a", [5, 3, 9])
    lines = idx.read_text().splitlines(keepends=True)
    idx.write_text("".join([lines[2], lines[0]]))
    with RecordSet(rec, idx) as records:
        assert records.keys.tolist() == [5, 9]
        assert contents(records) == [EXPECTED[0], EXPECTED[2]]


def test_payloads_are_views_that_outlive_the_set(two: list[tuple[Path, Path]]) -> None:
    records = RecordSet(two[0][0])
    payload = records.payload(0)
    assert not payload.flags.owndata and not payload.flags.writeable
    records.close()
    records.close()
    assert payload[24:].tobytes() == b"a 5"


def test_face_layout(tmp_path: Path) -> None:
    rec, idx = tmp_path / "f.rec", tmp_path / "f.idx"
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        writer.write_idx(0, pack(IRHeader(0, [4.0, 6.0], 0, 0), b""))
        for key in (1, 2, 3):
            writer.write_idx(key, pack(IRHeader(0, 0.0, key, 0), b"image"))
        writer.write_idx(4, pack(IRHeader(0, [1.0, 3.0], 4, 0), b""))
        writer.write_idx(5, pack(IRHeader(0, [3.0, 4.0], 5, 0), b""))
    for records in (RecordSet(rec, idx), RecordSet(rec)):
        assert records.image_ordinals() == range(1, 4)
    plain, _ = write(tmp_path, "g", [0, 1])
    assert RecordSet([rec, plain]).image_ordinals().tolist() == [1, 2, 3, 6, 7]
    assert RecordSet(plain).image_ordinals() == range(2)


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
    with pytest.raises(RecordError, match="index of another file"):
        RecordSet(other, idx)
    with pytest.raises(ArgumentError, match="2 record files and 1 indexes"):
        RecordSet([rec, other], idx)
    for nothing in (3, "", ";", []):
        with pytest.raises(ArgumentError, match=r"\.rec files are named by a path"):
            RecordSet(nothing)  # type: ignore[arg-type]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordFileNotFoundError, match=r"without \*\.rec files"):
        RecordSet(tmp_path / "empty")
    with pytest.raises(RecordFileNotFoundError, match=r"none\.rec"):
        RecordSet(tmp_path / "none.rec")
    short = tmp_path / "short.rec"
    with MXIndexedRecordIO(tmp_path / "short.idx", short, "w") as writer:
        writer.write_idx(0, b"tiny")
    with pytest.raises(RecordError, match="4 bytes, too few for an image record"):
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


def test_places_are_kept_in_arrays_only(tmp_path: Path) -> None:
    rec, idx = write(tmp_path, "a", list(range(2000)))
    records = RecordSet(rec, idx)
    assert records.keys.dtype == records.starts.dtype == np.int64
    held = [
        value
        for value in vars(records).values()
        if isinstance(value, (list, dict, tuple)) and len(value) > 10
    ]
    assert not held
