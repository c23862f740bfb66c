"""When two images count as equal, and why: all tolerances are here."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tolerance:
    """Differences allowed between two images.

    Attributes
    ----------
    largest : of any pixel value, of 0 to 255
    mean : of all pixel values
    """

    largest: float
    mean: float

    def scaled(self, factor: float) -> "Tolerance":
        """The same for pixel values multiplied by `factor`."""
        return Tolerance(self.largest * factor, self.mean * factor)

    def widened(self, other: "Tolerance") -> "Tolerance":
        """The sum of both."""
        return Tolerance(self.largest + other.largest, self.mean + other.mean)


EXACT = Tolerance(0, 0)

# nvJPEG's inverse cosine transform and chroma upsampling round differently from libjpeg-turbo's.
# Expected, not measured yet: no GPU has run these tests.
GPU_DECODER = Tolerance(6, 0.6)

# Against MXNet, by executor and interpolation method.
LEVELS = {
    ("host", 0): EXACT,
    ("host", 1): EXACT,
    # OpenCV 4 and 5 round bicubic coefficients differently from MXNet's OpenCV 3.4.2.
    ("host", 2): Tolerance(1, 0.05),
    ("host", 3): EXACT,
    ("host", 4): EXACT,
    ("host", 9): Tolerance(1, 0.05),
    # DALI picks the same source pixel, except where rounding differs.
    ("dali", 0): Tolerance(255, 0.1),
    # OpenCV's bilinear weights have 11 bits, DALI's are floats.
    ("dali", 1): Tolerance(1, 0.15),
    # DALI's bicubic kernel is Catmull-Rom (a = -0.5), OpenCV's has a = -0.75.
    ("dali", 2): Tolerance(10, 0.6),
    # DALI has no area averaging; its triangular filter is the nearest relative.
    ("dali", 3): Tolerance(60, 1.8),
    # Three lobes against OpenCV's four.
    ("dali", 4): Tolerance(8, 0.5),
    ("dali", 9): Tolerance(60, 1.8),
}

# DALI's warp against the host's, by interpolation: OpenCV rounds weights, and where a coordinate is
# between two pixels, either may be nearest.
WARPED = {0: Tolerance(255, 0.5), 1: Tolerance(2, 0.2)}

# DALI converts CMYK to RGB with another rounding than libjpeg-turbo and OpenCV.
CMYK = Tolerance(1, 1)

# Against MXNet's warpAffine: OpenCV 3.4.2 rounds coordinates to 1/32 pixel, 5 and DALI do not.
AFFINE = Tolerance(2, 0.15)

# Of images with borders: MXNet blends image and border within a pixel, gpuio's border is sharp.
SHARP_BORDER = Tolerance(130, 0.8)

# Noise that MXNet resamples twice, in a resize and again in a crop or an affine map, which blurs it
# more than gpuio's single resampling.
TWICE = Tolerance(70, 1.6)

for (_executor, _method), _tolerance in list(LEVELS.items()):
    if _executor == "dali":
        LEVELS["gpu", _method] = _tolerance.widened(GPU_DECODER)


def assert_images_close(found: np.ndarray, expected: np.ndarray, tolerance: Tolerance) -> None:
    """Fail unless both have one shape and differ by no more than `tolerance`."""
    assert found.shape == expected.shape
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    # float32 results of the same formula may differ in the last bit after division by std.
    slack = 1e-6 * max(1.0, float(np.abs(expected).max())) if found.dtype.kind == "f" else 0
    assert difference.max() <= tolerance.largest + slack, (difference.max(), tolerance)
    assert difference.mean() <= tolerance.mean + slack, (difference.mean(), tolerance)
