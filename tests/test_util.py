"""mx.util, as far as data scripts import it."""

import pytest

import gpuio as mx
from gpuio.errors import ContextError


def test_what_there_is() -> None:
    assert mx.util.get_gpu_count() == mx.num_gpus()
    assert mx.util.is_np_array() is mx.util.is_np_shape() is False
    with pytest.raises(ContextError):
        mx.util.get_gpu_memory(99)


@pytest.mark.gpu
def test_memory_of_a_gpu() -> None:
    free, total = mx.util.get_gpu_memory(0)
    assert 0 < free <= total


@pytest.mark.parametrize("name", ["use_np", "TemporaryDirectory"])
def test_what_is_missing(name: str) -> None:
    with pytest.raises(AttributeError, match=f"gpuio has no mx.util.{name}"):
        getattr(mx.util, name)
