"""The interface of planners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.limits import MAX_PIXELS
from gpuio.errors import Error
from gpuio.planning.plan import Plan

# A label as a record or a list has it, and as a batch has it: a number, or float32 (n,).
Label: TypeAlias = float | NDArray[np.float32]

# The labels of N samples; float32 (N,) if all are single numbers.
Labels: TypeAlias = "Sequence[Label | None] | NDArray[np.float32]"


class Samples(NamedTuple):
    """What a planner is given: N samples.

    Attributes
    ----------
    epoch, record : int64 (N,): with the seed, they determine all random choices of a sample
    sizes : int64 (N, 2), width and height of the images in pixels; 1 x 1 for bad records
    labels : the records' labels; None for bad records
    max_pixels : the most that an image may have at any step; more makes a record bad
    """

    epoch: NDArray[np.int64]
    record: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: Labels
    max_pixels: int = MAX_PIXELS


class PlannedBatch(NamedTuple):
    """What a planner returns for N samples.

    Attributes
    ----------
    plan : rows of samples with an error mean nothing
    labels : what is assigned to each row of the batch's labels; None for samples with an error
    errors : row -> why its record cannot be used
    """

    plan: Plan
    labels: Labels
    errors: dict[int, Error]


class AffineFill(NamedTuple):
    """What is common to all affine maps of a planner.

    Attributes
    ----------
    fill : pixel values outside the images, one for each channel
    nearest : the interpolation is NEAREST; otherwise any other
    """

    fill: tuple[int, ...]
    nearest: bool


class Planner(ABC):
    """Plans batches: their images' geometry and colors, and their labels.

    Attributes
    ----------
    borders : whether its plans may have borders
    affine : its plans have affine maps; None: they have windows
    """

    borders: bool = False
    affine: AffineFill | None = None

    @abstractmethod
    def plan(self, samples: Samples) -> PlannedBatch:
        """Plan a batch."""


def listed(labels: Labels) -> list[Label | None]:
    """Labels as a list, in which single numbers are Python's."""
    return labels.tolist() if isinstance(labels, np.ndarray) else list(labels)


def convert_labels(
    labels: Labels, convert: Callable[[Label], Label]
) -> tuple[list[Label | None], dict[int, Error]]:
    """Apply a function to each label that is not None.

    Returns
    -------
    The results, None where it raised an Error, and these errors by row.
    """
    converted: list[Label | None] = []
    errors: dict[int, Error] = {}
    for row, label in enumerate(listed(labels)):
        try:
            converted.append(None if label is None else convert(label))
        except Error as error:
            converted.append(None)
            errors[row] = error
    return converted, errors
