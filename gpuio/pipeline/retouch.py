"""Between resampling and assembly: canvases are painted, and changes of colour become matrices."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.pipeline.plan import Plan

# Columns of a plan's colours: what multiplies the pixel, its sample's mean, and 1.
PIXEL, MEAN, ONE = slice(0, 3), slice(3, 6), 6


def paint(xp: Any, pixels: Any, plan: Plan) -> Any:
    """Paint what does not show the picture.

    Parameters
    ----------
    xp : the array library, NumPy or CuPy
    pixels : uint8 (N, height, width, 3), on its device
    plan : of these samples

    Returns
    -------
    a new array, or `pixels` where there is nothing to paint
    """
    if plan.shown is None:
        return pixels
    x0, y0, x1, y1 = (xp.asarray(side)[:, None] for side in plan.shown.T)
    rows, columns = xp.arange(pixels.shape[1]), xp.arange(pixels.shape[2])
    down, across = (rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1)
    inside = down[:, :, None, None] & across[:, None, :, None]
    return xp.where(inside, pixels, xp.asarray(plan.fill)[:, None, None, :])


def batch_matrices(plan: Plan, pixels: Any) -> NDArray[np.float32] | None:
    """The colour matrices of a batch whose pixels are known.

    Parameters
    ----------
    pixels : uint8 (N, height, width, 3), NumPy's or CuPy's

    Returns
    -------
    float32 (N, 3, 4), on the host: RGB becomes ``matrix @ (r, g, b, 1)``; None: as it is
    """
    if plan.colour is None:
        return None
    if not plan.colour[:, :, MEAN].any():
        return _matrices(plan.colour, np.zeros((len(pixels), 3)))
    total = pixels.sum(axis=(1, 2), dtype=np.uint64)
    total = total if isinstance(total, np.ndarray) else total.get()
    return _matrices(plan.colour, total / (pixels.shape[1] * pixels.shape[2]))


def matrix(plan: Plan, row: int, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """As `batch_matrices` has it, of one sample: pixels, uint8 (height, width, 3), on the host, to
    float32 (3, 4).
    """
    if plan.colour is None:
        return None
    colour = plan.colour[row]
    mean = np.zeros(3)
    if colour[:, MEAN].any():
        mean = np.array(cv2.sumElems(pixels)[:3]) / (pixels.shape[0] * pixels.shape[1])
    return _matrices(colour, mean)


def _matrices(colour: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Of (…, 3, 7) and (…, 3)."""
    moved = (colour[..., MEAN] * mean[..., None, :]).sum(-1)
    moved += colour[..., ONE]
    return np.concatenate([colour[..., PIXEL], moved[..., None]], axis=-1).astype(np.float32)
