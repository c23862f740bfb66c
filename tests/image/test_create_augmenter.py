"""CreateAugmenter: the augmenters, their order and their arguments as JSON."""

import json
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError

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


def test_jitters_come_in_their_order() -> None:
    created = I.CreateAugmenter(
        (3, 4, 5), brightness=0.1, hue=0.2, pca_noise=0.3, rand_gray=0.4, mean=[1.0], std=True
    )
    assert [type(each) for each in created[2:]] == [
        I.ColorJitterAug, I.HueJitterAug, I.LightingAug, I.RandomGrayAug, I.ColorNormalizeAug,
    ]  # fmt: skip


def test_mean_and_std_may_be_arrays_numbers_or_nothing() -> None:
    for mean in ([1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), mx.nd.array([1, 2, 3])):
        created = I.CreateAugmenter((3, 4, 5), mean=mean)[-1]
        assert created.normalization() == ([1, 2, 3], [1, 1, 1])
    for nothing in (None, False):
        created = I.CreateAugmenter((3, 4, 5), mean=nothing, std=nothing)[-1]
        assert isinstance(created, I.CastAug)
    for wrong in ("abc", [1, 2], [[1, 2, 3]], {}):
        with pytest.raises(ArgumentError, match="mean must be True, or have 1 or 3 numbers"):
            I.CreateAugmenter((3, 4, 5), mean=wrong)
    with pytest.raises(ArgumentError, match="hue must be a finite number"):
        I.CreateAugmenter((3, 4, 5), hue=float("nan"))
