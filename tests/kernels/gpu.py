"""What the tests of kernels on a GPU share, real or simulated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Launches:
    """The launches of gpuio's kernels, in place of `gpuio.execution.kernels.load`.

    Attributes
    ----------
    sizes : grid x, grid y and block x of each
    size : replaces the size of each launch; None: does not
    """

    def __init__(self, load: Any) -> None:
        self._load = load
        self.sizes: list[tuple[int, ...]] = []
        self.size: tuple[int, int, int] | None = None

    def load(self, family: str, name: str, device_id: int) -> Any:
        kernel = self._load(family, name, device_id)

        def launch(grid: Sequence[int], block: Sequence[int], arguments: tuple[Any, ...]) -> None:
            size = self.size or (*grid, *block)
            self.sizes.append(size)
            kernel(size[:2], size[2:], arguments)

        return launch


def to_gpu(pixels: np.ndarray) -> Any:
    """A copy on the current GPU."""
    import cupy

    return cupy.array(pixels)
