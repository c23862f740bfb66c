"""Dataset and what can be made of one; arrays and records."""

import pickle
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.gluon.data import (
    ArrayDataset,
    Dataset,
    RecordFileDataset,
    SequentialSampler,
    SimpleDataset,
)
from tests.io.records import write_records


class Squares(Dataset):
    """Without an IndexError, and counting."""

    def __init__(self, length: int) -> None:
        self.length, self.loaded = length, 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, idx: int) -> int:
        self.loaded += 1
        return int(idx) ** 2


def test_iterating_ends_at_the_length() -> None:
    assert list(Squares(4)) == [0, 1, 4, 9]


def test_filter_looks_once_and_loads_again() -> None:
    dataset = Squares(6)
    even = dataset.filter(lambda sample: sample % 2 == 0)
    assert dataset.loaded == 6
    assert list(even) == [0, 4, 16] and dataset.loaded == 9


@given(length=st.integers(0, 30), shards=st.integers(1, 8))
def test_shards_are_everything_in_order(length: int, shards: int) -> None:
    parts = [list(Squares(length).shard(shards, index)) for index in range(shards)]
    assert list(chain(*parts)) == list(Squares(length))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sorted(parts, key=len, reverse=True) == parts  # as MXNet, the first are longer


def test_take_and_sample() -> None:
    dataset = Squares(5)
    assert list(dataset.take(2)) == [0, 1] and list(dataset.take(0)) == []
    assert len(dataset.take(None)) == len(dataset.take(100)) == 5
    assert list(dataset.sample(SequentialSampler(2, 3))) == [9, 16]
    assert dataset.take(3)[-1] == 4
    with pytest.raises(IndexError):
        dataset.take(2)[2]


def test_transform_is_lazy_unless_told() -> None:
    calls: list[Any] = []

    def double(x: int) -> int:
        calls.append(x)
        return 2 * x

    lazy = Squares(3).transform(double)
    assert calls == [] and lazy[2] == 8 and calls == [4] and len(lazy) == 3
    eager = Squares(3).transform(double, lazy=False)
    assert len(calls) == 4 and list(eager) == [0, 2, 8] and len(calls) == 4


def test_transform_takes_the_parts_of_a_tuple() -> None:
    pairs = SimpleDataset([(1, 10), (2, 20)])
    assert list(pairs.transform(lambda data, label: (label, data))) == [(10, 1), (20, 2)]
    assert list(pairs.transform_first(str)) == [("1", 10), ("2", 20)]
    assert list(SimpleDataset([1, 2]).transform_first(str, lazy=False)) == ["1", "2"]
    assert list(SimpleDataset([[1, 2]]).transform(sum)) == [3]  # a list is one part


def test_everything_is_picklable() -> None:
    dataset = SimpleDataset([(1, 10), (2, 20)]).transform_first(str).take(1)
    assert list(pickle.loads(pickle.dumps(dataset))) == [("1", 10)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: d.shard(2, 2), ArgumentError, "index must be from 0 to 1, not 2"),
        (lambda d: d.shard(2, -1), ArgumentError, "index must be from 0 to 1, not -1"),
        (lambda d: d.shard(0, 0), ArgumentError, "num_shards must be at least 1"),
        (lambda d: d.take(-1), ArgumentError, "count must be at least 0"),
        (lambda d: d.sample([0]), TypeError, "takes a gluon.data.Sampler, not list"),
    ],
)
def test_wrong_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(Squares(3))


def test_the_base_class_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="Dataset has no __len__"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match="Dataset has no __getitem__"):
        Dataset()[0]


def test_array_dataset(ctx: mx.Context) -> None:
    data = mx.nd.array(np.arange(6).reshape(3, 2), ctx)
    labels = mx.nd.array([5, 6, 7], ctx)
    image, label = ArrayDataset(data, labels)[1]
    assert image.context == ctx and image.asnumpy().tolist() == [2, 3]
    assert isinstance(label, np.float32) and label == 6  # as in MXNet
    assert ArrayDataset([1, 2])[1] == 2
    assert ArrayDataset(np.arange(3), "abc")[2] == (2, "c")
    assert len(ArrayDataset(Squares(3), data)) == 3


def test_arrays_of_different_lengths() -> None:
    with pytest.raises(ArgumentError, match=r"same length, not \[1, 2\]"):
        ArrayDataset([1], [1, 2])
    with pytest.raises(ArgumentError, match="at least one"):
        ArrayDataset()


@pytest.fixture
def record_file(tmp_path: Path) -> Path:
    write_records(tmp_path / "x", [b"first", b"second", b"third"])
    return tmp_path / "x.rec"


def payloads(dataset: RecordFileDataset) -> list[bytes]:
    return [mx.recordio.unpack(record)[1] for record in dataset]


def test_records_are_bytes_in_the_order_of_the_index(record_file: Path) -> None:
    dataset = RecordFileDataset(record_file)
    assert payloads(dataset) == [b"first", b"second", b"third"]
    assert isinstance(dataset[0], bytes) and dataset[-1] == dataset[np.int64(2)]
    assert (dataset.filename, dataset.idx_file) == (str(record_file), str(record_file)[:-3] + "idx")
    lines = record_file.with_suffix(".idx").read_text().splitlines()
    record_file.with_suffix(".idx").write_text("\n".join([lines[2], lines[0]]))
    assert payloads(RecordFileDataset(str(record_file))) == [b"third", b"first"]


def test_without_an_index_the_file_is_scanned(record_file: Path) -> None:
    record_file.with_suffix(".idx").unlink()
    assert payloads(RecordFileDataset(record_file)) == [b"first", b"second", b"third"]


def test_records_are_pickled_by_path(record_file: Path) -> None:
    pickled = pickle.dumps(RecordFileDataset(record_file))
    assert len(pickled) < 500
    assert payloads(pickle.loads(pickled)) == [b"first", b"second", b"third"]


def test_wrong_indices_and_files(record_file: Path) -> None:
    dataset = RecordFileDataset(record_file)
    with pytest.raises(IndexError, match=r"index 3 of .*x\.rec with 3 records"):
        dataset[3]
    with pytest.raises(TypeError, match="integer"):
        dataset[1:2]  # type: ignore[index]
    with pytest.raises(RecordFileNotFoundError, match=r"y\.rec does not exist"):
        RecordFileDataset(record_file.with_name("y.rec"))
    content = bytearray(record_file.read_bytes())
    content[0] ^= 1
    record_file.write_bytes(content)
    with pytest.raises(RecordError, match=r"x\.rec, key 0, byte 0: "):
        RecordFileDataset(record_file)[0]
