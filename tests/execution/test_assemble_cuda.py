"""The assembler of a GPU: its checks, and its batches beside the host's.

That its pixels are right is tested without a GPU, too: tests/kernels/test_assemble_kernel.py.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.execution.assemble_cuda import CudaAssembler
from gpuio.execution.assemble_host import HostAssembler
from gpuio.execution.color import color_matrix
from gpuio.execution.output import OutputSpec
from gpuio.planning.plan import Plan
from tests.kernels.reference import assert_same_bits

MEAN, STD = (123.68, 116.28, 103.53, 20.5), (58.395, 57.12, 57.375, 3.0)
GOOD = np.zeros((3, 9, 8, 3), np.uint8)
RGB = OutputSpec(3, 9, 8, "float32", "NCHW")


def plan_of(samples: int, **changes: Any) -> Plan:
    nothing = np.zeros((samples, 4))
    plan = Plan(nothing, nothing.astype(int), np.ones(samples, int), np.zeros(samples, bool))
    return replace(plan, **changes)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (GOOD[:, :, :7], r"pixels must be uint8 \(M, 9, 8, 3\), not uint8 \(3, 9, 7"),
        (GOOD[0], "pixels must be uint8"),
        (GOOD.astype(np.int8), "not int8"),
        (np.zeros((3, 9, 16, 3), np.uint8)[:, :, ::2], "must be contiguous"),
    ],
)
def test_pixels_that_the_kernel_would_read_outside_are_refused(pixels: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        CudaAssembler(RGB, mx.gpu(0))(pixels, plan_of(3), None, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"flip": np.zeros(2, bool)}, r"flip must be bool \(3,\), not bool \(2,\)"),
        ({"flip": np.zeros(3, int)}, "flip must be bool"),
        ({"color": np.zeros((3, 3, 4))}, r"plan.color must be float64 \(3, 3, 7\), not float64"),
        ({"light": np.zeros((3, 2), np.float32)}, "light must be float64"),
    ],
)
def test_plans_of_other_samples_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        CudaAssembler(RGB, mx.gpu(0))(GOOD, plan_of(3, **changes), None, None)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros(3), "rows must be int32"),
        (np.array([0, 3], np.int32), "rows must be in 0 to 2, but they are from 0 to 3"),
        (np.array([-1, 2], np.int32), "they are from -1 to 2"),
    ],
)
def test_rows_of_no_samples_are_refused(rows: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        CudaAssembler(RGB, mx.gpu(0))(GOOD, plan_of(3), rows, None)


def test_colors_need_three_channels() -> None:
    assembler = CudaAssembler(OutputSpec(1, 9, 8, "float32", "NCHW"), mx.gpu(0))
    plan = plan_of(3, color=np.zeros((3, 3, 7)))
    with pytest.raises(ArgumentError, match="need 3 channels, not 1"):
        assembler(GOOD[..., :1].copy(), plan, None, None)


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
    color = None
    if channels == 3:
        color = generator.normal(0, 1, (20, 3, 7))
        color[:, :, 3:6] = 0
    rows = generator.integers(0, 20, 31).astype(np.int32)
    host = HostAssembler(output)
    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            on_device = cupy.asarray(pixels)
        for chosen in (None, rows):
            for colors in {id(each): each for each in (None, color)}.values():
                plan = plan_of(20, flip=mirror, color=colors)
                found = CudaAssembler(output, mx.gpu(0))(on_device, plan, chosen, stream)
                stream.synchronize()
                samples = range(20) if chosen is None else chosen.tolist()
                expected = host.empty(len(samples))
                for row, sample in enumerate(samples):
                    matrix = color_matrix(colors, sample, pixels[sample])
                    host.write(expected, row, pixels[sample], bool(mirror[sample]), matrix)
                assert_same_bits(found.get(), expected)


@pytest.mark.gpu
def test_an_empty_batch() -> None:
    import cupy

    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
        pixels = cupy.zeros((0, 9, 8, 3), np.uint8)
        assert CudaAssembler(RGB, mx.gpu(0))(pixels, plan_of(0), None, stream).shape == (0, 3, 9, 8)
