"""ImageRecordIter's augmenters: the same samples everywhere, and after a resume."""

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import gpuio as mx
from gpuio import native
from gpuio.errors import ArgumentError
from gpuio.execution.operations import operate
from gpuio.image import ColorJitter, RandAugment, RandomErasing, TrivialAugmentWide
from gpuio.planning.policies import plan_operations
from tests.close import LEVELS, assert_images_close
from tests.io.records import (
    EXECUTORS,
    RUNS,
    TRAIN,
    assert_same_samples,
    open_iter,
    samples,
    write_records,
)

AUGMENTERS = [RandAugment(2, 20), ColorJitter(0.3, 0.3, 0.3, 0.1), RandomErasing(value=(1, 2, 3))]


def augmented(**changes: Any) -> dict[tuple[int, int], np.ndarray]:
    with open_iter(**{**TRAIN, "augmenters": AUGMENTERS, **changes}) as iterator:
        return samples(iterator, 2)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_samples_do_not_depend_on_batches_and_threads(executor: str) -> None:
    expected = augmented(**RUNS[executor], batch_size=6)
    assert_same_samples(augmented(**RUNS[executor], batch_size=4, preprocess_threads=1), expected)


def test_samples_do_not_depend_on_the_native_module(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"dtype": "float32", "mean_r": 123.68, "std_g": 57.0, "max_random_contrast": 0.2}
    expected = augmented(**options), augmented(layout="NHWC", dtype="uint8")
    monkeypatch.setenv(native.VARIABLE, "0")
    assert_same_samples(augmented(**options), expected[0])
    assert_same_samples(augmented(layout="NHWC", dtype="uint8"), expected[1])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_samples_are_what_the_operations_make_of_plain_ones(executor: str) -> None:
    """Before they are mirrored."""
    options = {"dtype": "uint8", "layout": "NHWC", "seed": 5, "resize": 40, **RUNS[executor]}
    with open_iter(**options) as iterator:
        plain = samples(iterator, 2)
    with open_iter(**options, augmenters=AUGMENTERS, mirror=True) as iterator:
        found = samples(iterator, 2)
    policies = [each.policy for each in AUGMENTERS]
    for (epoch, key), pixels in plain.items():
        at = np.array([epoch]), np.array([key // 10])
        drawn = plan_operations(policies, (28, 24), 3, 5, *at)
        assert drawn is not None
        np.testing.assert_array_equal(found[epoch, key], operate(pixels, drawn[0])[:, ::-1])


def test_the_mean_of_a_contrast_is_that_of_the_operations_result() -> None:
    """With DALI as without it, but for its other interpolation."""
    options = {"augmenters": [RandomErasing(1.0, (0.5, 0.5), (1, 1), value=255)], "contrast": 0.9}
    found = augmented(**options, executor="dali")
    for sample, pixels in augmented(**options).items():
        assert_images_close(found[sample], pixels, LEVELS["dali", 1].scaled(2))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_resumed_iterator_goes_on_with_the_same_batches(executor: str) -> None:
    options = {**TRAIN, **RUNS[executor], "augmenters": AUGMENTERS}
    with open_iter(**options) as iterator:
        next(iterator)
        state = iterator.state_dict()
        expected = [next(iterator).data[0].asnumpy() for _ in range(2)]
    with open_iter(**options) as iterator:
        iterator.load_state_dict(state)
        for batch in expected:
            np.testing.assert_array_equal(next(iterator).data[0].asnumpy(), batch)


def test_gray_images(tmp_path: Path) -> None:
    options = {"data_shape": (1, 24, 28), "augmenters": [TrivialAugmentWide(), RandomErasing()]}
    found = augmented(**options, executor="dali")
    for sample, pixels in augmented(**options).items():
        # What differs by 1 may be solarized, or stretched to a larger contrast.
        assert (np.abs(found[sample] - pixels) > 2).mean() < 0.05


@pytest.mark.parametrize("executor", EXECUTORS)
def test_four_channels_can_only_be_erased(tmp_path: Path, executor: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 28, 4), dtype=np.uint8)
    files = write_records(tmp_path / "few", [cv2.imencode(".png", pixels)[1].tobytes()] * 2)
    options = {**files, **RUNS[executor], "data_shape": (4, 24, 28), "batch_size": 2}
    erased = RandomErasing(1.0, (0.2, 0.2), value=(1, 2, 3, 4))
    with open_iter(**options, layout="NHWC", augmenters=[erased]) as iterator:
        made = next(iterator).data[0].asnumpy()[0]
    share = (made == (1, 2, 3, 4)).all(-1).mean()
    assert 0.18 < share < 0.22
    with pytest.raises(ArgumentError, match="RandAugment needs 1 or 3 channels, not 4"):
        open_iter(**options, augmenters=AUGMENTERS)


def test_a_pickled_iterator_has_the_same_augmenters() -> None:
    with (
        open_iter(**TRAIN, augmenters=AUGMENTERS) as iterator,
        pickle.loads(pickle.dumps(iterator)) as copy,
    ):
        first, same = (next(each).data[0].asnumpy() for each in (iterator, copy))
        np.testing.assert_array_equal(first, same)


def test_mean_images_are_of_augmented_images(tmp_path: Path) -> None:
    means = {}
    for value in (0, 255):
        path = tmp_path / f"{value}.params"
        erased = RandomErasing(1.0, (0.2, 0.2), (1, 1), value=value)
        open_iter(mean_img=path, augmenters=[erased]).close()
        (means[value],) = mx.nd.load(str(path)).values()
    difference = (means[255] - means[0]).asnumpy().mean()
    assert 255 * 0.17 < difference < 255 * 0.23
