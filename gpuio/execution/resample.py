"""One sample on the host: decoding and resampling as a plan says."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.host import decode
from gpuio.execution.color import jitter_sample
from gpuio.loading.batch import ImageBatch
from gpuio.planning.plan import AREA, CUBIC, LANCZOS, LINEAR, NEAREST, Jitter, Plan

OPENCV_METHODS = {
    NEAREST: cv2.INTER_NEAREST,
    LINEAR: cv2.INTER_LINEAR,
    CUBIC: cv2.INTER_CUBIC,
    AREA: cv2.INTER_AREA,
    LANCZOS: cv2.INTER_LANCZOS4,
}

# Pixels of the largest image that is scaled as a whole, 200 MB; of a larger one only the window is.
LARGEST = 1 << 26

# The largest width and height that OpenCV's affine maps read, less one.
WARPED = 2**15 - 2
# Pixels around what an affine map shows that its interpolation reads: Lanczos's.
MARGIN = 4

# A window is on the grid of whole pixels if it misses it by no more than this.
GRID = 1e-6

Window: TypeAlias = tuple[float, float, float, float]  # x, y, width, height


def render_sample(
    batch: ImageBatch,
    row: int,
    size: tuple[int, int],
    channels: int,
    antialias: bool,
    jitter: bool = True,
) -> NDArray[np.uint8]:
    """Decode one sample of a batch, resample its window, and paint its borders.

    Parameters
    ----------
    size : width and height of the output in pixels
    channels : 1, 3 or 4
    jitter : also change hue, lightness, saturation and contrast

    Returns
    -------
    uint8 (height, width, channels), on the host; may be a view of a buffer of the calling thread,
    valid until that thread decodes again

    Raises
    ------
    DecodeError : the image cannot be decoded.
    """
    encoded, header, plan = batch.encoded[row], batch.headers[row], batch.plan
    assert encoded is not None and header is not None, "rows with errors are not rendered"
    assert plan is not None, "the batch has been planned"
    image = decode(encoded.data, header, channels)
    image_jitter = plan.image_jitter if jitter else None
    if plan.borders:
        pixels = _render_bordered(image, plan, row, size, antialias, image_jitter)
    else:
        pixels = _render_part(image, plan, row, size, (0, 0, *size), antialias)
        pixels = jitter_sample(image_jitter, row, pixels)
    return jitter_sample(plan.jitter, row, pixels) if jitter else pixels


def _render_bordered(
    image: NDArray[np.uint8],
    plan: Plan,
    row: int,
    size: tuple[int, int],
    antialias: bool,
    jitter: Jitter | None,
) -> NDArray[np.uint8]:
    """The output with its borders painted around the jittered image."""
    output = np.empty((size[1], size[0], image.shape[2]), np.uint8)
    x0, y0, x1, y1 = 0, 0, *size
    for border in reversed(plan.borders):
        output[y0:y1, x0:x1] = border.fill[row]
        left, top, right, bottom = border.inside[row].tolist()
        x0, y0, x1, y1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
    if x0 < x1 and y0 < y1:
        pixels = _render_part(image, plan, row, size, (x0, y0, x1, y1), antialias)
        output[y0:y1, x0:x1] = jitter_sample(jitter, row, pixels)
    return output


def _render_part(
    image: NDArray[np.uint8],
    plan: Plan,
    row: int,
    size: tuple[int, int],
    part: tuple[int, int, int, int],
    antialias: bool,
) -> NDArray[np.uint8]:
    """The output pixels x0, y0, x1, y1 of one sample, resampled from its image."""
    x0, y0, x1, y1 = part
    if plan.affine is not None:
        matrix = plan.affine.matrix[row].copy()
        matrix[:, 2] += matrix[:, :2] @ (x0, y0)
        return warp(image, matrix, int(plan.method[row]), (x1 - x0, y1 - y0), plan.affine.fill)
    x, y, w, h = plan.window[row].tolist()
    across, down = w / size[0], h / size[1]
    window = x + x0 * across, y + y0 * down, (x1 - x0) * across, (y1 - y0) * down
    return resample(image, window, plan, row, (x1 - x0, y1 - y0), antialias)


def warp(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    method: int,
    size: tuple[int, int],
    fill: tuple[int, ...],
) -> NDArray[np.uint8]:
    """Resample an image, uint8 (h, w, C) to uint8 (height, width, C), by an affine map; see
    `Affine`. AREA counts as LINEAR.
    """
    return _warp(image, matrix, method, size, cv2.BORDER_CONSTANT, fill)


def _warp(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    method: int,
    size: tuple[int, int],
    border: int,
    fill: tuple[int, ...] = (),
) -> NDArray[np.uint8]:
    if max(image.shape[:2]) > WARPED:
        image, matrix = _shown(image, matrix, size)
    warped = cv2.warpAffine(
        image,
        matrix,
        size,
        flags=OPENCV_METHODS[method] | cv2.WARP_INVERSE_MAP,
        borderMode=border,
        borderValue=fill,
    )
    return warped.reshape(size[1], size[0], -1)  # type: ignore[return-value]


def _shown(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of an image that an affine map reads, and the map to that part. Where it is still
    too large for OpenCV, every second, third, … row and column of it.
    """
    high, wide = image.shape[:2]
    corners = matrix @ np.array([(x, y, 1) for x in (0, size[0]) for y in (0, size[1])]).T
    most = wide - 1, high - 1
    low = np.floor(corners.min(1) - MARGIN).clip(0, most).astype(int)
    end = np.ceil(corners.max(1) + MARGIN).clip(low, most).astype(int) + 1
    step = -(-(end - low) // WARPED)
    shown = image[low[1] : end[1] : step[1], low[0] : end[0] : step[0]]
    moved = matrix.copy()
    moved[:, 2] -= low
    return np.ascontiguousarray(shown), moved / step[:, None]


def resample(
    image: NDArray[np.uint8],
    window: Window,
    plan: Plan,
    row: int,
    size: tuple[int, int],
    antialias: bool,
) -> NDArray[np.uint8]:
    """Resample one window of an image, uint8 (h, w, C) to uint8 (height, width, C), with the bounds
    and the interpolation of row `row` of a plan.

    If the window is on the pixel grid of the whole image scaled to a whole number of pixels, as
    after MXNet's resize and crop, that is what is done, and the result is MXNet's pixels; otherwise
    the window is sampled directly.
    """
    x0, y0, x1, y1 = plan.bounds[row].tolist()
    x, y, w, h = window
    region, x, y, method = image[y0:y1, x0:x1], x - x0, y - y0, int(plan.method[row])
    if plan.resample_flipped is None or not plan.resample_flipped[row]:
        return _resample(region, (x, y, w, h), method, size, antialias)
    region = np.ascontiguousarray(region[:, ::-1])
    return _resample(region, (x1 - x0 - x - w, y, w, h), method, size, antialias)[:, ::-1]


def _resample(
    region: NDArray[np.uint8],
    window: Window,
    method: int,
    size: tuple[int, int],
    antialias: bool,
) -> NDArray[np.uint8]:
    x, y, w, h = window
    width, height = size
    if antialias and (w > width or h > height):
        return _antialiased(region, (x, y, w, h), size, method)
    high, wide = region.shape[:2]
    if (w, h) == size and x % 1 == y % 1 == 0 and high * wide <= LARGEST:
        left, top = int(x), int(y)  # as what follows finds, which takes as long as a small image
        if 0 <= left <= wide - width and 0 <= top <= high - height:
            return region[top : top + height, left : left + width]
    across, down = width / w, height / h  # output pixels per source pixel
    scaled = np.array([wide * across, high * down, x * across, y * down])
    whole = np.rint(scaled)
    on_grid = np.abs(scaled - whole).max() < GRID * max(1.0, float(whole.max()))
    full_width, full_height, left, top = whole.astype(int).tolist()
    inside = 0 <= left <= full_width - width and 0 <= top <= full_height - height
    if on_grid and inside and full_width * full_height <= LARGEST:
        if (full_width, full_height) != (wide, high):
            region = _resize(region, (full_width, full_height), method)
        return region[top : top + height, left : left + width]
    if method in (LINEAR, CUBIC, LANCZOS):
        to_source = np.array(
            [[1 / across, 0, x + 0.5 / across - 0.5], [0, 1 / down, y + 0.5 / down - 0.5]]
        )
        return _warp(region, to_source, method, size, cv2.BORDER_REPLICATE)
    left, top = min(max(round(x), 0), wide - 1), min(max(round(y), 0), high - 1)
    right, bottom = max(left + 1, round(x + w)), max(top + 1, round(y + h))
    return _resize(region[top:bottom, left:right], size, method)


def _resize(region: NDArray[np.uint8], size: tuple[int, int], method: int) -> NDArray[np.uint8]:
    resized = cv2.resize(region, size, interpolation=OPENCV_METHODS[method])
    return resized.reshape(size[1], size[0], -1)  # type: ignore[return-value]


def _antialiased(
    region: NDArray[np.uint8],
    window: Window,
    size: tuple[int, int],
    method: int,
) -> NDArray[np.uint8]:
    """Resample as DALI does with antialias=True: the filter covers all source pixels of an output
    pixel.
    """
    from PIL import Image

    filters = {
        LINEAR: Image.Resampling.BILINEAR,
        CUBIC: Image.Resampling.BICUBIC,
        LANCZOS: Image.Resampling.LANCZOS,
    }
    x, y, w, h = window
    # Next to borders a window may begin or end a fraction of an output pixel beyond the image.
    right, bottom = min(x + w, region.shape[1]), min(y + h, region.shape[0])
    box = (max(x, 0), max(y, 0), right, bottom)
    image = Image.fromarray(np.squeeze(region, 2) if region.shape[2] == 1 else region)
    resized = image.resize(size, filters[method], box)
    return np.asarray(resized).reshape(size[1], size[0], -1)
