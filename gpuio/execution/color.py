"""Colors and borders of resampled images, before they are assembled."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.context import Module
from gpuio.nd.types import Array
from gpuio.planning.plan import Jitter, Plan

# Columns of a plan's color: what multiplies the pixel, its sample's mean, and 1.
PIXEL, MEAN, ONE = slice(0, 3), slice(3, 6), 6

# Hue in steps of two degrees, as in OpenCV, which stores it in a byte.
HUES = 180


def jitter_batch(xp: Module, pixels: Array, jitter: Jitter | None) -> Array:
    """Change the pixel values of a batch.

    Parameters
    ----------
    xp : the array library, NumPy or CuPy
    pixels : uint8 (N, height, width, channels), on its device; 3 channels if the jitter has `color`
        or `hls`
    jitter : of these samples

    Returns
    -------
    A new array, or `pixels` if nothing changes. `jitter_sample` may differ from it by 1 before the
    contrast.
    """
    if jitter is None:
        return pixels
    matrices = batch_color_matrices(jitter.color, pixels)
    if matrices is not None:
        pixels = _mix(xp, pixels, xp.asarray(matrices))
    if jitter.hls is not None and jitter.hls.any():
        changed = xp.asarray(jitter.hls.any(1))[:, None, None, None]
        shift = xp.asarray(jitter.hls, xp.float32)[:, None, None, :]
        hls = _to_hls(xp, pixels) + shift
        if jitter.wrap_hue:
            hls[..., 0] %= HUES
        else:
            hls[..., 0] = hls[..., 0].clip(0, HUES)
        hls[..., 1:] = hls[..., 1:].clip(0, 255)
        pixels = xp.where(changed, _from_hls(xp, hls), pixels)
    if jitter.gain is not None and (jitter.gain != 1).any():
        gain = xp.asarray(jitter.gain, xp.float32)[:, None, None, None]
        pixels = xp.rint(pixels * gain).clip(0, 255).astype(xp.uint8)
    return pixels


def _mix(xp: Module, pixels: Array, matrices: Array) -> Array:
    """Multiply (r, g, b, 1) by matrices, (N, 3, 4); rounded and clipped to uint8."""
    red, green, blue = (pixels[..., channel].astype(xp.float32) for channel in range(3))
    mixed: Array = xp.empty_like(pixels)
    for channel in range(3):
        r, g, b, constant = matrices[:, channel].T[:, :, None, None]
        mixed[..., channel] = xp.rint(r * red + g * green + b * blue + constant).clip(0, 255)
    return mixed


def jitter_sample(jitter: Jitter | None, row: int, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same as `jitter_batch`, for one sample on the host."""
    if jitter is None:
        return pixels
    matrix = color_matrix(jitter.color, row, pixels)
    if matrix is not None:
        pixels = cv2.transform(pixels, matrix)  # type: ignore[assignment]
    if jitter.hls is not None and jitter.hls[row].any():
        hls = cv2.cvtColor(pixels, cv2.COLOR_RGB2HLS)
        shifted = hls.astype(np.int16) + jitter.hls[row].astype(np.int16)
        if jitter.wrap_hue:
            shifted[..., 0] %= HUES
        else:
            shifted[..., 0] = shifted[..., 0].clip(0, HUES)
        pixels = cv2.cvtColor(shifted.clip(0, 255).astype(np.uint8), cv2.COLOR_HLS2RGB)
    if jitter.gain is not None and jitter.gain[row] != 1:
        scaled = cv2.convertScaleAbs(pixels, alpha=float(jitter.gain[row]))
        pixels = scaled.reshape(pixels.shape)  # type: ignore[assignment]
    return pixels


def _to_hls(xp: Module, pixels: Array) -> Array:
    """RGB, uint8 (…, 3), to hue, lightness and saturation: float32 (…, 3), integers (Joblove and
    Greenberg, Color spaces for computer graphics, 1978).
    """
    rgb = pixels.astype(xp.float32) / 255
    high, low = rgb.max(-1), rgb.min(-1)
    chroma, total = high - low, high + low
    hue = hue_of(xp, rgb[..., 0], rgb[..., 1], rgb[..., 2], high, chroma)
    largest_chroma = xp.where(total < 1, total, 2 - total)
    saturation = chroma / xp.where(largest_chroma > 0, largest_chroma, 1)
    hls: Array = xp.rint(xp.stack([hue * (HUES / 6), total * 127.5, saturation * 255], axis=-1))
    return hls


