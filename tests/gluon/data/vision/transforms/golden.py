"""What MXNet returned, and generators whose draws are known."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gpuio as mx
from gpuio.sampling.sample_rng import SampleRng, call_with_rng
from tests.close import Tolerance, assert_images_close

GOLDEN = Path(__file__).parents[4] / "golden"
with np.load(GOLDEN / "data" / "gluon.npz") as _stored:
    RESULTS = dict(_stored)
DRAWS = 1500
STATS = json.loads((GOLDEN / "gluon_stats.json").read_text())


class Fixed(SampleRng):
    """A generator that draws the same number again and again."""

    def __init__(self, number: Any) -> None:
        super().__init__(0, 0, 0)
        self.number = number

    def random(self) -> float:
        return float(self.number)

    def uniform(self, low: float, high: float) -> float:
        return float(self.number)

    def normal(self, deviation: float, count: int) -> np.ndarray:
        return np.array(self.number)


def drawing(number: Any, transform: Callable[[Any], Any], x: Any) -> Any:
    """Apply a transform that draws this number."""
    return call_with_rng(Fixed(number), transform, x)


def assert_as_mxnet(
    transform: Callable[[Any], Any], name: str, ctx: mx.Context, tolerance: Tolerance
) -> None:
    """Compare with the golden result "image/transform", for NDArrays and plain arrays."""
    image, expected = RESULTS[name.partition("/")[0]], RESULTS[name]
    before = image.copy()
    found = transform(mx.nd.array(image, ctx, image.dtype))
    assert isinstance(found, mx.nd.NDArray) and found.context == ctx
    assert found.dtype == expected.dtype
    assert_images_close(found.asnumpy(), expected, tolerance)
    plain = transform(image)
    assert isinstance(plain, mx.nd.NDArray)
    if ctx == mx.cpu():
        np.testing.assert_array_equal(plain, found)
    np.testing.assert_array_equal(image, before)


def channel_means(transform: Callable[[Any], Any], image: np.ndarray, axes: Any) -> np.ndarray:
    """The mean of each channel of many draws: (draws, channels)."""
    means = []
    for draw in range(DRAWS):
        found = call_with_rng(SampleRng(11, 0, draw), transform, image)
        means.append(found.asnumpy().mean(axes))
    return np.array(means)


def assert_distributed_as_mxnet(
    transform: Callable[[Any], Any], name: str, image: np.ndarray, axes: Sequence[int] = (0, 1)
) -> None:
    """Compare mean and standard deviation of the channels' means with MXNet's, within five standard
    errors of both samples; that of a deviation is at most 2 of a mean's for these distributions.
    """
    expected, found = STATS["stats"][name], channel_means(transform, image, tuple(axes))
    deviation = np.array(expected["std"])
    error = deviation * np.sqrt(1 / STATS["draws"] + 1 / DRAWS) + 1e-4
    assert (np.abs(found.mean(0) - expected["mean"]) <= 5 * error).all(), found.mean(0)
    assert (np.abs(found.std(0) - deviation) <= 10 * error).all(), found.std(0)


FLAT = np.full((4, 4, 3), (120, 60, 90), np.float32)
FLAT[:2] = (20, 100, 150)
TALL = np.full((40, 30, 3), 255, np.float32)
TALL[:, :, 0] = np.arange(40)[:, None]
TALL[:, :, 1] = np.arange(30)
