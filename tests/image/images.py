"""Images that several tests use."""

from typing import Any

import numpy as np

import gpuio as mx


def noise(height: int, width: int, channels: int = 3, dtype: Any = np.uint8) -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels))
    return mx.nd.wrap(pixels.astype(dtype))
