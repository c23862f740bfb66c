"""Fixtures for all tests.

Tests marked `gpu` are skipped where there is no GPU, with a reason; ``GPUIO_REQUIRE_GPU=1`` makes
them fail instead, so that nothing hides on a machine that should have one.
"""

import gc
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import gpuio as mx
from gpuio import generators

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
# A busy machine is no reason to fail. In CI the same examples are tried each time.
settings.register_profile(
    "gpuio",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("gpuio")

REQUIRE_GPU = os.environ.get("GPUIO_REQUIRE_GPU") == "1"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not mx.num_gpus():
        if REQUIRE_GPU:
            pytest.fail("GPUIO_REQUIRE_GPU=1, and gpuio finds no GPU")
        pytest.skip("needs a GPU, and gpuio finds none")


def pytest_collection_finish() -> None:
    """Spare each ``gc.collect`` of a test the modules and the tests themselves."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with the same state of the process' generators: what it draws does not
    depend on the tests before it, nor on chance. What it does by ``mx.random.seed`` is undone."""
    random.seed(0)
    np.random.seed(0)
    monkeypatch.setattr("gpuio.generators._python", generators.python_generator())
    monkeypatch.setattr("gpuio.generators._numpy", generators.numpy_generator())


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def ctx(request: pytest.FixtureRequest) -> mx.Context:
    """Each device in turn."""
    return mx.Context(request.param)


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """Real photographs that lie beside the checkout; tests that want them are skipped without."""
    found = sorted(SHARED.glob("photos/*.JPEG"))
    if not found:
        pytest.skip("needs the photographs of ../shared/photos, which are not here")
    return found
