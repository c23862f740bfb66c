"""What contestants without image operators of their own do: simplejpeg, OpenCV and NumPy."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from tests.benchmarks.images.job import Job


class Transform:
    """Decodes, crops and normalizes images."""

    def __init__(self, job: Job) -> None:
        self._job = job
        # Faster than arithmetic in NumPy.
        normalized = (np.arange(256)[:, None] - job.mean) / job.std
        self._table = normalized.astype(np.float32)[None]

    def __call__(self, encoded: bytes, random: np.random.Generator) -> NDArray[np.float32]:
        """Make one image, float32 (3, size, size)."""
        job = self._job
        image = decode(encoded, job.extension)
        if job.area:
            image = cv2.resize(random_area(image, job, random), (job.size, job.size))
        elif job.resize:
            image = resize(image, job.resize)
        if job.pad:
            image = cv2.copyMakeBorder(image, *(job.pad,) * 4, cv2.BORDER_CONSTANT)
        spare = image.shape[0] - job.size, image.shape[1] - job.size
        top, left = (int(random.integers(n + 1)) if job.pad else n // 2 for n in spare)
        image = image[top : top + job.size, left : left + job.size]
        if job.train and random.random() < 0.5:
            image = image[:, ::-1]
        return cv2.LUT(image, self._table).transpose(2, 0, 1)


def decode(encoded: bytes, extension: str) -> Any:
    """Decode to RGB, uint8 (h, w, 3)."""
    if extension == ".jpg":
        return simplejpeg.decode_jpeg(encoded)
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)


def resize(image: Any, shorter: int) -> Any:
    """Scale the shorter side."""
    height, width = image.shape[:2]
    factor = shorter / min(height, width)
    return cv2.resize(image, (round(width * factor), round(height * factor)))


def random_area(image: Any, job: Job, random: np.random.Generator) -> Any:
    """Crop a random area of a random aspect ratio."""
    height, width = image.shape[:2]
    assert job.area
    for _ in range(10):
        area = height * width * random.uniform(*job.area)
        ratio = math.exp(random.uniform(*map(math.log, job.ratio)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            y, x = int(random.integers(height - h + 1)), int(random.integers(width - w + 1))
            return image[y : y + h, x : x + w]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    return image[y : y + side, x : x + side]


@cache
def generator(process: int) -> np.random.Generator:
    """A generator of random numbers for a process, by its id; its threads may share it."""
    return np.random.default_rng((process, 0))
