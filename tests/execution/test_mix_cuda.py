"""What a GPU is told about mixing; its pixels: tests/kernels/test_mix_kernel.py."""

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.execution.mix_cuda import mix_on_gpu, mix_parameters
from gpuio.execution.mixing import mix_batch
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import send_packed
from gpuio.planning.mixing import CutMix, Mixer, MixUp

MIX = Mixer((MixUp(), CutMix()), 0).draw(np.zeros(5, np.int64), np.arange(5), (47, 33))


def test_parameters_have_the_kernels_types() -> None:
    assert mix_parameters(None, 5) == {}
    made = mix_parameters(MIX, 5)
    assert {name: (each.dtype.name, each.shape) for name, each in made.items()} == {
        "mix.cycle": ("int32", (5,)),
        "mix.box": ("int32", (5, 4)),
        "mix.weight": ("float32", (5,)),
    }


def test_mixes_of_other_batches_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"mix.cycle must be int64 \(4,\)"):
        mix_parameters(MIX, 4)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
def test_a_gpu_mixes_as_the_host_does(dtype: str) -> None:
    import cupy

    output = OutputSpec(3, 33, 47, dtype, "NCHW")  # type: ignore[arg-type]
    batch = np.random.default_rng(0).integers(0, 100, output.shape(5)).astype(dtype)
    with cupy.cuda.Device(0), cupy.cuda.Stream(non_blocking=True):
        made = cupy.array(batch)
        mix_on_gpu(made, send_packed(mix_parameters(MIX, 5)), output, 0)
        found = made.get()
    mix_batch(batch, MIX, output)
    np.testing.assert_array_equal(found, batch)
