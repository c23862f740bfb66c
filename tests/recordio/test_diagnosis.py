"""Whether the file or its index is to blame, and which command helps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import RecordError
from gpuio.recordio import Index, IRHeader, MXIndexedRecordIO, RecordSet, pack
from gpuio.recordio.diagnosis import index_is_wrong
from gpuio.recordio.framing import FramingError, frame, parse

COUNT = 60
REPAIR, INDEX = "the file is damaged: 'gpuio repair ", "'gpuio index --force "


def payloads(seed: int, count: int = COUNT) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [
        pack(IRHeader(0, float(number), number, 0), rng.bytes(int(rng.integers(1, 90))))
        for number in range(count)
    ]


def write(path: Path, seed: int = 0, count: int = COUNT) -> tuple[Path, Path]:
    files = path.with_suffix(".rec"), path.with_suffix(".idx")
    with MXIndexedRecordIO(files[1], files[0], "w") as writer:
        for key, payload in enumerate(payloads(seed, count)):
            writer.write_idx(key, payload)
    return files


def errors_of(rec: Path, idx: Path) -> list[str]:
    """What RecordSet and MXIndexedRecordIO say about all records that cannot be read."""
    errors = []
    try:
        with RecordSet(rec, idx) as records:
            for ordinal in range(len(records)):
                try:
                    records.record(ordinal)
                except RecordError as error:
                    errors.append(str(error))
    except RecordError as error:
        errors.append(str(error))
    with MXIndexedRecordIO(idx, rec, "r") as reader:
        for key in reader.keys:
            try:
                reader.read_idx(key)
            except RecordError as error:
                errors.append(str(error))
    return errors


@pytest.mark.parametrize("number", [0, 1, 30, COUNT - 1])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data, at: data[: at + 2],
        lambda data, at: data[: at + 12],
        lambda data, at: data[:at] if at else data[:6],
        lambda data, at: data[: at + 8] + data[at + 12 :],
        lambda data, at: data[: at + 8] + data[at + 9 :],
        lambda data, at: data[: at + 8] + b"more" + data[at + 8 :],
        lambda data, at: data[:at] + b"\xff" + data[at + 1 :],
        lambda data, at: data[: at + 4] + b"\xff\xff" + data[at + 6 :],
    ],
    ids=["cut in magic", "cut in payload", "cut between", "4 bytes missing", "1 byte missing",
         "4 bytes more", "magic", "length"],
)  # fmt: skip
def test_a_damaged_file_should_be_repaired(damage: object, number: int, tmp_path: Path) -> None:
    rec, idx = write(tmp_path / "x")
    at = int(Index.load(idx).offsets[number])
    rec.write_bytes(damage(rec.read_bytes(), at))  # type: ignore[operator]
    errors = errors_of(rec, idx)
    assert errors
    for error in (each for each in errors if "too few for an image record" not in each):
        assert f"{REPAIR}{rec}'" in error and "gpuio index" not in error, error
    try:
        RecordSet(rec)
    except RecordError as error:
        assert REPAIR in str(error) and "gpuio index" not in str(error)
    else:  # what is left are whole records
        assert int(Index.build(rec).offsets[-1]) < at


@pytest.mark.parametrize("count", [3, COUNT, 2 * COUNT])
def test_the_index_of_another_file_should_be_replaced(count: int, tmp_path: Path) -> None:
    rec, _ = write(tmp_path / "x")
    _, idx = write(tmp_path / "y", seed=1, count=count)
    errors = errors_of(rec, idx)
    assert errors
    for error in errors:
        assert f"the index belongs to another file: {INDEX}{rec}'" in error, error
        assert "gpuio repair" not in error


def test_an_index_of_later_parts_should_be_replaced(tmp_path: Path) -> None:
    rec, idx = tmp_path / "x.rec", tmp_path / "x.idx"
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        writer.write_idx(0, b"some" + b"\x0a\x23\xd7\xce" + b"more")
        writer.write_idx(1, b"last")
    idx.write_text("0\t0\n5\t12\n1\t24\n")
    (error,) = {each for each in errors_of(rec, idx) if "later part" in each}
    assert "index --force" in error


@given(st.integers(0, 9), st.integers(0, 900), st.integers(1, 8), st.booleans())
def test_missing_and_added_bytes_are_damage(seed: int, at: int, size: int, added: bool) -> None:
    """Wherever they are, and however far behind them a record is asked for."""
    pieces = [b"".join(map(bytes, frame(each))) for each in payloads(seed, 30)]
    starts = np.cumsum([0, *map(len, pieces)])[:-1]
    data = b"".join(pieces)
    at %= len(data) - size
    changed = data[:at] + b"\xfe" * size + data[at:] if added else data[:at] + data[at + size :]
    view = np.frombuffer(changed, np.uint8)
    for offset in starts.tolist():
        try:
            parse(view, offset, "x.rec")
        except FramingError:
            assert index_is_wrong(view, "x.rec", offset, starts) is False


def test_far_from_a_known_record_neither_is_blamed(tmp_path: Path) -> None:
    """Where the index lists few records, and the file is intact from there for a thousand."""
    data = np.frombuffer(b"".join(map(bytes, frame(b""))) * 5000, np.uint8)
    starts = np.array([0, 4 * 8 + 4, 4000 * 8 + 4])
    assert index_is_wrong(data, "x.rec", int(starts[2]), np.array([0, int(starts[2])])) is None
    assert index_is_wrong(data, "x.rec", int(starts[2]), starts) is True
    idx, rec = tmp_path / "x.idx", tmp_path / "x.rec"
    rec.write_bytes(data)
    idx.write_text(f"0\t0\n1\t{starts[2]}\n")
    with pytest.raises(RecordError, match=r"gpuio repair .*, or the index .*gpuio index --force"):
        RecordSet(rec, idx).payload(1)
