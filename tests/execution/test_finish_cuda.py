"""What a GPU is told about jitter, borders and colors.

That its pixels are right is tested without a GPU: tests/kernels/test_finish_kernel.py.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.execution.color import finish_pixels, substitute_means
from gpuio.execution.finish_cuda import (
    CLIPPED_HUE,
    UNSHIFTED,
    WRAPPED_HUE,
    CudaFinisher,
    finish_parameters,
)
from gpuio.execution.output import OutputSpec
from gpuio.execution.packing import send_packed
from gpuio.planning.plan import Border, Jitter, Plan

RGB = OutputSpec(3, 9, 8, "float32", "NCHW")
PLAIN = Plan(np.zeros((2, 4)), np.zeros((2, 4), np.int64), np.ones(2, np.int64), np.zeros(2, bool))


def parameters(output: OutputSpec = RGB, **changes: Any) -> dict[str, Any]:
    return finish_parameters(replace(PLAIN, **changes), output, 2)


def test_what_changes_nothing_is_left_out() -> None:
    nothing = Jitter(hls=np.zeros((2, 3), np.int64), gain=np.ones(2))
    assert parameters() == {}
    assert parameters(image_jitter=nothing, jitter=Jitter()) == {}


def test_matrices_without_means_are_computed_on_the_host() -> None:
    color = np.random.default_rng(0).normal(0, 1, (2, 3, 7))
    color[:, :, 3:6] = 0
    (made,) = parameters(color=color).values()
    np.testing.assert_array_equal(made, substitute_means(color, np.zeros((2, 3))))


def test_matrices_with_means_are_left_to_the_gpu() -> None:
    color = np.random.default_rng(0).normal(0, 1, (2, 3, 7))
    made = parameters(jitter=Jitter(color=color))
    assert set(made) == {"jitter.color", "jitter.sums", "jitter.matrix"}
    np.testing.assert_array_equal(made["jitter.color"], color)
    assert made["jitter.sums"].dtype == np.uint64 and not made["jitter.sums"].any()


def test_hls_shifts_have_a_mode_and_fit_into_their_ranges() -> None:
    hls = np.array([(-7, 2000, -2000), (0, 0, 0)])
    clipped = parameters(jitter=Jitter(hls=hls, wrap_hue=False))["jitter.hls"]
    assert clipped.tolist() == [[-7, 255, -255, CLIPPED_HUE], [0, 0, 0, UNSHIFTED]]
    wrapped = parameters(image_jitter=Jitter(hls=hls))["image_jitter.hls"]
    assert wrapped.tolist() == [[173, 255, -255, WRAPPED_HUE], [0, 0, 0, UNSHIFTED]]
    full_turn = parameters(jitter=Jitter(hls=np.array([(180, 0, 0)] * 2)))["jitter.hls"]
    assert full_turn.tolist() == [[0, 0, 0, WRAPPED_HUE]] * 2


def test_borders_are_clipped_to_the_output_and_filled_in_each_channel() -> None:
    inside = np.array([(-(2**40), 2, 2**40, 4), (1, 0, 8, 9)])
    gray = Border(inside, np.array([[5], [6]], np.uint8))
    colored = Border(inside, np.array([(1, 2, 3), (4, 5, 6)], np.uint8))
    made = parameters(borders=(gray, colored))["borders"]
    assert made["inside"].tolist() == [[[0, 2, 8, 4], [1, 0, 8, 9]]] * 2
    fills = [[[5, 5, 5, 0], [6, 6, 6, 0]], [[1, 2, 3, 0], [4, 5, 6, 0]]]
    assert made["fill"].tolist() == fills


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"color": np.zeros((3, 3, 7))}, r"plan.color must be float64 \(2, 3, 7\)"),
        ({"jitter": Jitter(hls=np.ones((3, 3), int))}, r"jitter.hls must be int64 \(2, 3\)"),
        ({"image_jitter": Jitter(gain=np.full(1, 2.0))}, r"image_jitter.gain must be float64 \(2"),
        ({"borders": (Border(np.zeros((3, 4), int), np.zeros((2, 1), np.uint8)),)},
         r"borders.inside must be int64 \(2, 4\)"),
        ({"borders": (Border(np.zeros((2, 4), int), np.zeros((2, 4), np.uint8)),)},
         r"borders.fill must be uint8 \(2, 3\), not uint8 \(2, 4\)"),
    ],
)  # fmt: skip
def test_plans_of_other_samples_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        parameters(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"color": np.zeros((2, 3, 7))},
        {"jitter": Jitter(hls=np.ones((2, 3), np.int64))},
        {"image_jitter": Jitter(color=np.zeros((2, 3, 7)))},
    ],
)
@pytest.mark.parametrize("channels", [1, 4])
def test_colors_need_three_channels(changes: dict[str, Any], channels: int) -> None:
    output = OutputSpec(channels, 9, 8, "float32", "NCHW")
    with pytest.raises(ArgumentError, match=f"need 3 channels, not {channels}"):
        parameters(output, **changes)


@pytest.mark.gpu
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_gpu_finishes_pixels_as_the_host_does(channels: int) -> None:
    import cupy

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 33, 47, channels), dtype=np.uint8)
    border = Border(np.array([(3, 2, 40, 30), (0, 0, 47, 33)]), np.full((2, 1), 9, np.uint8))
    jitter = Jitter(gain=np.array([0.7, 1.9]))
    if channels == 3:
        color = rng.normal(0.2, 0.3, (2, 3, 7))
        jitter = Jitter(color, np.array([(20, -30, 40), (0, 0, 0)]), gain=jitter.gain)
    plan = replace(PLAIN, image_jitter=jitter, borders=(border,), jitter=jitter)
    output = OutputSpec(channels, 33, 47, "uint8", "NHWC")
    with cupy.cuda.Device(0), cupy.cuda.Stream(non_blocking=True):
        on_device = send_packed(finish_parameters(plan, output, 2))
        finished = CudaFinisher(output, 0)(cupy.asarray(pixels), on_device)
        np.testing.assert_array_equal(finished.get(), finish_pixels(pixels, plan))
