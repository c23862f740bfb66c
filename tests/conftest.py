"""Fixtures for all tests.

Tests marked `gpu` are skipped where there is no GPU, with a reason. ``GPUIO_DEVICE=real`` makes
them fail instead, so that nothing hides on a machine that should have one;
``GPUIO_DEVICE=simulated`` runs them on simulated devices, see ``tests/simulated/README.md``.
"""

import gc
import os
import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import gpuio as mx
from gpuio import generators
from tests import simulated

pytest_plugins = ["tests.servers.fixtures"]

DEVICE = os.environ.get("GPUIO_DEVICE", "")
if DEVICE not in ("", "real", "simulated"):
    raise ValueError(f"GPUIO_DEVICE must be 'real' or 'simulated', not {DEVICE!r}")
if DEVICE == "simulated":
    simulated.activate()

# A shell has the jobs in its background ignore it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not item.get_closest_marker("gpu"):
        return
    if not mx.num_gpus():
        if DEVICE == "real":
            pytest.fail("GPUIO_DEVICE=real, and gpuio finds no GPU")
        pytest.skip("needs a GPU, and gpuio finds none")
    real = item.get_closest_marker("real_gpu")
    if real and DEVICE == "simulated":
        pytest.skip(f"cannot be simulated: {real.args[0]}")


@pytest.fixture(autouse=DEVICE == "simulated")
def simulated_device() -> Iterator[None]:
    """Fail a test after which the simulation reports a mistake in the order of device work."""
    simulated.begin()
    yield
    reports = simulated.end()
    if reports:
        pytest.fail("\n".join([f"{len(reports)} reports", *reports]), pytrace=False)


def pytest_collection_finish() -> None:
    """Spare each ``gc.collect`` of a test the modules and the tests themselves."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def frozen_modules() -> Iterator[None]:
    """Spare those of the tests that follow what a module leaves: golden data, imported packages."""
    yield
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


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A temporary folder that other users may read, which `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """Real photographs that lie beside the checkout; tests that want them are skipped without."""
    found = sorted(SHARED.glob("photos/*.JPEG"))
    if not found:
        pytest.skip("needs the photographs of ../shared/photos, which are not here")
    return found
