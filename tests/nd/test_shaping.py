"""Shapes; the results are compared with MXNet's in test_golden."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("reshape", {"shape": (-1,)}),
        ("flatten", {}),
        ("transpose", {}),
        ("expand_dims", {"axis": 0}),
        ("squeeze", {}),
        ("swapaxes", {"dim1": 0, "dim2": 1}),
        ("flip", {"axis": 0}),
        ("slice", {"begin": (0,), "end": (1,)}),
        ("slice_axis", {"axis": 0, "begin": 0, "end": 1}),
        ("broadcast_to", {"shape": (3, 2, 3)}),
        ("diag", {}),
    ],
)
def test_functions_copy(ctx: mx.Context, name: str, options: dict[str, object]) -> None:
    """As in MXNet; NumPy's and CuPy's give views."""
    made = mx.nd.zeros((2, 3), ctx)
    copied = getattr(mx.nd, name)(made, **options)
    assert isinstance(copied, mx.nd.NDArray) and copied.context == ctx
    copied[:] = 1
    assert not made.asnumpy().any()


def test_results_are_written_to_out(ctx: mx.Context) -> None:
    made, out = mx.nd.array([[1, 2]], ctx), mx.nd.zeros((2, 1), ctx)
    assert mx.nd.transpose(made, out=out) is out and out.asnumpy().tolist() == [[1], [2]]
    assert mx.nd.transpose(data=made, name="x").shape == (2, 1)


def test_mistakes_are_named() -> None:
    made = mx.nd.ones((2, 3))
    for call, text in (
        (lambda: mx.nd.slice_axis(made, axis=2, begin=0), r"no axis 2 in \(2, 3\)"),
        (lambda: mx.nd.slice_like(made, mx.nd.ones((3, 3))), "shorter than"),
        (lambda: mx.nd.pad(made, "wrap", (0, 0, 1, 1)), "mode must be 'constant'"),
        (lambda: mx.nd.pad(made, "edge", (1, 1)), "must have 4 numbers"),
        (lambda: mx.nd.broadcast_axis(made, axis=0, size=2), "has not length 1"),
        (lambda: mx.nd.transpose(made, (0, 1, 2)), r"transpose of \(2, 3\)"),
        (lambda: mx.nd.expand_dims(made, 5), r"expand_dims of \(2, 3\)"),
        (lambda: mx.nd.reshape(made, shape=(4, 2)), "reshape"),
    ):
        with pytest.raises(ArgumentError, match=text):
            call()


def test_empty_arrays(ctx: mx.Context) -> None:
    empty = mx.nd.zeros((0, 3, 2), ctx)
    assert mx.nd.flatten(empty).shape == (0, 6) and mx.nd.transpose(empty).shape == (2, 3, 0)
    assert mx.nd.tile(empty, (2, 1, 1)).shape == (0, 3, 2)


def test_storage_types() -> None:
    made = mx.nd.array([[1, 0]])
    matrix = mx.nd.cast_storage(made, "csr")
    assert matrix.stype == "csr" and mx.nd.cast_storage(matrix, "csr") is not matrix
    back = mx.nd.cast_storage(matrix, "default")
    assert back.asnumpy().tolist() == [[1, 0]]
    same = mx.nd.cast_storage(made, "default")
    same[:] = 5
    assert made.asnumpy().tolist() == [[1, 0]] and same.dtype == np.float32
