"""MXNet 1.9.1's augmentation of ImageRecordIter, one step after the other.

gpuio resamples an image once and applies one color matrix; MXNet resamples two or three times and
rounds in between. `reference` does the latter with OpenCV, for options as ImageRecordIter takes
them and given values of what MXNet draws at random. The bilinear affine step is spelled out, as
OpenCV 5 computes it with more digits than MXNet's OpenCV 3.4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

DEFAULTS: dict[str, Any] = {
    "resize": -1,
    "rotate": -1,
    "rotate_list": "",
    "max_rotate_angle": 0,
    "max_shear_ratio": 0.0,
    "min_random_scale": 1.0,
    "max_random_scale": 1.0,
    "min_aspect_ratio": None,
    "max_aspect_ratio": 0.0,
    "min_img_size": 0.0,
    "max_img_size": 1e10,
    "min_crop_size": -1,
    "max_crop_size": -1,
    "random_resized_crop": False,
    "fill_value": 255,
    "pad": 0,
    "mirror": False,
    "inter_method": 1,
}


@dataclass(frozen=True)
class Draws:
    """What MXNet draws for an image.

    Attributes
    ----------
    angle : degrees, counter-clockwise
    shear, scale, ratio : of the affine step
    size : side of the square that is cropped, with min_crop_size and max_crop_size
    brightness, contrast, saturation : factors
    order : of these three, as numbers 0 to 2
    hls : shifts of hue (of 180), lightness and saturation (of 255)
    """

    angle: int = 0
    shear: float = 0.0
    scale: float = 1.0
    ratio: float = 1.0
    size: int = -1
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    order: Sequence[int] = ()
    hls: Sequence[int] = ()

    @classmethod
    def fixed(cls, options: dict[str, Any]) -> "Draws":
        """The only values that options whose ranges are single values allow."""
        values = {**DEFAULTS, **options}
        scale, ratio = values["max_random_scale"], values["min_aspect_ratio"]
        if values["random_resized_crop"] or ratio is None:
            ratio = 1.0
        return cls(max(values["rotate"], 0), 0.0, scale, ratio, values["max_crop_size"])


@dataclass
class Steps:
    """What `reference` did to an image's geometry.

    Attributes
    ----------
    resampled : how often it was resampled
    affine : the affine step was one of these
    enlarged : it was enlarged to contain the crop
    magnification : pixels of the result for one of the image, along the side where they are most
    """

    resampled: int = 0
    affine: bool = False
    enlarged: bool = False
    magnification: float = 1.0

    def add(self, factor: float) -> None:
        """Count a resampling that scales by this."""
        self.resampled += 1
        self.magnification *= factor


def reference(
    image: np.ndarray,
    data_shape: Sequence[int],
    options: dict[str, Any],
    draws: Draws,
    steps: Steps | None = None,
) -> np.ndarray:
    """The pixels that ImageRecordIter makes of an image, cropped in the center.

    Parameters
    ----------
    image : uint8 (height, width) gray, (height, width, 3) RGB or (height, width, 4) RGBA
    steps : is told what is done

    Returns
    -------
    uint8 (channels, height, width)
    """
    values = {**DEFAULTS, **options}
    _, height, width = data_shape
    method = values["inter_method"]
    steps = Steps() if steps is None else steps
    if values["resize"] != -1:
        image = _resize_short(image, values["resize"], method, steps)
    if _is_affine(values):
        image = _affine(image, values, draws)
        steps.affine = True
        steps.add(2 * draws.scale * max(1, draws.ratio) / (1 + draws.ratio))
    if values["pad"] > 0:
        image = _pad(image, values["pad"], values["fill_value"])
    if draws.size != -1:
        y, x = ((side - draws.size) // 2 for side in image.shape[:2])
        image = image[y : y + draws.size, x : x + draws.size]
        image = _resize(image, width, height, method, steps)
    else:
        image = _enlarge(image, width, height, method, steps)
        y, x = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        image = image[y : y + height, x : x + width]
    if draws.order:
        image = _jitter(image, draws)
    if draws.hls:
        image = shift_hls(image, draws.hls)
    if values["mirror"]:
        image = image[:, ::-1]
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)


def coverage(
    size: tuple[int, int],
    data_shape: Sequence[int],
    options: dict[str, Any],
    draws: Draws,
    frame: int = 0,
) -> np.ndarray:
    """How much of each output pixel comes from the image rather than from `fill_value`.

    Parameters
    ----------
    size : height and width of the image
    frame : so many of its outermost pixels do not count

    Returns
    -------
    float64 (height, width), 0 to 1
    """
    white = np.zeros(size, np.uint8)
    white[frame : size[0] - frame, frame : size[1] - frame] = 255
    smooth = {**options, "fill_value": 0, "inter_method": 1}
    return reference(white, data_shape, smooth, draws)[0] / 255


def affine_matrix(
    height: int, width: int, values: dict[str, Any], draws: Draws
) -> tuple[np.ndarray, tuple[int, int]]:
    """The affine step's matrix, from the image to its canvas, and the size of the canvas.

    Returns
    -------
    matrix : float32 (2, 3), of pixel indices (x, y): the center of the first pixel is (0, 0)
    size : width and height
    """
    one, two = np.float32(1), np.float32(2)
    turn = draws.angle / 180.0 * math.pi
    cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    shear, scale, ratio = (np.float32(each) for each in (draws.shear, draws.scale, draws.ratio))
    along_x = two * scale / (one + ratio)
    along_y = ratio * along_x
    sides = [
        max(np.float32(values["min_img_size"]), min(np.float32(values["max_img_size"]), each))
        for each in (scale * np.float32(width), scale * np.float32(height))
    ]
    matrix = np.zeros((2, 3), np.float32)
    matrix[0, 0] = along_x * cos - shear * sin * along_y
    matrix[0, 1] = along_x * sin + shear * cos * along_y
    matrix[1, 0] = -sin * along_y
    matrix[1, 1] = cos * along_y
    corner = np.float32([width, height])
    for row, side in zip(matrix, sides, strict=True):
        row[2] = (side - (row[0] * corner[0] + row[1] * corner[1])) / two
    return matrix, (int(sides[0]), int(sides[1]))


def shift_hls(image: np.ndarray, shifts: Sequence[int]) -> np.ndarray:
    """Add to hue, lightness and saturation, which are clamped; hue does not wrap."""
    hls = cv2.cvtColor(image, cv2.COLOR_RGB2HLS).astype(np.int64) + np.array(shifts)
    return cv2.cvtColor(np.clip(hls, 0, [180, 255, 255]).astype(np.uint8), cv2.COLOR_HLS2RGB)


def _is_affine(values: dict[str, Any]) -> bool:
    ratios = values["min_aspect_ratio"], values["max_aspect_ratio"]
    if ratios[0] is None:
        ratios = 1 - ratios[1], 1 + ratios[1]
    return bool(
        values["rotate"] > 0
        or values["rotate_list"]
        or values["max_rotate_angle"] > 0
        or values["max_shear_ratio"] > 0
        or values["min_random_scale"] != 1
        or values["max_random_scale"] != 1
        or (not values["random_resized_crop"] and ratios != (1, 1))
        or values["min_img_size"] != 0
        or values["max_img_size"] != 1e10
    )


def _affine(image: np.ndarray, values: dict[str, Any], draws: Draws) -> np.ndarray:
    height, width = image.shape[:2]
    matrix, size = affine_matrix(height, width, values, draws)
    method = _method(values["inter_method"], (width, height), size)
    fill = float(np.clip(values["fill_value"], 0, 255))
    # Of four channels OpenCV leaves the fourth border value at 0.
    border = (fill, fill, fill, 0.0)
    if method in (cv2.INTER_LINEAR, cv2.INTER_AREA):
        return _warp_bilinear(image, matrix, size, border)
    return cv2.warpAffine(
        image, matrix, size, flags=method, borderMode=cv2.BORDER_CONSTANT, borderValue=border
    )


def _warp_bilinear(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], border: Sequence[float]
) -> np.ndarray:
    """cv2.warpAffine as OpenCV 3 and 4 compute it: coordinates in 1/32 of a pixel."""
    matrix = matrix.astype(np.float64)
    inverse = np.zeros((2, 3))
    determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    factor = 1 / determinant if determinant else 0.0
    inverse[0, :2] = matrix[1, 1] * factor, -matrix[0, 1] * factor
    inverse[1, :2] = -matrix[1, 0] * factor, matrix[0, 0] * factor
    inverse[:, 2] = -inverse[:, :2] @ matrix[:, 2]
    columns, rows = np.arange(size[0]), np.arange(size[1])[:, None]
    places = [
        (
            np.rint((row[1] * rows + row[2]) * 1024).astype(np.int64)
            + np.rint(row[0] * columns * 1024).astype(np.int64)
            + 16
        )
        >> 5
        for row in inverse
    ]
    planes = image.reshape(*image.shape[:2], -1).astype(np.int64)
    channels = planes.shape[2]
    framed = np.empty((planes.shape[0] + 2, planes.shape[1] + 2, channels), np.int64)
    framed[:] = border[:channels]
    framed[1:-1, 1:-1] = planes
    (x, part_x), (y, part_y) = ((place >> 5, place & 31) for place in places)
    total = np.zeros((size[1], size[0], channels), np.int64)
    for below in (0, 1):
        for right in (0, 1):
            weight_x = part_x if right else 32 - part_x
            weight_y = part_y if below else 32 - part_y
            at_y = np.clip(y + below + 1, 0, framed.shape[0] - 1)
            at_x = np.clip(x + right + 1, 0, framed.shape[1] - 1)
            total += framed[at_y, at_x] * (weight_x * weight_y)[..., None]
    warped = ((total + 512) >> 10).astype(np.uint8)
    return warped.reshape(size[1], size[0], *image.shape[2:])


def _pad(image: np.ndarray, pixels: int, fill: int) -> np.ndarray:
    fill = float(np.clip(fill, 0, 255))
    return cv2.copyMakeBorder(
        image, *[pixels] * 4, borderType=cv2.BORDER_CONSTANT, value=(fill, fill, fill, 0.0)
    )


def _resize_short(image: np.ndarray, side: int, method: int, steps: Steps) -> np.ndarray:
    height, width = image.shape[:2]
    if height > width:
        return _resize(image, side, side * height // width, method, steps)
    return _resize(image, side * width // height, side, method, steps)


def _enlarge(image: np.ndarray, width: int, height: int, method: int, steps: Steps) -> np.ndarray:
    """Enlarge the image to at least this size, one side after the other."""
    method = _method(method, (image.shape[1], image.shape[0]), (width, height))
    steps.enlarged = image.shape[0] < height or image.shape[1] < width
    if image.shape[0] < height:
        factor = np.float32(height) / np.float32(image.shape[0])
        image = _resize(image, int(factor * np.float32(image.shape[1])), height, method, steps)
    if image.shape[1] < width:
        factor = np.float32(width) / np.float32(image.shape[1])
        image = _resize(image, width, int(factor * np.float32(image.shape[0])), method, steps)
    return image


def _resize(image: np.ndarray, width: int, height: int, method: int, steps: Steps) -> np.ndarray:
    old_height, old_width = image.shape[:2]
    if (old_height, old_width) == (height, width):
        return image
    steps.add(max(height / old_height, width / old_width))
    method = _method(method, (old_width, old_height), (width, height))
    return cv2.resize(image, (width, height), interpolation=method)


def _method(method: int, old: Sequence[float], new: Sequence[float]) -> int:
    """OpenCV's number; 9 is bicubic to enlarge both sides, area to shrink both, else bilinear."""
    if method != 9:
        return method
    if new[0] > old[0] and new[1] > old[1]:
        return cv2.INTER_CUBIC
    if new[0] < old[0] and new[1] < old[1]:
        return cv2.INTER_AREA
    return cv2.INTER_LINEAR


def _jitter(image: np.ndarray, draws: Draws) -> np.ndarray:
    for step in draws.order:
        pixels = image.astype(np.float32)
        if step == 0:
            pixels = pixels * np.float32(draws.brightness)
        elif step == 1:
            factor = np.float32(draws.contrast)
            pixels = pixels * factor + (1 - factor) * np.float32(_gray(image).mean())
        else:
            factor = np.float32(draws.saturation)
            pixels = pixels * np.float64(factor) + _gray(image)[..., None] * np.float64(1 - factor)
        image = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return image


def _gray(image: np.ndarray) -> np.ndarray:
    """MXNet's gray of its jitter: it takes red's weight for blue, and blue's for red."""
    red, green, blue = (image[..., channel].astype(np.int64) for channel in range(3))
    return (((blue * 4899 + green * 9617 + red * 1868) + (1 << 13)) >> 14).astype(np.uint8)
