"""The assembler of a GPU: its checks, and its batches beside the host's.

That its pixels are right is tested without a GPU, too: tests/kernels/test_assemble_kernel.py.
"""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.execution.assemble_cuda import CudaAssembler
from gpuio.execution.assemble_host import HostAssembler
from gpuio.execution.output import OutputSpec
from tests.kernels.reference import assert_same_bits

MEAN, STD = (123.68, 116.28, 103.53, 20.5), (58.395, 57.12, 57.375, 3.0)
GOOD = np.zeros((3, 9, 8, 3), np.uint8)
RGB = OutputSpec(3, 9, 8, "float32", "NCHW")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pixels": GOOD[:, :, :7]}, r"pixels must be uint8 \(M, 9, 8, 3\), not uint8 \(3, 9, 7"),
        ({"pixels": GOOD[0]}, "pixels must be uint8"),
        ({"pixels": GOOD.astype(np.int8)}, "not int8"),
        ({"pixels": np.zeros((3, 9, 16, 3), np.uint8)[:, :, ::2]}, "must be contiguous"),
        ({"mirror": np.zeros(2, bool)}, r"mirror must be bool \(3,\), not bool \(2,\)"),
        ({"mirror": np.zeros(3, int)}, "mirror must be bool"),
        ({"matrix": np.zeros((3, 3, 4))}, r"matrix must be float32 \(3, 3, 4\), not float64"),
        ({"matrix": np.zeros((3, 4, 3), np.float32)}, "matrix must be float32"),
        ({"rows": np.zeros(3)}, "rows must be int32"),
        ({"rows": np.array([0, 3], np.int32)}, "rows must be in 0 to 2, but they are from 0 to 3"),
        ({"rows": np.array([-1, 2], np.int32)}, "they are from -1 to 2"),
    ],
)
def test_what_the_kernel_would_read_outside_is_refused(changes: dict[str, Any], said: str) -> None:
    arguments = {"pixels": GOOD, "mirror": None, "matrix": None, "rows": None, **changes}
    with pytest.raises(ArgumentError, match=said):
        CudaAssembler(RGB, mx.gpu(0))(**arguments, stream=None)


def test_matrices_are_for_three_channels() -> None:
    assembler = CudaAssembler(OutputSpec(1, 9, 8, "float32", "NCHW"), mx.gpu(0))
    matrix = np.zeros((3, 3, 4), np.float32)
    with pytest.raises(ArgumentError, match="goes with 3 channels, not 1"):
        assembler(GOOD[..., :1].copy(), None, matrix, None, None)


@pytest.mark.gpu
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_batches_have_the_bits_of_the_hosts(channels: int, dtype: str, layout: str) -> None:
    import cupy

    generator = np.random.default_rng(0)
    output = OutputSpec(channels, 33, 47, dtype, layout, MEAN, STD, 1.5)
    pixels = generator.integers(0, 256, (20, 33, 47, channels), np.uint8)
    mirror = generator.random(20) < 0.5
    matrix = generator.normal(0, 1, (20, 3, 4)).astype(np.float32) if channels == 3 else None
    rows = generator.integers(0, 20, 31).astype(np.int32)
    host = HostAssembler(output)
    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            on_device = cupy.asarray(pixels)
        for chosen in (None, rows):
            for colors in {id(each): each for each in (None, matrix)}.values():
                found = CudaAssembler(output, mx.gpu(0))(on_device, mirror, colors, chosen, stream)
                stream.synchronize()
                samples = range(20) if chosen is None else chosen.tolist()
                expected = host.empty(len(samples))
                for row, sample in enumerate(samples):
                    color = None if colors is None else colors[sample]
                    host.write(expected, row, pixels[sample], bool(mirror[sample]), color)
                assert_same_bits(found.get(), expected)


@pytest.mark.gpu
def test_an_empty_batch() -> None:
    import cupy

    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
        pixels = cupy.zeros((0, 9, 8, 3), np.uint8)
        assert CudaAssembler(RGB, mx.gpu(0))(pixels, None, None, None, stream).shape == (0, 3, 9, 8)
