"""MXNet's ``mx.image``: images as arrays, (height, width, channels), RGB, on either device; and
augmentations that came after it.
"""

import sys

from gpuio.image.augment_color import (
    BrightnessJitterAug,
    CastAug,
    ColorJitterAug,
    ColorNormalizeAug,
    ContrastJitterAug,
    HueJitterAug,
    LightingAug,
    RandomGrayAug,
    SaturationJitterAug,
)
from gpuio.image.augment_geometry import (
    CenterCropAug,
    ForceResizeAug,
    HorizontalFlipAug,
    RandomCropAug,
    RandomSizedCropAug,
    ResizeAug,
)
from gpuio.image.augment_operations import (
    ColorJitter,
    RandAugment,
    RandomErasing,
    TrivialAugmentWide,
)
from gpuio.image.augmenter import Augmenter, RandomOrderAug, SequentialAug
from gpuio.image.codec import imdecode, imencode, imread
from gpuio.image.color import color_normalize
from gpuio.image.create_augmenter import CreateAugmenter
from gpuio.image.create_det_augmenter import CreateDetAugmenter, CreateMultiRandCropAugmenter
from gpuio.image.det_augmenter import (
    DetAugmenter,
    DetBorrowAug,
    DetHorizontalFlipAug,
    DetRandomCropAug,
    DetRandomPadAug,
    DetRandomSelectAug,
)
from gpuio.image.geometry import (
    center_crop,
    copyMakeBorder,
    fixed_crop,
    get_interp_method,
    imresize,
    random_crop,
    random_size_crop,
    resize_short,
    scale_down,
)
from gpuio.image.image_det_iter import ImageDetIter
from gpuio.image.image_iter import ImageIter
from gpuio.image.rotate import imrotate, random_rotate
from gpuio.planning.mixing import CutMix, MixUp

# MXNet's name of it, which gluon-cv imports.
_get_interp_method = get_interp_method

__all__ = [
    "Augmenter",
    "BrightnessJitterAug",
    "CastAug",
    "CenterCropAug",
    "ColorJitter",
    "ColorJitterAug",
    "ColorNormalizeAug",
    "ContrastJitterAug",
    "CreateAugmenter",
    "CreateDetAugmenter",
    "CreateMultiRandCropAugmenter",
    "CutMix",
    "DetAugmenter",
    "DetBorrowAug",
    "DetHorizontalFlipAug",
    "DetRandomCropAug",
    "DetRandomPadAug",
    "DetRandomSelectAug",
    "ForceResizeAug",
    "HorizontalFlipAug",
    "HueJitterAug",
    "ImageDetIter",
    "ImageIter",
    "LightingAug",
    "MixUp",
    "RandAugment",
    "RandomCropAug",
    "RandomErasing",
    "RandomGrayAug",
    "RandomOrderAug",
    "RandomSizedCropAug",
    "ResizeAug",
    "SaturationJitterAug",
    "SequentialAug",
    "TrivialAugmentWide",
    "center_crop",
    "color_normalize",
    "copyMakeBorder",
    "fixed_crop",
    "imdecode",
    "imencode",
    "imread",
    "imresize",
    "imrotate",
    "random_crop",
    "random_rotate",
    "random_size_crop",
    "resize_short",
    "scale_down",
]

# MXNet's names of the modules that define them: mx.image.image.imread is mx.image.imread.
image = detection = sys.modules[__name__]
sys.modules[f"{__name__}.image"] = sys.modules[f"{__name__}.detection"] = image
