"""DataDesc and DataBatch, as MXNet has them."""

import copy
import pickle

import numpy as np
import pytest

import gpuio as mx


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
