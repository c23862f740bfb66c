"""DataDesc and DataBatch, as MXNet has them."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.iterators.desc import as_batch


def test_a_description_is_a_pair_with_attributes() -> None:
    desc = mx.io.DataDesc("x", (1, 2))
    assert repr(desc) == str(desc) == "DataDesc[x,(1, 2),<class 'numpy.float32'>,NCHW]"
    assert (desc.name, desc.shape, desc.dtype, desc.layout) == ("x", (1, 2), np.float32, "NCHW")
    other = mx.io.DataDesc("x", (1, 2), np.uint8, "NHWC")
    assert desc == other == ("x", (1, 2)) and hash(desc) == hash(other)
    name, shape = desc
    assert (name, shape) == ("x", (1, 2))
    assert mx.io.DataDesc("x", [1, 2]).shape == [1, 2]
    for again in (pickle.loads(pickle.dumps(other)), copy.copy(other)):
        assert again == other and again.dtype is np.uint8 and again.layout == "NHWC"


def test_batch_axes_and_lists() -> None:
    axis = mx.io.DataDesc.get_batch_axis
    assert [axis(layout) for layout in (None, "NCHW", "TNC", "CHW")] == [0, 0, 1, -1]
    pairs, types = [("a", (1,)), ("b", (2,))], [("a", "int8"), ("b", "f4")]
    first, second = mx.io.DataDesc.get_list(pairs, types)
    assert (first.dtype, second.dtype) == ("int8", "f4")
    assert mx.io.DataDesc.get_list([("a", (1,))])[0].dtype is np.float32
    with pytest.raises(KeyError):
        mx.io.DataDesc.get_list([("a", (1,))], [("b", "f4")])


def test_batches() -> None:
    batch = mx.io.DataBatch([np.zeros((2, 3))], [np.zeros(2)], 1, np.arange(2))
    assert str(batch) == "DataBatch: data shapes: [(2, 3)] label shapes: [(2,)]"
    assert (batch.pad, batch.bucket_key, batch.provide_data) == (1, None, None)
    for label in (None, []):
        assert str(mx.io.DataBatch([np.zeros(2)], label)).endswith("label shapes: None")
    with pytest.raises(AssertionError, match="Data must be list of NDArrays"):
        mx.io.DataBatch(np.zeros(2))  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="Label must be list of NDArrays"):
        mx.io.DataBatch([], np.zeros(2))  # type: ignore[arg-type]


def test_padding_is_what_only_fills_the_batch() -> None:
    array = np.zeros((4, 2))
    for pad, padding, expected in (
        (None, None, 0), (3, None, 3), (0, 0, 0), (2, 0, 0), (None, 2, 2), (1, 1, 1),
    ):  # fmt: skip
        batch = mx.io.DataBatch([array], pad=pad, padding=padding)
        again = pickle.loads(pickle.dumps(batch))
        assert batch.pad == again.pad == pad and batch.padding == again.padding == expected
    batch = mx.io.DataBatch([array], pad=3)
    batch.pad = 1
    assert batch.padding == 1


def test_a_subclass_without_the_bases_constructor() -> None:
    class Own(mx.io.DataBatch):
        def __init__(self, data: Any) -> None:
            self.data, self.label, self.pad = data, [], 2

    batch = Own([np.zeros(3)])
    assert batch.padding == 2 and as_batch(batch) is batch


def test_what_users_iterators_give_becomes_a_batch() -> None:
    class Own:
        def __init__(self) -> None:
            self.data, self.pad, self.index = [np.zeros(3)], 1, np.arange(3)

    own = Own()
    batch = as_batch(own)
    assert batch.data is own.data and batch.index is own.index and batch.label is None
    assert (batch.pad, batch.padding, batch.bucket_key, batch.provide_data) == (1, 1, None, None)
