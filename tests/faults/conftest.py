"""Fixtures of the tests under faults."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import Launcher
from tests.faults.tools import Interrupter
from tests.faults.training import Trainer


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with tempfile.TemporaryDirectory() as folder, Launcher(Path(folder)) as launcher:
        yield launcher


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def trainer(launcher: Launcher) -> Iterator[Trainer]:
    """In a folder in which every user may write."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Trainer(launcher, Path(folder), seed=1)


@pytest.fixture(scope="session")
def interrupter(launcher: Launcher) -> Iterator[Interrupter]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Interrupter(launcher, Path(folder), seed=1)
