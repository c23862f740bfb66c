"""Functions that make batches of samples."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.gluon.data.batchify import Append, AsList, Group, Pad, Stack, default_batchify_fn
from gpuio.gluon.data.dataloader import default_mp_batchify_fn


@pytest.mark.parametrize(
    ("samples", "shape", "dtype"),
    [
        ([1, 2], (2,), "int64"),
        ([1.0, 2.0], (2,), "float64"),
        ([np.float32(1), np.float32(2)], (2,), "float32"),
        ([True, False], (2,), "bool"),
        ([[1, 2, 3], [4, 5, 6]], (2, 3), "int64"),
        ([np.zeros((2, 1), np.uint8)] * 3, (3, 2, 1), "uint8"),
        ([mx.nd.ones((2,), dtype="float16")], (1, 2), "float16"),
        ([mx.nd.ones((2,)), np.ones(2, np.float32)], (2, 2), "float32"),
    ],
)
def test_dtypes_are_those_of_the_samples(samples: list[Any], shape: Any, dtype: str) -> None:
    """As MXNet's, which keeps 64 bits."""
    batch = default_batchify_fn(samples)
    assert isinstance(batch, mx.nd.NDArray)
    assert batch.shape == shape and batch.dtype == dtype


def test_tuples_become_a_list_of_batches() -> None:
    images, labels = default_batchify_fn([(mx.nd.ones((2,)), 5), (mx.nd.zeros((2,)), 6)])
    assert images.tolist() == [[1, 1], [0, 0]] and labels.tolist() == [5, 6]
    assert isinstance(default_batchify_fn([(1, 2)]), list)
    assert default_batchify_fn([((1, 2), 3)])[0][1].tolist() == [2]


def test_ndarrays_are_stacked_on_their_device(ctx: mx.Context) -> None:
    batch = default_batchify_fn([mx.nd.ones((2,), ctx), mx.nd.ones((2,), ctx)])
    assert batch.context == ctx
    (label,) = default_batchify_fn([(np.float32(1),)])
    assert label.context == mx.cpu()


def test_a_batch_is_not_the_samples_memory() -> None:
    sample = mx.nd.zeros((2,))
    default_batchify_fn([sample])[:] = 1
    plain = np.zeros(2)
    default_batchify_fn([plain])[:] = 1
    assert sample.sum() == 0 and plain.sum() == 0


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([mx.nd.ones((2,)), mx.nd.ones((3,))], "one shape: resize or crop them, or use batchify"),
        ([np.ones(2), np.ones(3)], "one shape: resize or crop them"),
        ([[1, 2], [3]], "one shape"),
        (["a", "b"], "numbers, not str"),
        ([{"a": 1}], "numbers, not dict"),
        ([None], "numbers, not NoneType"),
        ([(1, 2), (1,)], "the same number of parts"),
        ([(1, 2), 3], "the same number of parts"),
    ],
)
def test_samples_that_make_no_batch(samples: list[Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        default_batchify_fn(samples)


def test_stack_is_the_default() -> None:
    assert Stack(use_shared_mem=True)([[1, 2, 3], [4, 5, 6]]).shape == (2, 3)
    assert default_mp_batchify_fn is default_batchify_fn


@given(
    st.integers(1, 3).flatmap(
        lambda axes: st.lists(
            hnp.arrays(np.int16, hnp.array_shapes(min_dims=axes, max_dims=axes, min_side=0)),
            min_size=1,
            max_size=4,
        )
    ),
    st.integers(1, 4),
)
def test_pad_keeps_the_values(samples: list[np.ndarray], round_to: int) -> None:
    batch = Pad(val=-1, round_to=round_to)(samples)
    largest = np.array([sample.shape for sample in samples]).max(0)
    assert batch.shape == (len(samples), *(-(-largest // round_to) * round_to))
    for row, sample in zip(batch.asnumpy(), samples, strict=True):
        inside = tuple(map(slice, sample.shape))
        assert np.array_equal(row[inside], sample)
        padding = row.copy()
        padding[inside] = -1
        assert (padding == -1).all()


def test_pad_of_numbers_lists_and_ndarrays(ctx: mx.Context) -> None:
    assert Pad()([[1, 2, 3], [4]]).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert Pad()([1, 2]).tolist() == [1, 2]
    batch = Pad(val=9, dtype="float16")([mx.nd.ones((1,), ctx), mx.nd.ones((2,), ctx)])
    assert batch.dtype == np.float16 and batch.asnumpy().tolist() == [[1, 9], [1, 1]]
    with pytest.raises(ArgumentError, match=r"one number of axes, not \[1, 2\]"):
        Pad()([np.ones(1), np.ones((1, 1))])
    with pytest.raises(ArgumentError, match="Group"):
        Pad()([(1, 2)])


def test_append_keeps_shapes(ctx: mx.Context) -> None:
    first, second = Append()([[1, 2, 3], mx.nd.ones((2,), ctx)])
    assert first.shape == (1, 3) and second.shape == (1, 2) and second.context == ctx
    assert Append(batch_axis=1)([[1, 2]])[0].shape == (2, 1)
    assert Append(expand=False)([[1, 2]])[0].shape == (2,)


@pytest.mark.parametrize(
    "group", [Group(Pad(), Stack(), AsList()), Group([Pad(), Stack(), AsList()])]
)
def test_group(group: Group) -> None:
    boxes, labels, names = group([([1, 2], 0, "a"), ([3], 1, "b")])
    assert boxes.tolist() == [[1, 2], [3, 0]] and labels.tolist() == [0, 1] and names == ["a", "b"]
    with pytest.raises(ArgumentError, match="Group has 3 functions, the samples 2 parts"):
        group([(1, 2)])


def test_wrong_groups() -> None:
    with pytest.raises(ArgumentError, match="functions, not int"):
        Group(Pad(), 3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"Group\(\[A, B, C\]\)"):
        Group([Pad()], Stack())
