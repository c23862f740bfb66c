"""Arrays in nested arguments."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.nd.nested import arrays_in, each_array, is_array


def test_arrays_of_numpy_and_cupy(ctx: mx.Context) -> None:
    assert is_array(mx.nd.ones(1, ctx)) and is_array(np.ones(1))
    for other in (1, "text", [np.ones(1)], np.float32(1), mx.nd.sparse.zeros("csr", (1, 1), ctx)):
        assert not is_array(other)


@pytest.mark.parametrize("kind", [list, tuple])
def test_arrays_in_nested_arguments(kind: type) -> None:
    one = np.ones(1)
    made = each_array(lambda array: array + 1, kind([one, {"x": [one, 5]}, "text"]))
    assert [*arrays_in(kind([one, {"x": [one, 5]}, "text"]))] == [one, one]
    assert type(made) is kind and made[0] == 2 and made[1] == {"x": [2, 5]} and made[2] == "text"
