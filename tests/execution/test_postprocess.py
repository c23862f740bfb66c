"""What follows the DALI graph: from samples to the batch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.execution.output import OutputSpec
from gpuio.execution.postprocess import CudaPostprocess, HostPostprocess
from gpuio.in_flight import kept_count
from gpuio.nd.device_memory import hand_over
from gpuio.planning.plan import TOWARD_ZERO, Border, Jitter, Plan
from tests.kernels.reference import assemble, assert_same_bits

MEAN, STD = (10.0, 20.0, 30.0, 0.0), (2.0, 3.0, 4.0, 1.0)
OUTPUT = OutputSpec(3, 9, 8, "float32", "NCHW", MEAN, STD)
PLAIN = Plan(np.zeros((3, 4)), np.zeros((3, 4), np.int64), np.ones(3, np.int64), np.zeros(3, bool))
FLIP = np.array([False, True, True])


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 9, 8, 3), np.uint8)


def expected(pixels: np.ndarray, **arguments: Any) -> Any:
    values = {"dtype": "float32", "layout": "NCHW", "mean": MEAN, "std": STD, "scale": 1.0}
    return assemble(pixels, **values, **arguments)


def test_a_batch_is_flipped_and_normalized(pixels: np.ndarray) -> None:
    found = HostPostprocess(OUTPUT).assemble(pixels, replace(PLAIN, flip=FLIP), None)
    assert_same_bits(found, expected(pixels, mirror=FLIP))


@pytest.mark.parametrize("rows", [[0, 2, 0], [1, 1, 1], [2]])
def test_rows_show_the_samples_that_they_are_told(rows: list[int], pixels: np.ndarray) -> None:
    plan = replace(PLAIN, flip=FLIP)
    found = HostPostprocess(OUTPUT).assemble(pixels, plan, np.array(rows))
    assert_same_bits(found, expected(pixels[rows], mirror=FLIP[rows]))


def test_gain_borders_and_colors_come_in_this_order(pixels: np.ndarray) -> None:
    gain = np.array([1.0, 0.5, 1.0])
    inside = np.array([(0, 0, 8, 9), (2, 3, 6, 7), (0, 0, 8, 9)])
    border = Border(inside, np.full((3, 3), 200, np.uint8))
    color = np.zeros((3, 3, 7))
    color[:, :, :3] = np.eye(3) * 0.25
    plan = replace(PLAIN, image_jitter=Jitter(gain=gain), borders=(border,), color=color)
    found = HostPostprocess(OUTPUT).assemble(pixels, plan, None)
    painted = pixels.astype(np.float32)
    painted[1] = np.rint(painted[1] * 0.5)
    shown = painted[1, 3:7, 2:6].copy()
    painted[1] = 200
    painted[1, 3:7, 2:6] = shown
    values = (painted * 0.25 - np.float32(MEAN[:3])) / np.float32(STD[:3])
    np.testing.assert_allclose(found, values.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-5)


def test_a_jitter_of_the_output_changes_borders_too(pixels: np.ndarray) -> None:
    border = Border(np.tile((2, 3, 6, 7), (3, 1)), np.full((3, 3), 200, np.uint8))
    gain = np.array([1.0, 0.5, 0.25])
    plan = replace(PLAIN, borders=(border,), jitter=Jitter(gain=gain))
    found = HostPostprocess(OUTPUT).assemble(pixels, plan, None)
    corner = found[:, :, 0, 0] * np.float32(STD[:3]) + np.float32(MEAN[:3])
    np.testing.assert_allclose(corner, [[200] * 3, [100] * 3, [50] * 3], rtol=1e-6)


def test_the_given_samples_are_not_changed(pixels: np.ndarray) -> None:
    before = pixels.copy()
    plan = replace(PLAIN, flip=FLIP, jitter=Jitter(gain=np.array([0.5] * 3)))
    made = HostPostprocess(OUTPUT)
    assert made.upload(pixels) is pixels
    made.assemble(pixels, plan, None)
    made.keep(pixels)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("rows", [[1], [2, 0]], ids=str)
def test_samples_are_pasted(rows: list[int], pixels: np.ndarray) -> None:
    expected = pixels.copy()
    expected[rows] = 7
    HostPostprocess(OUTPUT).paste(pixels, rows, np.full_like(pixels[rows], 7))
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [[1], [2, 0]], ids=str)
def test_samples_are_pasted_on_a_gpu(rows: list[int], pixels: np.ndarray) -> None:
    on_gpu = CudaPostprocess(OUTPUT, mx.gpu(0))
    found = on_gpu.upload(pixels)
    on_gpu.paste(found, rows, np.full_like(pixels[rows], 7))
    with on_gpu.stream:
        found = found.get()
    pixels[rows] = 7
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_gpu_gives_the_same_bits(layout: str, dtype: str, pixels: np.ndarray) -> None:
    output = OutputSpec(3, 9, 8, dtype, layout, MEAN, STD)
    border = Border(np.array([(0, 0, 8, 9), (2, 3, 6, 7), (1, 1, 1, 1)]),
                    np.full((3, 3), 200, np.uint8))  # fmt: skip
    color = np.random.default_rng(1).normal(0, 0.3, (3, 3, 7))
    gain = np.array([1.0, 0.5, 1.7])
    jitter = Jitter(color, np.array([(20, -30, 40), (0, 0, 0), (-90, 0, 7)]), False, gain)
    for plan in (
        replace(PLAIN, flip=FLIP),
        replace(PLAIN, flip=FLIP, image_jitter=Jitter(gain=gain), borders=(border,)),
        replace(PLAIN, flip=FLIP, jitter=Jitter(gain=gain), borders=(border,)),
        replace(PLAIN, color=color, rounding=TOWARD_ZERO, light=np.array([(1.1, 2)] * 3)),
        replace(PLAIN, flip=FLIP, color=color),
        replace(PLAIN, image_jitter=jitter, borders=(border,) * 2, jitter=jitter, color=color),
    ):
        for rows in (None, np.array([2, 0, 0])):
            on_gpu = CudaPostprocess(output, mx.gpu(0))
            batch = on_gpu.assemble(on_gpu.upload(pixels), plan, rows)
            on_gpu.keep(pixels)
            hand_over(batch)
            host = HostPostprocess(output).assemble(pixels, plan, rows)
            assert_same_bits(batch.get(), host)


@pytest.mark.gpu
def test_batches_are_complete_on_the_stream_that_gets_them(pixels: np.ndarray) -> None:
    """Also if nobody has looked whether they are done."""
    import cupy

    expected_batch = HostPostprocess(OUTPUT).assemble(pixels, PLAIN, None)
    results = []
    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
        for _ in range(3):
            on_gpu = CudaPostprocess(OUTPUT, mx.gpu(0))
            batch = on_gpu.assemble(on_gpu.upload(pixels), PLAIN, None)
            del on_gpu
            with stream:
                hand_over(batch)
                results.append(cupy.array(batch))
            del batch
    stream.synchronize()
    for result in results:
        assert_same_bits(result.get(), expected_batch)


@pytest.mark.gpu
def test_a_stream_that_is_not_needed_any_more_is_kept_for_its_work() -> None:
    """CUDA would give its handle to the next stream, and with it CuPy the memory."""
    mx.gpu(0).empty_cache()
    on_gpu = CudaPostprocess(OUTPUT, mx.gpu(0))
    assert kept_count(0) == 0
    del on_gpu
    assert kept_count(0) == 1
    mx.gpu(0).empty_cache()
    assert kept_count(0) == 0
