"""What the DALI graph decodes and resamples of each image: regions, and windows or affine maps in
them. Only the pixels that a window or a map reads are decoded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.nd.types import HostArray
from gpuio.planning.plan import NEAREST, Ints, Plan

# Pixels on each side of a window that its interpolation reads, in pixels of the coarser grid: of
# NEAREST, LINEAR, CUBIC, AREA and LANCZOS.
SUPPORT = np.array([1, 1, 2, 1, 4])

# Pixels on each side of what affine maps show that bilinear interpolation may read.
WARP_MARGIN = 2

# What lies within half a pixel of a region's limit is the edge's color, and so is all beyond.
EDGE = 0.5

# DALI's nearest neighbor takes the source pixel at the output pixel's center, OpenCV's (and
# MXNet's) the one at its corner. Half an output pixel less, and a little more against rounding,
# turns the one into the other.
CORNER, EPSILON = 0.5, 1e-3


def window_arrays(
    plan: Plan, size: tuple[int, int], borders: bool, bad: list[int]
) -> dict[str, Any]:
    """Compute the fields of a `Feed` for windows.

    Parameters
    ----------
    plan : of B samples
    size : width and height of the output in pixels
    borders : whether the graph was built for borders
    bad : rows whose images are replaced by one pixel

    Returns
    -------
    `anchor`, `shape`, `start` and `end`; with borders also `visible` and `offset`
    """
    # DALI reads outside its memory for windows far outside an image: it gets the visible part, or
    # if there is none, the image's first pixel, which is painted over.
    visible = plan.visible(size)
    hidden = (visible[:, 2:] <= visible[:, :2]).any(1)
    visible[hidden] = 0, 0, 1, 1
    shown = visible[:, 2:] - visible[:, :2]
    pixel = plan.window[:, 2:] / size
    window = np.concatenate([plan.window[:, :2] + visible[:, :2] * pixel, shown * pixel], axis=1)
    window[hidden, :2], window[hidden, 2:] = plan.bounds[hidden, :2], 1
    region = _region(plan, window, shown)
    region[bad], window[bad] = (0, 0, 1, 1), (0, 0, 1, 1)
    start = window[:, 1::-1] - region[:, 1::-1]
    extent = window[:, :1:-1]
    corner = np.where(plan.method == NEAREST, CORNER, 0)[:, None] * extent / shown[:, ::-1]
    shift = EPSILON * (corner > 0) - corner
    if plan.resample_flipped is not None:
        shift[plan.resample_flipped, 1] *= -1
    start = start + shift
    end = start + extent
    shape = region[:, :1:-1] - region[:, 1::-1]
    # Beyond the region its edge repeats; DALI reads outside its memory if nothing overlaps.
    before, after = end < EDGE, start > shape - EDGE
    start, end = (
        np.where(before, edge, np.where(after, shape - 1 + edge, value))
        for edge, value in ((0, start), (1, end))
    )
    nearest = (plan.method == NEAREST)[:, None]
    inside = _nearest_inside(start, end, shape, shown[:, ::-1])
    start, end = (
        np.where(nearest, new, old) for new, old in zip(inside, (start, end), strict=True)
    )
    arrays = {
        "anchor": region[:, 1::-1].astype(np.int32),
        "shape": shape.astype(np.int32),
        "start": start.astype(np.float32),
        "end": end.astype(np.float32),
    }
    if borders:
        arrays["visible"] = shown[:, ::-1].astype(np.float32)
        arrays["offset"] = -visible[:, 1::-1].astype(np.int32)
    return arrays


def _nearest_inside(
    start: HostArray, end: HostArray, shape: Ints, size: Ints
) -> tuple[HostArray, HostArray]:
    """Windows of which all pixels that nearest neighbor takes lie inside the region: beyond it DALI
    corrupts memory. Windows that are inside stay as they are, others are squeezed.

    Parameters
    ----------
    start, end, shape, size : (B, 2), rows and columns: windows, regions, and numbers of pixels that
        are taken, evenly and each from the middle of its part of the window
    """
    half = (end - start) / size / 2
    margin = EPSILON + shape * 2.0**-20  # for float32
    first, last = start + half, end - half
    low, high = (each.clip(margin, shape - margin) for each in (first, last))
    moved, single = (low != first) | (high != last), size == 1
    # Where all were beyond the same edge, they are spread within its pixel.
    beyond = (low == high) & ~single
    high = np.where(beyond & (low < 0.5), low + 0.5, high)
    low = np.where(beyond & (low == high), high - 0.5, low)
    half = np.where(single, half, (high - low) / np.maximum(size - 1, 1) / 2)
    return np.where(moved, low - half, start), np.where(moved, high + half, end)


def affine_arrays(
    plan: Plan, matrix: NDArray[np.float64], size: tuple[int, int], bad: list[int]
) -> dict[str, Any]:
    """Compute the fields of a `Feed` for affine maps, (B, 2, 3); see `window_arrays`.

    Returns
    -------
    `anchor`, `shape` and `matrix`
    """
    corners = np.array([(x, y, 1) for x in (0, size[0] - 1) for y in (0, size[1] - 1)])
    ends = matrix @ corners.T
    first, last = plan.bounds[:, :2], plan.bounds[:, 2:]
    # Beyond the image everything is filled: one pixel of it is decoded where none is seen.
    low = np.clip(np.floor(ends.min(2)) - WARP_MARGIN, first, last - 1).astype(np.int64)
    high = np.clip(np.ceil(ends.max(2)) + WARP_MARGIN + 1, low + 1, last).astype(np.int64)
    low[bad], high[bad] = 0, 1
    to_region = matrix.copy()
    to_region[:, :, 2] += 0.5 - matrix[:, :, :2].sum(2) / 2 - low
    return {
        "anchor": low[:, ::-1].astype(np.int32),
        "shape": (high - low)[:, ::-1].astype(np.int32),
        "matrix": to_region.astype(np.float32),
    }


def _region(plan: Plan, window: NDArray[np.float64], size: Ints) -> Ints:
    """The pixels within the bounds that resampling windows, (N, 4), to sizes, (N, 2), reads:
    int64 (N, 4), x0, y0, x1, y1.
    """
    support = SUPPORT[plan.method][:, None]
    margin = support * np.maximum(window[:, 2:] / size, 1) + 1
    first, last = plan.bounds[:, :2], plan.bounds[:, 2:]
    low = np.floor(window[:, :2] - margin).clip(first, last - 1)
    high = np.ceil(window[:, :2] + window[:, 2:] + margin).clip(low + 1, last)
    return np.concatenate([low, high], axis=1).astype(np.int64)
