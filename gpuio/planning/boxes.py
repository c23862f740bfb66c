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


def split_label(raw: NDArray[np.float32]) -> tuple[NDArray[np.float32], Boxes]:
    """Split a raw label into its header and its boxes, float32 (objects, object width).

    Degenerate boxes are dropped.

    Raises
    ------
    RecordError : it is not a detection label.
    """
    widths = raw[:MIN_HEADER_WIDTH]
    if len(raw) < MIN_HEADER_WIDTH or not (
        np.isfinite(widths).all() and (widths >= (MIN_HEADER_WIDTH, MIN_OBJECT_WIDTH)).all()
    ):
        raise RecordError(
            "a detection label begins with the header's width, at least 2, and an object's, at "
            f"least 5; this one is {raw[:6].tolist()}"
        )
    header, width = int(raw[0]), int(raw[1])
    if header > len(raw) or (len(raw) - header) % width:
        raise RecordError(
            f"Label shape {raw.shape} inconsistent with annotation width {width}, after a header "
            f"of {header}"
        )
    boxes = raw[header:].reshape(-1, width)
    return raw[:header], boxes[~is_degenerate(boxes)]


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
