"""RandAugment, TrivialAugmentWide, ColorJitter and RandomErasing, alone and in lists."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.image import (
    ColorJitter,
    RandAugment,
    RandomErasing,
    TrivialAugmentWide,
)
from gpuio.planning.augmenters import unplannable_reason
from tests.io.records import jpeg, write_records

ALL: list[Callable[[], Any]] = [
    RandAugment,
    lambda: RandAugment(3, 30, interpolation="bilinear", fill=(1, 2, 3)),
    TrivialAugmentWide,
    lambda: ColorJitter(0.4, (0.5, 2), 0.4, 0.1),
    lambda: RandomErasing(p=1, value=200),
]


def image(dtype: str = "uint8", channels: int = 3) -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, channels))
    return mx.nd.array(pixels, dtype=dtype)


@pytest.mark.parametrize("make", ALL)
def test_images_change_and_keep_their_size(make: Callable[[], Any]) -> None:
    mx.random.seed(1)
    before = image().asnumpy()
    made = [make()(image()) for _ in range(5)]
    assert {each.shape for each in made} == {(20, 24, 3)}
    assert {each.dtype for each in made} == {np.dtype(np.uint8)}
    assert any((each.asnumpy() != before).any() for each in made)


def test_seeds_repeat_the_draws() -> None:
    def draw() -> bytes:
        mx.random.seed(3)
        return bytes(RandAugment()(image()).asnumpy().tobytes())

    assert draw() == draw()


def test_gluon_composes_them() -> None:
    transforms = mx.gluon.data.vision.transforms
    composed = transforms.Compose([transforms.CenterCrop(16), RandAugment(), transforms.ToTensor()])
    assert composed(image()).shape == (3, 16, 16)


def test_floats_are_rounded_and_clipped() -> None:
    given = mx.nd.array([[[-3.0, 100.4, 300.0]]])
    made = RandomErasing(p=0)(given)
    assert made.dtype == np.uint8 and made.asnumpy().tolist() == [[[0, 100, 255]]]


def test_not_a_number_is_black() -> None:
    given = mx.nd.array([[[math.nan, math.inf, -math.inf]]])
    assert RandomErasing(p=0)(given).asnumpy().tolist() == [[[0, 255, 0]]]


def test_arguments_may_be_numpys() -> None:
    erasing = RandomErasing(np.float32(0.5), np.array([0.1, 0.2]), value=np.array(4))
    assert erasing.policy.value == (4,)  # type: ignore[attr-defined]
    assert json.loads(erasing.dumps())[1]["scale"] == [0.1, 0.2]
    jitter = ColorJitter(np.array([0.5, 1.5]), np.float32(0.5), (np.float32(1), np.float32(2)))
    assert jitter.policy.brightness == jitter.policy.contrast == (0.5, 1.5)  # type: ignore[attr-defined]
    assert json.loads(jitter.dumps())[1]["saturation"] == [1, 2]


def test_gray_images() -> None:
    assert TrivialAugmentWide()(image(channels=1)).shape == (20, 24, 1)
    with pytest.raises(ArgumentError, match="fill must be a number, or one for each of 1 channels"):
        RandAugment(fill=(1, 2, 3))(image(channels=1))


@pytest.mark.gpu
def test_images_on_a_gpu_stay_there() -> None:
    given = image().as_in_context(mx.gpu(0))
    assert RandAugment()(given).context == mx.gpu(0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RandAugment(num_ops=-1), "num_ops must be at least 0"),
        (lambda: RandAugment(num_ops=1.5), "num_ops must be an integer"),  # type: ignore[arg-type]
        (lambda: RandAugment(magnitude=31), "magnitude must be at most 30"),
        (lambda: RandAugment(num_magnitude_bins=1), "num_magnitude_bins must be at least 2"),
        (lambda: RandAugment(interpolation="cubic"), "must be 'nearest' or 'bilinear'"),
        (lambda: RandAugment(fill=256), "fill must be a pixel value from 0 to 255"),
        (lambda: RandAugment(fill=()), "fill must be a pixel value from 0 to 255"),
        (lambda: TrivialAugmentWide(fill="black"), "fill must be"),
        (lambda: ColorJitter(-0.1), "brightness must be at least 0, or a range"),
        (lambda: ColorJitter(contrast=(2, 1)), r"contrast must be a range \(least, most\)"),
        (lambda: ColorJitter(hue=0.6), "hue must be a range .* within -0.5 to 0.5"),
        (lambda: ColorJitter(saturation=(0, float("inf"))), "saturation must be a"),
        (lambda: ColorJitter(brightness=(1, 2, 3)), "brightness must be a range"),
        (lambda: RandomErasing(p=1.1), "p is a probability"),
        (lambda: RandomErasing(scale=(0.5, 0.1)), "scale must be a range"),
        (lambda: RandomErasing(scale=0.5), "scale must be a range"),  # type: ignore[arg-type]
        (lambda: RandomErasing(ratio=(0, 1)), "ratio must be a range"),
        (lambda: RandomErasing(value="random"), "there is no noise"),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        make()


def test_dumps_are_the_arguments() -> None:
    assert RandAugment(1, 5).dumps() == (
        '["randaugment", {"num_ops": 1, "magnitude": 5, "num_magnitude_bins": 31, '
        '"interpolation": "nearest", "fill": null}]'
    )
    assert '"scale": [0.02, 0.33]' in RandomErasing().dumps()


def test_ranges_that_change_nothing_draw_no_operations() -> None:
    policy = ColorJitter(0, (1, 1), None, 0).policy
    assert not policy.draw(np.full((1, 8), 0.5), (4, 4), 3)["code"].any()


@pytest.fixture
def records(tmp_path: Path) -> Any:
    return write_records(tmp_path / "few", [jpeg(number, 60 + number, 50) for number in range(7)])


def open_list(records: Any, augmenters: list[Any], **options: Any) -> Any:
    return mx.image.ImageIter(
        3, (3, 24, 28), path_imgrec=str(records["path_imgrec"]),
        path_imgidx=str(records["path_imgidx"]), aug_list=augmenters, **options,
    )  # fmt: skip


def batches(iterator: Any) -> np.ndarray:
    with iterator:
        return np.concatenate([batch.data[0].asnumpy() for batch in iterator])


LIST = [
    mx.image.ForceResizeAug((28, 24), 1),
    mx.image.HorizontalFlipAug(0.5),
    RandAugment(2, 20),
    ColorJitter(0.4, 0.4, 0.4, 0.1),
    RandomErasing(p=0.5),
]


class SameRandAugment(RandAugment):
    """Calls the augmenter itself, so that lists with it are run sample by sample."""

    def __call__(self, src: Any) -> Any:
        return super().__call__(src)


def test_lists_become_plans_with_the_same_samples(records: Any) -> None:
    """Flips come before the operations, which a plan applies to what is not flipped yet."""
    assert unplannable_reason(LIST) is None
    one_by_one = [*LIST[:2], SameRandAugment(2, 20), *LIST[3:]]
    assert unplannable_reason(one_by_one) == "SameRandAugment defines __call__ itself"
    planned = batches(open_list(records, LIST, seed=4))
    np.testing.assert_array_equal(planned, batches(open_list(records, one_by_one, seed=4)))


def test_lists_run_on_either_executor(records: Any) -> None:
    host = batches(open_list(records, LIST, seed=4, executor="host"))
    dali = batches(open_list(records, LIST, seed=4, executor="dali"))
    # One resampled pixel may differ by 1, which a solarization, or a stretched contrast, magnifies.
    assert (np.abs(host - dali) > 2).mean() < 0.02


def test_what_moves_pixels_after_operations_runs_sample_by_sample() -> None:
    after = [RandAugment(), mx.image.CenterCropAug((8, 8))]
    reason = unplannable_reason(after)
    assert reason == "operations do not come after what moves pixels and before what changes colors"
    assert unplannable_reason([mx.image.CastAug(), RandAugment()]) == reason
    assert unplannable_reason([mx.image.RandomOrderAug([RandAugment(), LIST[0]])]) == reason


def test_operations_after_a_normalization_are_refused(records: Any) -> None:
    augmenters = mx.image.CreateAugmenter((3, 24, 28), mean=True)
    with pytest.raises(ArgumentError, match=r"RandAugment works on pixel values of 0 to 255; put it"
                       " before ColorNormalizeAug"):  # fmt: skip
        open_list(records, [*augmenters, RandAugment()])


@pytest.mark.parametrize("augmenter", [RandAugment(fill=(1, 2)), RandomErasing(value=(1, 2, 3, 4))])
def test_lists_with_pixel_values_of_other_channels_are_refused(
    augmenter: Any, records: Any
) -> None:
    with pytest.raises(ArgumentError, match="one for each of 3 channels"):
        open_list(records, [*LIST[:2], mx.image.RandomOrderAug([augmenter])])
