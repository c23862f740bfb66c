"""Headers of records by the native module, which finds what NumPy finds."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio import native
from gpuio.recordio.framing import LENGTH_MASK, MAGIC
from gpuio.recordio.native_records import native_records
from gpuio.recordio.record_headers import HEAD, read_contents

pytestmark = pytest.mark.skipif(native.library() is None, reason="the native module is not in use")


class OneFile:
    """What `read_contents` needs of a file."""

    def __init__(self, size: int, descriptor: int | None) -> None:
        self.size, self.descriptor = size, descriptor

    def __len__(self) -> int:
        return self.size


def contents(*arguments: Any) -> list[object]:
    labels, images, ids = read_contents(*arguments)
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    plain = [each.tolist() if isinstance(each, np.ndarray) else repr(each) for each in listed]
    return [plain, images.places.tolist(), ids.tolist()]


def by_numpy(*arguments: Any) -> list[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.VARIABLE, "0")
        assert native_records() is None
        return contents(*arguments)


FLAGS = st.sampled_from([0, 0, 0, 1, 2, 5, 2**31, 2**32 - 1])
KINDS = st.sampled_from([0, 0, 0, 0, 1, 2, 7])
LENGTHS = st.one_of(st.integers(0, 90), st.just(LENGTH_MASK))


@st.composite
def records(draw: Any) -> tuple[Any, ...]:
    """The arguments of `read_contents` for some records, sound or not."""
    data, places, known, starts = bytearray(), [], [], []
    for _ in range(draw(st.integers(0, 6))):
        part = draw(KINDS) << 29 | draw(LENGTHS)
        magic = draw(st.sampled_from([MAGIC, MAGIC, MAGIC, MAGIC, 1]))
        label = draw(st.sampled_from([0.0, 1.5, float("nan"), -float("inf")]))
        words = magic, part, draw(FLAGS), label, draw(st.integers(0, 2**64 - 1)), 2
        record = struct.pack("<IIIfQQ", *words) + bytes(range(draw(st.integers(0, 70))))
        places.append(len(data))
        known.append(draw(st.one_of(st.just(len(record)), st.integers(0, len(record)))))
        starts.append(draw(st.sampled_from([0, 4, 2**40])))
        data += record + bytes(-len(record) % 8)
    numbers = [np.array(each, np.int64) for each in (places, known, starts)]
    size = draw(st.one_of(st.integers(32, 110), st.sampled_from([2**40 + 100, 2**50])))
    file = OneFile(size, draw(st.sampled_from([None, 5])))
    return np.frombuffer(bytes(data), np.uint8), *numbers[:2], file, numbers[2]


@given(records())
def test_contents_are_those_of_numpy(given: tuple[Any, ...]) -> None:
    assert contents(*given) == by_numpy(*given)


@given(st.lists(st.floats(width=32), min_size=1, max_size=9), st.integers(0, 40))
def test_single_numbers_are_an_array(labels: list[float], length: int) -> None:
    heads = np.zeros(len(labels), HEAD)
    heads["magic"], heads["part"], heads["label"] = MAGIC, 24 + length, labels
    heads["id"] = np.arange(len(labels))
    data = np.frombuffer(b"".join(head.tobytes() + bytes(length) for head in heads), np.uint8)
    places = np.arange(len(labels)) * (32 + length)
    known = np.full(len(labels), 32 + length)
    given = data, places, known, OneFile(2**20, 3), places // 4 * 4
    found, images, ids = read_contents(*given)  # type: ignore[arg-type]
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    assert found.tobytes() == heads["label"].tobytes()
    assert ids.tolist() == heads["id"].tolist() and (images.places["end"] == 32 + length).all()
    assert contents(*given) == by_numpy(*given)


@pytest.mark.parametrize("length", range(24, 29))
def test_files_that_end_within_the_padding_of_a_record(length: int) -> None:
    data = np.frombuffer(struct.pack("<IIIfQQ", MAGIC, length, 0, 1.0, 3, 0) + bytes(8), np.uint8)
    zero = np.zeros(1, np.int64)
    for size in range(30, 41):
        given = data, zero, zero + 40, OneFile(size, 5), zero
        found = contents(*given)
        assert found == by_numpy(*given)
        assert (found[0] == ["1.0"]) == (8 + (length + 3) // 4 * 4 <= size)


def test_a_place_and_a_length_of_each_record(tmp_path: Path) -> None:
    module = native_records()
    assert module is not None
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    for begins, known, starts in ((one, two, two), (two, one, two), (two, two, one)):
        with pytest.raises(AssertionError, match="of each record"):
            module.headers(np.zeros(64, np.uint8), begins, known, starts, 64, None)
