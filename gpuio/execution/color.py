"""Between resampling and assembly: pixels are jittered in HLS, canvases are painted, and changes of
colour become matrices.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.planning.plan import Plan

# Columns of a plan's colours: what multiplies the pixel, its sample's mean, and 1.
PIXEL, MEAN, ONE = slice(0, 3), slice(3, 6), 6

# Hue is counted in steps of two degrees, as OpenCV does to hold it in a byte.
HUES = 180


def jitter(xp: Any, pixels: Any, plan: Plan) -> Any:
    """Change hue, lightness, saturation and contrast of a batch.

    Parameters
    ----------
    xp : the array library, NumPy or CuPy
    pixels : uint8 (N, height, width, 3), on its device
    plan : of these samples

    Returns
    -------
    a new array, or `pixels` where there is nothing to change; `jitter_one` may differ from it by a
    level before the contrast
    """
    if plan.hls is not None and plan.hls.any():
        moved = xp.asarray(plan.hls.any(1))[:, None, None, None]
        shift = xp.asarray(plan.hls, xp.float32)[:, None, None, :]
        levels = _to_hls(xp, pixels) + shift
        levels[..., 0] %= HUES
        levels[..., 1:] = levels[..., 1:].clip(0, 255)
        pixels = xp.where(moved, _from_hls(xp, levels), pixels)
    if plan.gain is not None and (plan.gain != 1).any():
        gain = xp.asarray(plan.gain, xp.float32)[:, None, None, None]
        pixels = xp.rint(pixels * gain).clip(0, 255).astype(xp.uint8)
    return pixels


def jitter_one(plan: Plan, row: int, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As `jitter`, of one sample on the host: uint8 (height, width, 3)."""
    if plan.hls is not None and plan.hls[row].any():
        hls = cv2.cvtColor(pixels, cv2.COLOR_RGB2HLS)
        levels = hls.astype(np.int16) + plan.hls[row].astype(np.int16)
        levels[..., 0] %= HUES
        pixels = cv2.cvtColor(levels.clip(0, 255).astype(np.uint8), cv2.COLOR_HLS2RGB)
    if plan.gain is not None and plan.gain[row] != 1:
        scaled = cv2.convertScaleAbs(pixels, alpha=float(plan.gain[row]))
        pixels = scaled.reshape(pixels.shape)  # type: ignore[assignment]
    return pixels


def _to_hls(xp: Any, pixels: Any) -> Any:
    """RGB, uint8 (…, 3), to hue, lightness and saturation: float32 (…, 3), whole numbers (Joblove
    and Greenberg, Color spaces for computer graphics, 1978).
    """
    levels = pixels.astype(xp.float32) / 255
    red, green, blue = levels[..., 0], levels[..., 1], levels[..., 2]
    high, low = levels.max(-1), levels.min(-1)
    chroma, total = high - low, high + low
    some = xp.where(chroma > 0, chroma, 1)
    hue = xp.where(
        high == red,
        (green - blue) / some % 6,
        xp.where(high == green, (blue - red) / some + 2, (red - green) / some + 4),
    )
    room = xp.where(total < 1, total, 2 - total)
    saturation = chroma / xp.where(room > 0, room, 1)
    return xp.rint(xp.stack([hue * (HUES / 6), total * 127.5, saturation * 255], axis=-1))


def _from_hls(xp: Any, hls: Any) -> Any:
    """The reverse, to uint8."""
    hue, lightness, saturation = hls[..., 0] / (HUES / 6), hls[..., 1] / 255, hls[..., 2] / 255
    high = lightness + saturation * xp.minimum(lightness, 1 - lightness)
    low = 2 * lightness - high
    made = []
    for turn in (2, 0, -2):  # a third of the circle for each channel
        place = (hue + turn) % 6
        made.append(low + (high - low) * xp.minimum(place, 4 - place).clip(0, 1))
    return xp.rint(xp.stack(made, axis=-1) * 255).clip(0, 255).astype(xp.uint8)


def paint(xp: Any, pixels: Any, plan: Plan) -> Any:
    """Paint what lies around the pictures.

    Parameters
    ----------
    xp : the array library, NumPy or CuPy
    pixels : uint8 (N, height, width, 3), on its device
    plan : of these samples

    Returns
    -------
    a new array, or `pixels` where there is nothing to paint
    """
    rows, columns = xp.arange(pixels.shape[1]), xp.arange(pixels.shape[2])
    for canvas in plan.canvases:
        x0, y0, x1, y1 = (xp.asarray(side)[:, None] for side in canvas.inside.T)
        down, across = (rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1)
        inside = down[:, :, None, None] & across[:, None, :, None]
        pixels = xp.where(inside, pixels, xp.asarray(canvas.fill)[:, None, None, :])
    return pixels


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
