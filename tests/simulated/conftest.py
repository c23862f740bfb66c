"""Fixtures of several tests of the simulation."""

import pytest


@pytest.fixture
def hostile(monkeypatch):
    """Work is done as late as possible, whatever the mode of the run."""
    from simulation import modes

    monkeypatch.setattr(modes.mode, "name", "hostile")


@pytest.fixture
def stream():
    """A stream that waits for no other unless it is told to."""
    import cupy

    return cupy.cuda.Stream(non_blocking=True)
