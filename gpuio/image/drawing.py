"""Drawing boxes into images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gpuio.nd.types import HostArray

# The color of each class, repeating.
COLORS = (
    (230, 60, 50),
    (40, 130, 230),
    (20, 160, 80),
    (240, 160, 0),
    (150, 70, 200),
    (0, 160, 170),
)


def draw_boxes(
    pixels: NDArray[np.uint8],
    boxes: HostArray,
    color: Sequence[int] | None = None,
    thickness: int = 2,
    names: Mapping[int, str] | None = None,
) -> None:
    """Draw boxes into an image.

    Parameters
    ----------
    pixels : uint8 (height, width, 3), contiguous; it is changed
    boxes : (objects, at least 5): class, left, top, right, bottom, as fractions of width and height
    color : of all boxes; None: one for each class
    thickness : of the lines, in pixels
    names : text above the boxes of a class
    """
    import cv2

    sides = np.array([pixels.shape[1], pixels.shape[0]])
    for box in boxes:
        number = int(box[0])
        corners = (box[1:5].reshape(2, 2) * sides).round().astype(int)
        lines = tuple(color) if color is not None else COLORS[number % len(COLORS)]
        first, last = corners[0].tolist(), (corners[1] - 1).tolist()
        cv2.rectangle(pixels, first, last, lines, thickness)
        if names is not None and number in names:
            place = (first[0] + thickness, max(first[1] - thickness - 1, 10))
            cv2.putText(pixels, names[number], place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, lines, 1)
