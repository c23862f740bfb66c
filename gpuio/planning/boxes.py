"""Bounding boxes of an image's objects, as rows of a label.

A row is class, left, top, right, bottom, and further numbers; the coordinates are fractions of the
image's width and height.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError

Boxes: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.floating]

LEFT, TOP, RIGHT, BOTTOM = 1, 2, 3, 4
CORNERS = slice(LEFT, BOTTOM + 1)

# The least length of a raw label's header, and of an object.
MIN_HEADER_WIDTH, MIN_OBJECT_WIDTH = 2, 5

# The most numbers in a label, unless the caller asks for more: over 50,000 objects, 1 MiB.
MAX_LABEL = 1 << 18

# The largest absolute value of a coordinate: even labels in pixels stay far below.
MAX_COORDINATE = 1 << 24


def split_label(
    raw: NDArray[np.float32], most: int = MAX_LABEL
) -> tuple[NDArray[np.float32], Boxes]:
    """Split a raw label into its header and its boxes, float32 (objects, object width).

    Degenerate boxes are dropped.

    Parameters
    ----------
    raw : float32 (n,)
    most : the most numbers that a label may have

    Raises
    ------
    RecordError : it is not a detection label, see `label_widths`; or a coordinate is infinite, or
        above MAX_COORDINATE.
    """
    header, width = label_widths(raw, most)
    boxes = raw[header:].reshape(-1, width)
    boxes = boxes[~is_degenerate(boxes)]
    largest = np.abs(boxes[:, CORNERS]).max(initial=0)
    if largest > MAX_COORDINATE:
        raise RecordError(
            "the coordinates of a box are fractions of the image's width and height, and this "
            f"label has one of {largest:g}"
        )
    return raw[:header], boxes


def label_widths(raw: NDArray[np.float32], most: int = MAX_LABEL) -> tuple[int, int]:
    """The lengths of a raw label's header and of an object.

    Parameters
    ----------
    raw, most : see `split_label`

    Raises
    ------
    RecordError : the label is too long, its first two numbers are not these lengths, or the objects
        are incomplete.
    """
    if len(raw) > most:
        raise RecordError(
            f"the label has {len(raw)} numbers, more than the {most} that a detection label may "
            "have"
        )
    first, second = raw[:MIN_HEADER_WIDTH].tolist() if len(raw) > 1 else (0.0, 0.0)
    if not (
        MIN_HEADER_WIDTH <= first <= most
        and MIN_OBJECT_WIDTH <= second <= most
        and first % 1 == second % 1 == 0
    ):
        raise RecordError(
            "a detection label begins with the header's width, an integer of at least 2, and an "
            f"object's, of at least 5; this one is {raw[:6].tolist()}"
        )
    header, width = int(first), int(second)
    if header > len(raw) or (len(raw) - header) % width:
        raise RecordError(
            f"Label shape {raw.shape} inconsistent with annotation width {width}, after a header "
            f"of {header}"
        )
    return header, width


def is_degenerate(boxes: Floats) -> NDArray[np.bool_]:
    """Whether boxes have no area: bool (…,) for (…, at least 5)."""
    positive: NDArray[np.bool_] = (boxes[..., RIGHT] > boxes[..., LEFT]) & (
        boxes[..., BOTTOM] > boxes[..., TOP]
    )
    return ~positive


def areas(corners: Floats) -> Floats:
    """Area of each box, given its corners (objects, 4); 0 for degenerate boxes."""
    lengths = (corners[:, 2:] - corners[:, :2]).clip(0)
    area: Floats = lengths[:, 0] * lengths[:, 1]
    return area


def flip_boxes(boxes: Boxes) -> Boxes:
    """The boxes of the image flipped left to right."""
    flipped = boxes.copy()
    flipped[:, LEFT], flipped[:, RIGHT] = 1 - boxes[:, RIGHT], 1 - boxes[:, LEFT]
    return flipped


def boxes_in_window(boxes: Boxes, window: Sequence[float] | NDArray[np.float64]) -> Boxes:
    """The boxes in the coordinates of a window of the image.

    Parameters
    ----------
    window : left, top, width, height, as fractions of the image's width and height
    """
    seen = boxes.copy()
    left, top, width, height = window
    seen[:, [LEFT, RIGHT]] = (boxes[:, [LEFT, RIGHT]] - left) / width
    seen[:, [TOP, BOTTOM]] = (boxes[:, [TOP, BOTTOM]] - top) / height
    return seen
