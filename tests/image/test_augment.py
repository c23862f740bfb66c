"""The augmenters: their order, their arguments as JSON, their formulas and chances."""

import json
import random
from typing import Any

import numpy as np
import pytest
from scipy import stats

import gpuio as mx
from gpuio.errors import ArgumentError
from tests.image.test_functions import noise

I = mx.image  # noqa: E741

# What MXNet 1.9.1 gives for CreateAugmenter((3, 30, 40), resize=50, …) with everything on; numbers
# of float32 are rounded to those that were asked for.
DUMPED = [
    '["resizeaug", {"size": 50, "interp": 1}]',
    '["randomsizedcropaug", {"size": [40, 30], "area": 0.08, "ratio": [0.75, 1.3333333333333333], '
    '"interp": 1}]',
    '["horizontalflipaug", {"p": 0.5}]',
    '["castaug", {"type": "float32"}]',
    ["colorjitteraug", ['["brightnessjitteraug", {"brightness": 0.1}]',
                        '["contrastjitteraug", {"contrast": 0.2}]',
                        '["saturationjitteraug", {"saturation": 0.3}]']],
    '["huejitteraug", {"hue": 0.4}]',
    '["lightingaug", {"alphastd": 0.1, "eigval": [55.46, 4.794, 1.148], "eigvec": [[-0.5675, '
    '0.7192, 0.4009], [-0.5808, -0.0045, -0.814], [-0.5836, -0.6948, 0.4203]]}]',
    '["randomgrayaug", {"p": 0.2}]',
    '["colornormalizeaug", {"mean": [123.68, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}]',
]  # fmt: skip


def test_they_come_in_mxnets_order() -> None:
    made = I.CreateAugmenter(
        (3, 30, 40), resize=50, rand_crop=True, rand_resize=True, rand_mirror=True, mean=True,
        std=True, brightness=0.1, contrast=0.2, saturation=0.3, hue=0.4, pca_noise=0.1,
        rand_gray=0.2, inter_method=1,
    )  # fmt: skip
    assert [each.dumps() for each in made] == DUMPED


def test_the_usual_ones_are_crop_and_cast() -> None:
    assert [type(each) for each in I.CreateAugmenter((3, 4, 5))] == [I.CenterCropAug, I.CastAug]
    crops = I.CreateAugmenter((3, 4, 5), rand_crop=True)
    assert [type(each) for each in crops] == [I.RandomCropAug, I.CastAug]
    assert json.loads(crops[0].dumps())[1] == {"size": [5, 4], "interp": 2}


def test_containers_dump_what_is_in_them() -> None:
    made = I.SequentialAug([I.CastAug(), I.HorizontalFlipAug(0.5)])
    assert made.dumps() == [
        "sequentialaug",
        ['["castaug", {"type": "float32"}]', '["horizontalflipaug", {"p": 0.5}]'],
    ]


def test_one_of_your_own() -> None:
    class Negative(I.Augmenter):
        def __init__(self, level: int) -> None:
            super().__init__(level=level)
            self.level = level

        def __call__(self, src: Any) -> Any:
            return self.level - src

    assert Negative(255).dumps() == '["negative", {"level": 255}]'
    picture = noise(6, 5)
    made = I.SequentialAug([Negative(255), I.CastAug(), I.ColorNormalizeAug(255, None)])(picture)
    np.testing.assert_array_equal(made, -np.asarray(picture, np.float32))
    with pytest.raises(NotImplementedError, match="Mine has no __call__"):
        type("Mine", (I.Augmenter,), {})()(picture)


def test_pictures_are_not_changed() -> None:
    """Other than in MXNet, where jitters write into the picture that they are given."""
    for dtype in (np.uint8, np.float32):
        picture = noise(20, 30, dtype=dtype)
        before = np.array(picture)
        for augment in I.CreateAugmenter(
            (3, 10, 12), brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5, pca_noise=0.5,
            rand_gray=1, mean=True, std=True, rand_mirror=True,
        ):  # fmt: skip
            made = augment(picture)
            assert isinstance(made, mx.nd.NDArray)
            np.testing.assert_array_equal(picture, before)


def test_orders_of_color_jitter_differ() -> None:
    random.seed(0)
    seen = set()

    class Note(I.Augmenter):
        def __call__(self, src: Any) -> Any:
            order.append(self)
            return src

    notes = [Note(), Note(), Note()]
    augment = I.RandomOrderAug(notes)
    for _ in range(200):
        order: list[Any] = []
        augment(noise(2, 2))
        seen.add(tuple(map(notes.index, order)))
    assert len(seen) == 6
    assert augment.ts == notes


@pytest.mark.parametrize("name", ["Brightness", "Contrast", "Saturation"])
def test_jitters_are_even(name: str) -> None:
    """Kolmogorov-Smirnov test of the factor, at 0.1 %."""
    random.seed(2)
    augment = getattr(I, f"{name}JitterAug")(0.4)
    picture = noise(2, 2, dtype=np.float32)
    two = np.asarray(picture)
    factors = []
    for _ in range(1500):
        made = np.asarray(augment(picture), float)
        factors.append((made[0, 0, 0] - made[1, 1, 1]) / (two[0, 0, 0] - two[1, 1, 1]))
    if name == "Saturation":  # differences within a pixel, which its luma leaves alone
        factors = []
        for _ in range(1500):
            made = np.asarray(augment(picture), float)
            factors.append((made[0, 0, 0] - made[0, 0, 1]) / (two[0, 0, 0] - two[0, 0, 1]))
    assert stats.kstest(factors, "uniform", (0.6, 0.8)).pvalue > 0.001


def test_lighting_has_the_colours_covariance() -> None:
    np.random.seed(0)
    from gpuio.image.create_augmenter import EIGENVALUES, EIGENVECTORS

    augment = I.LightingAug(0.1, np.array(EIGENVALUES), np.array(EIGENVECTORS))
    zero = mx.nd.zeros((1, 1, 3))
    noises = np.array([np.asarray(augment(zero))[0, 0] for _ in range(4000)], float)
    vectors = np.array(EIGENVECTORS)
    expected = vectors @ np.diag((0.1 * np.array(EIGENVALUES)) ** 2) @ vectors.T
    np.testing.assert_allclose(np.cov(noises.T), expected, rtol=0.12, atol=0.2)


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_chances(chance: float) -> None:
    random.seed(5)
    picture = noise(3, 4, dtype=np.float32)
    for augment in (I.HorizontalFlipAug(chance), I.RandomGrayAug(chance)):
        changed = sum(not np.array_equal(augment(picture), picture) for _ in range(1000))
        assert stats.binomtest(changed, 1000, chance).pvalue > 0.001


def test_hue_turns_back() -> None:
    picture = noise(5, 5, dtype=np.float32)
    np.testing.assert_allclose(I.HueJitterAug(0)(picture), picture, atol=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rand_resize": True}, "requires rand_crop=True"),
        ({"mean": [1, 2]}, "mean must be True, or have 1 or 3 numbers"),
        ({"std": [[1, 2, 3]]}, "std must be True, or have 1 or 3 numbers"),
    ],
)
def test_mistakes(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        I.CreateAugmenter((3, 4, 5), **options)
    with pytest.raises(TypeError, match="no argument 'are'"):
        I.RandomSizedCropAug((3, 4), 0.5, (1, 2), are=4)
