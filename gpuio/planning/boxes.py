"""The boxes of a picture's objects: rows of a label.

A row is class, left, top, right, bottom, and whatever follows; the sides are shares of the
picture's width and height.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError

Boxes = NDArray[Any]

LEFT, TOP, RIGHT, BOTTOM = 1, 2, 3, 4
SIDES = slice(LEFT, BOTTOM + 1)

# Numbers of a raw label's header, and of an object, at least.
LEAST_HEADER, LEAST_OBJECT = 2, 5


def split_label(raw: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A raw label's header, and its boxes that have an area: float32 (objects, numbers of an
    object).

    Raises
    ------
    RecordError : it is no detection label.
    """
    widths = raw[:LEAST_HEADER]
    if len(raw) < LEAST_HEADER or not (
        np.isfinite(widths).all() and (widths >= (LEAST_HEADER, LEAST_OBJECT)).all()
    ):
        raise RecordError(
            "a detection label begins with the header's width, at least 2, and an object's, at "
            f"least 5; this one is {raw[:6].tolist()}"
        )
    header, width = int(raw[0]), int(raw[1])
    if header > len(raw) or (len(raw) - header) % width:
        raise RecordError(
            f"Label shape {raw.shape} inconsistent with annotation width {width}, behind a header "
            f"of {header}"
        )
    boxes = raw[header:].reshape(-1, width)
    good = (boxes[:, RIGHT] > boxes[:, LEFT]) & (boxes[:, BOTTOM] > boxes[:, TOP])
    return raw[:header], boxes[good]


def areas(sides: Boxes) -> Boxes:
    """Of boxes' sides, (objects, 4); those with a side that is not above 0 have none."""
    lengths = (sides[:, 2:] - sides[:, :2]).clip(0)
    area: Boxes = lengths[:, 0] * lengths[:, 1]
    return area


def mirrored(label: Boxes) -> Boxes:
    """The boxes of the picture flipped left to right."""
    flipped = label.copy()
    flipped[:, LEFT], flipped[:, RIGHT] = 1 - label[:, RIGHT], 1 - label[:, LEFT]
    return flipped


def moved(label: Boxes, window: Any) -> Boxes:
    """The boxes as a window of the picture, (left, top, width, height) in its shares, has them."""
    seen = label.copy()
    left, top, width, height = window
    seen[:, [LEFT, RIGHT]] = (label[:, [LEFT, RIGHT]] - left) / width
    seen[:, [TOP, BOTTOM]] = (label[:, [TOP, BOTTOM]] - top) / height
    return seen
