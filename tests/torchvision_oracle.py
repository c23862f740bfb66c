"""What torchvision makes of images, and how far gpuio's results may be from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gpuio.planning.augmentation_spaces import (
    NAMES,
    RANDAUGMENT,
    TRIVIAL_WIDE,
    named_operations,
)
from gpuio.planning.operations import WARP_NEAREST
from gpuio.planning.policies import INTERPOLATIONS

GOLDEN = np.load(Path(__file__).parent / "golden" / "data" / "torchvision.npz")
SPACES = {"RandAugment": RANDAUGMENT, "TrivialAugmentWide": TRIVIAL_WIDE}
BINS = 31

# torchvision computes in float32 where a pixel comes from; nearest may take a neighbor where that
# is within so many pixels of a border between two.
NEAR = 1e-3


def named(
    space: str, interpolation: str, name: str, magnitude: int, sign: int, shape: tuple[int, ...]
) -> np.ndarray:
    """The operation (1,) of a space with a number of its magnitude, for an image of a shape."""
    height, width, channels = shape
    return named_operations(
        np.array([NAMES.index(name)]),
        np.array([magnitude]),
        np.array([sign < 0]),
        BINS,
        SPACES[space],
        (width, height),
        INTERPOLATIONS[interpolation],
        (0,) * channels,
    )


def assert_agrees(ours: np.ndarray, theirs: np.ndarray, operation: np.void, most: int) -> None:
    """Compare results.

    Parameters
    ----------
    most : by how much pixel values may differ
    """
    distance = np.abs(ours.astype(int) - theirs)
    if operation["code"] == WARP_NEAREST:
        distance[near_borders(operation, ours.shape)] = 0
    assert distance.max() <= most, f"differs by {distance.max()} at {np.argwhere(distance > most)}"


def near_borders(operation: np.void, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels of a warp whose source lies near the border between two pixels: bool (height,
    width).
    """
    height, width, _ = shape
    i, j = np.mgrid[:height, :width]
    place = np.stack([j, i, np.ones_like(i)], axis=-1)
    source = place @ operation["values"].reshape(2, 3).T * 2.0**-32
    near: np.ndarray = (np.abs(source - np.rint(source)) < NEAR).any(-1)
    return near
