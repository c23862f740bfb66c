"""The augmenters that move pixels."""

import random
from typing import Any

import numpy as np
import pytest
from scipy import stats

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.planning.tracer import ImageTracer
from gpuio.sampling.sample_rng import SampleRng
from tests.image.images import noise

I = mx.image  # noqa: E741


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_chances(chance: float) -> None:
    random.seed(5)
    picture = noise(3, 4, dtype=np.float32)
    for augment in (I.HorizontalFlipAug(chance),):
        changed = sum(not np.array_equal(augment(picture), picture) for _ in range(1000))
        assert stats.binomtest(changed, 1000, chance).pvalue > 0.001


def test_a_flip_is_a_view() -> None:
    image = noise(3, 4)
    flipped = I.HorizontalFlipAug(1.0)(image)
    np.testing.assert_array_equal(flipped, np.asarray(image)[:, ::-1])
    assert np.shares_memory(flipped, image)
    assert I.HorizontalFlipAug(0.0)(image) is image


SIZED: dict[str, Any] = {
    "resize": (lambda: I.ResizeAug(20), (24, 20, 3), 20),
    "force": (lambda: I.ForceResizeAug((16, 12)), (12, 16, 3), 12),
    "random crop": (lambda: I.RandomCropAug((16, 12)), (12, 16, 3), 12),
    "center crop": (lambda: I.CenterCropAug((16, 12)), (12, 16, 3), 12),
    "random size": (lambda: I.RandomSizedCropAug((16, 12), 0.3, (0.8, 1.2)), (12, 16, 3), 12),
    "enlarged": (lambda: I.RandomCropAug((50, 45)), (45, 50, 3), 45),
}


@pytest.mark.parametrize("name", SIZED)
def test_sizes_of_the_output(name: str) -> None:
    make, shape, side = SIZED[name]
    augmenter = make()
    assert augmenter(noise(36, 30)).shape == shape
    assert augmenter.output_side == side and augmenter.interpolation == 2


@pytest.mark.parametrize("name", SIZED)
def test_tracing_computes_the_size_of_the_output(name: str) -> None:
    make, shape, _ = SIZED[name]
    augmenter, tracer = make(), ImageTracer(30, 36)
    augmenter.trace(tracer, augmenter.draw(SampleRng(1, 2, 3), (30, 36)))
    assert (tracer.height, tracer.width) == shape[:2]


def test_the_functions_crop_the_same() -> None:
    image = noise(36, 30)
    for augmenter, function in (
        (I.RandomCropAug((16, 12)), lambda: I.random_crop(image, (16, 12))[0]),
        (I.CenterCropAug((16, 12)), lambda: I.center_crop(image, (16, 12))[0]),
        (
            I.RandomSizedCropAug((16, 12), (0.2, 0.8), (0.5, 2.0)),
            lambda: I.random_size_crop(image, (16, 12), (0.2, 0.8), (0.5, 2.0))[0],
        ),
        (
            I.RandomSizedCropAug((16, 12), (0.2, 0.8), (0.5, 2.0), min_area=0.4),
            lambda: I.random_size_crop(image, (16, 12), 0.4, (0.5, 2.0))[0],
        ),
        (I.ResizeAug(20, 1), lambda: I.resize_short(image, 20, 1)),
        (I.ForceResizeAug((16, 12), 4), lambda: I.imresize(image, 16, 12, 4)),
    ):
        random.seed(4)
        found = augmenter(image)
        random.seed(4)
        np.testing.assert_array_equal(found, function())


def test_interpolation_10_is_drawn_for_each_image() -> None:
    augmenter = I.ForceResizeAug((9, 9), 10)
    drawn = {augmenter.draw(SampleRng(0, 0, record), (30, 36)) for record in range(60)}
    assert drawn == set(range(5))


def test_mistakes() -> None:
    with pytest.raises(ArgumentError, match=r"a size is \(width, height\) in pixels, not 24"):
        I.ForceResizeAug(24)
    with pytest.raises(ArgumentError, match="size must be an integer of at least 1 pixel"):
        I.ResizeAug((24, 24))
    with pytest.raises(TypeError, match="no argument 'are'"):
        I.RandomSizedCropAug((3, 4), 0.5, (1, 2), are=4)
