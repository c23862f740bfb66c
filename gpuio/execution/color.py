"""Colors and borders of resampled images, before they are assembled."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.context import Module
from gpuio.nd.types import Values
from gpuio.planning.plan import Jitter, Plan

# Columns of a plan's color: what multiplies the pixel, its sample's mean, and 1.
PIXEL, MEAN, ONE = slice(0, 3), slice(3, 6), 6

# Hue in steps of two degrees, as in OpenCV, which stores it in a byte.
HUES = 180


def finish_pixels(pixels: NDArray[np.uint8], plan: Plan) -> NDArray[np.uint8]:
    """Jitter resampled images, and paint their borders; see `Plan`. The twin of kernels/finish.cu.

    Parameters
    ----------
    pixels : uint8 (N, height, width, channels), on the host
    plan : of these samples

    Returns
    -------
    A new array, or `pixels` if nothing changes
    """
    pixels = paint_borders(jitter_batch(pixels, plan.image_jitter), plan)
    return jitter_batch(pixels, plan.jitter)


def jitter_batch(pixels: NDArray[np.uint8], jitter: Jitter | None) -> NDArray[np.uint8]:
    """Change the pixel values of a batch.

    Parameters
    ----------
    pixels : uint8 (N, height, width, channels), on the host; 3 channels if the jitter has `color`
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
        pixels = _mix(pixels, matrices)
    if jitter.hls is not None and jitter.hls.any():
        changed = jitter.hls.any(1).reshape(-1, 1, 1, 1)
        shift = jitter.hls.astype(np.float32)[:, None, None, :]
        hls = _to_hls(pixels) + shift
        if jitter.wrap_hue:
            hls[..., 0] %= HUES
        else:
            hls[..., 0] = hls[..., 0].clip(0, HUES)
        hls[..., 1:] = hls[..., 1:].clip(0, 255)
        pixels = np.where(changed, _from_hls(hls), pixels)
    if jitter.gain is not None and (jitter.gain != 1).any():
        gain = jitter.gain.astype(np.float32)[:, None, None, None]
        pixels = np.rint(pixels * gain).clip(0, 255).astype(np.uint8)
    return pixels


def _mix(pixels: NDArray[np.uint8], matrices: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Multiply (r, g, b, 1) by matrices, (N, 3, 4); rounded and clipped to uint8."""
    red, green, blue = (pixels[..., channel].astype(np.float32) for channel in range(3))
    mixed = np.empty_like(pixels)
    for channel in range(3):
        r, g, b, constant = matrices[:, channel].T[:, :, None, None]
        mixed[..., channel] = np.rint(r * red + g * green + b * blue + constant).clip(0, 255)
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


def _to_hls(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """RGB, uint8 (…, 3), to hue, lightness and saturation: float32 (…, 3), integers (Joblove and
    Greenberg, Color spaces for computer graphics, 1978).
    """
    rgb = pixels.astype(np.float32) / 255
    high, low = rgb.max(-1), rgb.min(-1)
    chroma, total = high - low, high + low
    hue = hue_of(np, rgb[..., 0], rgb[..., 1], rgb[..., 2], high, chroma)
    largest_chroma = np.where(total < 1, total, 2 - total)
    saturation = chroma / np.where(largest_chroma > 0, largest_chroma, 1)
    hls: NDArray[np.float32] = np.rint(
        np.stack([hue * (HUES / 6), total * 127.5, saturation * 255], axis=-1)
    )
    return hls


def _from_hls(hls: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The inverse of `_to_hls`, to uint8."""
    hue, lightness, saturation = hls[..., 0] / (HUES / 6), hls[..., 1] / 255, hls[..., 2] / 255
    high = lightness + saturation * np.minimum(lightness, 1 - lightness)
    low = 2 * lightness - high
    rgb = rgb_of_hue(np, hue, low, high - low)
    pixels: NDArray[np.uint8] = np.rint(rgb * 255).clip(0, 255).astype(np.uint8)
    return pixels


def hue_of(
    xp: Module, red: Values, green: Values, blue: Values, high: Values, chroma: Values
) -> Values:
    """Hue in sixths of a turn, 0 to 6; `high` is the largest channel, `chroma` its distance from
    the smallest. All are floating-point, of one shape.
    """
    divisor = xp.where(chroma > 0, chroma, 1)
    hue = xp.where(
        high == red,
        (green - blue) / divisor,
        xp.where(high == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    return xp.where(hue < 0, hue + 6, hue)


def rgb_of_hue(xp: Module, hue: Values, low: Values, chroma: Values) -> Values:
    """RGB, (…, 3), from the hue, 0 to 6 sixths of a turn, the smallest channel, and the chroma."""
    # Each channel is high over a third of the circle, and low opposite of it.
    shares = xp.abs(hue - 3) - 1, 2 - xp.abs(hue - 2), 2 - xp.abs(hue - 4)
    channels = [low + chroma * share.clip(0, 1) for share in shares]
    return xp.stack(channels, axis=-1)


def paint_borders(pixels: NDArray[np.uint8], plan: Plan) -> NDArray[np.uint8]:
    """Paint the borders of a batch.

    Parameters
    ----------
    pixels : uint8 (N, height, width, channels), on the host
    plan : of these samples

    Returns
    -------
    A new array, or `pixels` if there are no borders
    """
    if not plan.borders:
        return pixels
    rows, columns = np.arange(pixels.shape[1]), np.arange(pixels.shape[2])
    for border in plan.borders:
        x0, y0, x1, y1 = (edge[:, None] for edge in border.inside.T)
        down, across = (rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1)
        inside = down[:, :, None, None] & across[:, None, :, None]
        pixels = np.where(inside, pixels, border.fill[:, None, None, :])
    return pixels


def batch_color_matrices(
    color: NDArray[np.float64] | None, pixels: NDArray[np.uint8]
) -> NDArray[np.float32] | None:
    """The color matrices of a batch, given its pixels.

    Parameters
    ----------
    color : float64 (N, 3, 7), see `Plan`; None: no change
    pixels : uint8 (N, height, width, 3), on the host

    Returns
    -------
    float32 (N, 3, 4): RGB becomes ``matrix @ (r, g, b, 1)``; None: no change
    """
    if color is None:
        return None
    mean = np.zeros((len(pixels), 3))
    if uses_means(color):
        total = pixels.sum(axis=(1, 2), dtype=np.uint64)
        mean = total / (pixels.shape[1] * pixels.shape[2])
    return substitute_means(color, mean)


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
    if uses_means(color[row]):
        mean = np.array(cv2.sumElems(pixels)[:3]) / (pixels.shape[0] * pixels.shape[1])
    return substitute_means(color[row], mean)


def uses_means(color: NDArray[np.float64]) -> bool:
    """Whether colors, (…, 3, 7), depend on their samples' means."""
    return bool(color[..., MEAN].any())


def substitute_means(color: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Color matrices, float32 (…, 3, 4), from colors, (…, 3, 7), and their samples' means, (…, 3),
    with the operations of kernels/finish.cu in its order.
    """
    red, green, blue = np.moveaxis(color[..., MEAN] * mean[..., None, :], -1, 0)
    constant = red + green + blue + color[..., ONE]
    return np.concatenate([color[..., PIXEL], constant[..., None]], axis=-1).astype(np.float32)
