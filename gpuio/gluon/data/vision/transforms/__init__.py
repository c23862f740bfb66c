"""MXNet's ``gluon.data.vision.transforms``: changes of one image at a time.

Each is a function of an image (height, width, channels), an NDArray or a plain array on either
device, and returns a new NDArray there. Random ones draw from `gpuio.sampling.sample_rng`: in a
DataLoader the numbers of the sample, elsewhere Python's and NumPy's generators.

>>> augment = transforms.Compose([
...     transforms.RandomResizedCrop(224),
...     transforms.RandomFlipLeftRight(),
...     transforms.ToTensor(),
...     transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
... ])
>>> dataset = dataset.transform_first(augment)

`HybridCompose`, `HybridRandomApply`, `RandomCrop` and `RandomGray` are MXNet 2.0's.
"""

from typing import Any

from gpuio.gluon.block import Block, HybridBlock
from gpuio.gluon.data.vision.transforms.color import (
    RandomBrightness,
    RandomColorJitter,
    RandomContrast,
    RandomGray,
    RandomHue,
    RandomLighting,
    RandomSaturation,
)
from gpuio.gluon.data.vision.transforms.compose import (
    Compose,
    HybridCompose,
    HybridRandomApply,
    RandomApply,
)
from gpuio.gluon.data.vision.transforms.geometry import (
    CenterCrop,
    CropResize,
    RandomCrop,
    RandomFlipLeftRight,
    RandomFlipTopBottom,
    RandomResizedCrop,
    RandomRotation,
    Resize,
    Rotate,
)
from gpuio.gluon.data.vision.transforms.tensor import Cast, Normalize, ToTensor
from gpuio.gluon.missing import missing_name

__all__ = [
    "Block",
    "Cast",
    "CenterCrop",
    "Compose",
    "CropResize",
    "HybridBlock",
    "HybridCompose",
    "HybridRandomApply",
    "Normalize",
    "RandomApply",
    "RandomBrightness",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomFlipLeftRight",
    "RandomFlipTopBottom",
    "RandomGray",
    "RandomHue",
    "RandomLighting",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSaturation",
    "Resize",
    "Rotate",
    "ToTensor",
]


def __getattr__(name: str) -> Any:
    hint = "any function of an image is a transform; gpuio.image has more to build one of"
    raise missing_name(__name__, name, hint, __all__)
