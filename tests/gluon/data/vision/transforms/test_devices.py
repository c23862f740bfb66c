"""Every transform, on every device: on a second GPU while the first is current, too."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.gluon.data.batchify import Append, Stack
from gpuio.gluon.data.vision import transforms as T  # noqa: N812
from tests.devices import assert_alike
from tests.image.images import noise

BYTES = noise(12, 16)

TRANSFORMS: dict[str, Any] = {
    "Cast": T.Cast("float16"),
    "CenterCrop": T.CenterCrop((8, 6)),
    "Compose": T.Compose([T.CenterCrop(8), T.ToTensor(), T.Normalize([0.1, 0.2, 0.3], 0.5)]),
    "CropResize": T.CropResize(1, 2, 8, 6, (4, 4)),
    "HybridCompose": T.HybridCompose([T.RandomHue(0.5), T.Cast()]),
    "HybridRandomApply": T.HybridRandomApply(T.RandomLighting(50), 1),
    "Normalize": T.Compose([T.ToTensor(), T.Normalize(0.5, [1, 2, 3])]),
    "RandomApply": T.RandomApply([T.RandomHue(0.5), T.CropResize(1, 2, 8, 6)], 1),
    "RandomBrightness": T.RandomBrightness(0.5),
    "RandomColorJitter": T.RandomColorJitter(0.5, 0.5, 0.5, 0.5),
    "RandomContrast": T.RandomContrast(0.5),
    "RandomCrop": T.RandomCrop((8, 6), pad=4, pad_value=7),
    "RandomFlipLeftRight": T.RandomFlipLeftRight(),
    "RandomFlipTopBottom": T.RandomFlipTopBottom(),
    "RandomGray": T.RandomGray(1),
    "RandomHue": T.RandomHue(0.5),
    "RandomLighting": T.RandomLighting(50),
    "RandomResizedCrop": T.RandomResizedCrop((8, 6)),
    "RandomRotation": T.Compose([T.ToTensor(), T.RandomRotation((-20, 20), zoom_in=True)]),
    "RandomSaturation": T.RandomSaturation(0.5),
    "Resize": T.Resize(8, keep_ratio=True),
    "Rotate": T.Compose([T.ToTensor(), T.Rotate(30, zoom_out=True)]),
    "ToTensor": T.ToTensor(),
}


def test_all_are_here() -> None:
    assert TRANSFORMS.keys() | {"Block", "HybridBlock"} == {*T.__all__}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform(name: str, ctx: mx.Context) -> None:
    made = []
    for each in (ctx, mx.cpu()):
        mx.random.seed(5)
        made.append(TRANSFORMS[name](BYTES.copyto(each)))
    assert_alike(made[0], made[1], ctx, pixels=True)


@pytest.mark.parametrize("name", ["CropResize", "Normalize", "Resize", "Rotate", "ToTensor"])
def test_several_images_at_once(name: str, ctx: mx.Context) -> None:
    images = mx.nd.stack(BYTES, BYTES[::-1])
    assert_alike(TRANSFORMS[name](images.copyto(ctx)), TRANSFORMS[name](images), ctx, pixels=True)


def test_batches(ctx: mx.Context) -> None:
    samples = [BYTES.copyto(ctx), BYTES.copyto(ctx)]
    expected = mx.nd.stack(BYTES, BYTES)
    assert_alike(Stack()(samples), expected, ctx, pixels=True)
    assert_alike(Append()(samples), [expected[:1], expected[:1]], ctx, pixels=True)
    labels = np.array([1, 2], np.float32)
    if ctx != mx.cpu():
        parts = mx.gluon.utils.split_and_load(expected, [mx.cpu(), ctx])
        assert_alike(parts[1], expected[1:], ctx, pixels=True)
    for part in mx.gluon.utils.split_data(mx.nd.array(labels, ctx), 2):
        assert part.context == ctx
