"""Every function and augmenter of mx.image, on every device: on a second GPU while the first is
current, too.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.image import operators
from tests.devices import assert_alike
from tests.image.images import noise

I = mx.image  # noqa: E741
HOST = mx.cpu()
BYTES, FLOATS = noise(12, 16), noise(12, 16, dtype=np.float32)
BOXES = np.array([[0, 0.1, 0.2, 0.8, 0.9]], np.float32)

# What is called with an image of uint8 and one of float32.
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "center_crop": lambda u, f: I.center_crop(u, (8, 6))[0],
    "color_normalize": lambda u, f: [
        I.color_normalize(f.copy(), [1, 2, 3], 2),
        I.color_normalize(f[:, ::2].copy(), mx.nd.array([1, 2, 3], f.context), mx.nd.array([4])),
        I.color_normalize(f.copy().transpose(1, 0, 2)[::2], 5, np.array([1, 2, 3])),
    ],
    "copyMakeBorder": lambda u, f: [I.copyMakeBorder(u, 1, 2, 3, 4, kind, 7) for kind in range(5)],
    "fixed_crop": lambda u, f: [I.fixed_crop(u, 1, 2, 8, 6), I.fixed_crop(f, 1, 2, 8, 6, (4, 4))],
    "imencode": lambda u, f: I.imencode(u, img_fmt=".png"),
    "imresize": lambda u, f: [I.imresize(f, 7, 20, method) for method in (0, 1, 2, 3, 4, 9)],
    "imresize out": lambda u, f: I.imresize(f, 2, 3, out=mx.nd.zeros((3, 2, 3), f.context)),
    "imrotate": lambda u, f: [
        I.imrotate(mx.nd.image.to_tensor(u), 30),
        I.imrotate(mx.nd.stack(f, f), mx.nd.array([30, -20], f.context), zoom_out=True),
    ],
    "random_crop": lambda u, f: I.random_crop(u, (8, 6))[0],
    "random_rotate": lambda u, f: I.random_rotate(mx.nd.stack(f, f), (-20, 20)),
    "random_size_crop": lambda u, f: I.random_size_crop(f, (8, 6), 0.1, (0.5, 2))[0],
    "resize_short": lambda u, f: I.resize_short(f, 5),
    "Augmenter": lambda u, f: I.SequentialAug([I.CastAug(), I.HorizontalFlipAug(1)])(u),
    "BrightnessJitterAug": lambda u, f: I.BrightnessJitterAug(0.5)(u),
    "CastAug": lambda u, f: I.CastAug("float64")(u),
    "CenterCropAug": lambda u, f: I.CenterCropAug((8, 6))(u),
    "ColorJitterAug": lambda u, f: I.ColorJitterAug(0.5, 0.5, 0.5)(u),
    "ColorJitter": lambda u, f: I.ColorJitter(0.5, 0.5, 0.5, 0.2)(u),
    "ColorNormalizeAug": lambda u, f: [
        I.ColorNormalizeAug(mean, std)(each)
        for mean, std in (([1, 2, 3], [4, 5, 6]), (None, 5), (5, None), (None, None))
        for each in (u, f)
    ],
    "ContrastJitterAug": lambda u, f: I.ContrastJitterAug(0.5)(f),
    "CreateAugmenter": lambda u, f: I.SequentialAug(
        I.CreateAugmenter(
            (3, 8, 6), rand_crop=True, rand_mirror=True, mean=True, std=True, brightness=0.1,
            contrast=0.1, saturation=0.1, hue=0.1, pca_noise=0.1, rand_gray=0.5,
        )
    )(u),
    "CreateDetAugmenter": lambda u, f: det(u, *I.CreateDetAugmenter((3, 8, 6), brightness=0.1)),
    "CreateMultiRandCropAugmenter": lambda u, f: det(u, I.CreateMultiRandCropAugmenter(0.1)),
    "DetAugmenter": lambda u, f: det(u, I.DetHorizontalFlipAug(1)),
    "DetBorrowAug": lambda u, f: det(u, I.DetBorrowAug(I.SaturationJitterAug(0.5))),
    "DetHorizontalFlipAug": lambda u, f: det(f, I.DetHorizontalFlipAug(0.5)),
    "DetRandomCropAug": lambda u, f: det(u, I.DetRandomCropAug(0.1)),
    "DetRandomPadAug": lambda u, f: det(u, I.DetRandomPadAug(area_range=(2, 3))),
    "DetRandomSelectAug": lambda u, f: det(u, I.DetRandomSelectAug([I.DetHorizontalFlipAug(1)])),
    "ForceResizeAug": lambda u, f: I.ForceResizeAug((7, 9), 1)(f),
    "HorizontalFlipAug": lambda u, f: I.HorizontalFlipAug(1)(u),
    "HueJitterAug": lambda u, f: I.HueJitterAug(0.5)(u),
    "LightingAug": lambda u, f: I.LightingAug(50, [1, 2, 3], np.eye(3))(u),
    "RandAugment": lambda u, f: I.RandAugment(3)(u),
    "RandomCropAug": lambda u, f: I.RandomCropAug((8, 6))(u),
    "RandomErasing": lambda u, f: I.RandomErasing(1)(u),
    "RandomGrayAug": lambda u, f: I.RandomGrayAug(1)(u),
    "RandomOrderAug": lambda u, f: I.RandomOrderAug([I.CastAug(), I.HorizontalFlipAug(1)])(u),
    "RandomSizedCropAug": lambda u, f: I.RandomSizedCropAug((8, 6), 0.1, (0.5, 2))(f),
    "ResizeAug": lambda u, f: I.ResizeAug(5)(f),
    "SaturationJitterAug": lambda u, f: I.SaturationJitterAug(0.5)(u),
    "SequentialAug": lambda u, f: I.SequentialAug([I.CastAug(), I.BrightnessJitterAug(0.5)])(u),
    "TrivialAugmentWide": lambda u, f: I.TrivialAugmentWide()(u),
}  # fmt: skip
# Of encoded images (test_codec), of numbers, of batches, and iterators.
OTHERS = {"CutMix", "ImageDetIter", "ImageIter", "MixUp", "imdecode", "imread", "scale_down"}

# The operators of mx.nd.image: what they take besides the image.
OPERATORS: dict[str, tuple[Any, ...]] = {
    "adjust_lighting": ([0.1, 0.2, 0.3],),
    "crop": (1, 2, 8, 6),
    "random_brightness": (0.5, 1.5),
    "random_color_jitter": (0.5, 0.5, 0.5, 0.5),
    "random_contrast": (0.5, 1.5),
    "random_hue": (0.5, 1.5),
    "random_lighting": (0.5,),
    "random_saturation": (0.5, 1.5),
    "resize": ((8, 6),),
}


def det(image: mx.nd.NDArray, *augmenters: Any) -> mx.nd.NDArray:
    boxes = BOXES
    for each in augmenters:
        image, boxes = each(image, boxes)
    return image


def test_all_are_here() -> None:
    assert {name.split()[0] for name in FUNCTIONS} | OTHERS == {*I.__all__}
    assert OPERATORS.keys() <= {*operators.__all__}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_and_augmenter(name: str, ctx: mx.Context) -> None:
    made = []
    for each in (ctx, HOST):
        mx.random.seed(5)
        made.append(FUNCTIONS[name](BYTES.copyto(each), FLOATS.copyto(each)))
    assert_alike(made[0], made[1], ctx, pixels=True)


@pytest.mark.parametrize("name", operators.__all__)
def test_every_operator(name: str, ctx: mx.Context) -> None:
    function = getattr(mx.nd.image, name)
    assert "data" in inspect.signature(function).parameters
    for image in (BYTES, FLOATS) if name != "normalize" else (mx.nd.image.to_tensor(BYTES),):
        made = []
        for each in (ctx, HOST):
            mx.random.seed(5)
            made.append(function(image.copyto(each), *OPERATORS.get(name, ())))
        assert_alike(made[0], made[1], ctx, pixels=True)
        out = made[0].copy()
        out[:] = 0
        mx.random.seed(5)
        there = image.copyto(ctx)
        assert function(there, *OPERATORS.get(name, ()), out=out) is out
        assert_alike(out, made[1], ctx, pixels=True)