def _from_hls(xp: Module, hls: Array) -> Array:
    """The inverse of `_to_hls`, to uint8."""
    hue, lightness, saturation = hls[..., 0] / (HUES / 6), hls[..., 1] / 255, hls[..., 2] / 255
    high = lightness + saturation * xp.minimum(lightness, 1 - lightness)
    low = 2 * lightness - high
    rgb = rgb_of_hue(xp, hue, low, high - low)
    pixels: Array = xp.rint(rgb * 255).clip(0, 255).astype(xp.uint8)
    return pixels


def hue_of(xp: Module, red: Array, green: Array, blue: Array, high: Array, chroma: Array) -> Array:
    """Hue in sixths of a turn, 0 to 6; `high` is the largest channel, `chroma` its distance from
    the smallest. All are floating-point, of one shape.
    """
    divisor = xp.where(chroma > 0, chroma, 1)
    hue: Array = xp.where(
        high == red,
        (green - blue) / divisor,
        xp.where(high == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    return xp.where(hue < 0, hue + 6, hue)  # type: ignore[no-any-return]


def rgb_of_hue(xp: Module, hue: Array, low: Array, chroma: Array) -> Array:
    """RGB, (…, 3), from the hue, 0 to 6 sixths of a turn, the smallest channel, and the chroma."""
    # Each channel is high over a third of the circle, and low opposite of it.
    shares = xp.abs(hue - 3) - 1, 2 - xp.abs(hue - 2), 2 - xp.abs(hue - 4)
    channels = [low + chroma * share.clip(0, 1) for share in shares]
    return xp.stack(channels, axis=-1)  # type: ignore[no-any-return]


def paint_borders(xp: Module, pixels: Array, plan: Plan) -> Array:
    """Paint the borders of a batch.

    Parameters
    ----------
    xp : the array library, NumPy or CuPy
    pixels : uint8 (N, height, width, channels), on its device
    plan : of these samples

    Returns
    -------
    A new array, or `pixels` if there are no borders
    """
    if not plan.borders:
        return pixels
    rows, columns = xp.arange(pixels.shape[1]), xp.arange(pixels.shape[2])
    for border in plan.borders:
        x0, y0, x1, y1 = (xp.asarray(edge)[:, None] for edge in border.inside.T)
        down, across = (rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1)
        inside = down[:, :, None, None] & across[:, None, :, None]
        pixels = xp.where(inside, pixels, xp.asarray(border.fill)[:, None, None, :])
    return pixels


def batch_color_matrices(
    color: NDArray[np.float64] | None, pixels: Array
) -> NDArray[np.float32] | None:
    """The color matrices of a batch, given its pixels.

    Parameters
    ----------
    color : float64 (N, 3, 7), see `Plan`; None: no change
    pixels : uint8 (N, height, width, 3), NumPy's or CuPy's

    Returns
    -------
    float32 (N, 3, 4), on the host: RGB becomes ``matrix @ (r, g, b, 1)``; None: no change
    """
    if color is None:
        return None
    if not color[:, :, MEAN].any():
        return _matrices(color, np.zeros((len(pixels), 3)))
    total = pixels.sum(axis=(1, 2), dtype=np.uint64)
    total = total if isinstance(total, np.ndarray) else total.get()
    return _matrices(color, total / (pixels.shape[1] * pixels.shape[2]))


def color_matrix(
    color: NDArray[np.float64] | None, row: int, pixels: NDArray[np.uint8]
) -> NDArray[np.float32] | None:
    """The color matrix of one sample: float32 (3, 4), or None, as `batch_color_matrices`.

    Parameters
    ----------
    pixels : uint8 (height, width, 3), on the host
    """
    if color is None:
        return None
    mean = np.zeros(3)
    if color[row, :, MEAN].any():
        mean = np.array(cv2.sumElems(pixels)[:3]) / (pixels.shape[0] * pixels.shape[1])
    return _matrices(color[row], mean)


def _matrices(color: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Substitute the means, (…, 3), into colors, (…, 3, 7)."""
    constant = (color[..., MEAN] * mean[..., None, :]).sum(-1)
    constant += color[..., ONE]
    return np.concatenate([color[..., PIXEL], constant[..., None]], axis=-1).astype(np.float32)
