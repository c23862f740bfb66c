"""Fixtures for the tests of kernels on a GPU, real or simulated."""

from typing import Any

import pytest

from gpuio.execution import kernels
from tests.kernels.gpu import Launches


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    """The launches of gpuio's kernels during a test."""
    found = Launches(kernels.load)
    monkeypatch.setattr(kernels, "load", found.load)
    return found


@pytest.fixture
def allocations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes in bytes of the arrays that gpuio creates on a GPU during a test, by the functions
    that its executors use."""
    import cupy

    sizes: list[int] = []

    def counted(create: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            array = create(*arguments, **options)
            sizes.append(array.nbytes)
            return array

        return call

    for name in ("empty", "asarray"):
        monkeypatch.setattr(cupy, name, counted(getattr(cupy, name)))
    return sizes
