"""Servers of remote files, and pauses between requests that are as short as can be."""

import os
from collections.abc import Iterator

import pytest

from gpuio.storage.remote import calls
from tests.servers.faulty import FaultyServer, faulty_server


@pytest.fixture(scope="session")
def one_faulty() -> Iterator[FaultyServer]:
    with faulty_server() as server:
        yield server


@pytest.fixture
def faulty(one_faulty: FaultyServer) -> FaultyServer:
    """A server without objects and faults."""
    one_faulty.reset()
    return one_faulty


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat requests at once."""
    monkeypatch.setattr(calls, "FIRST_DELAY", 0.0)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's user has set for stores stays away from tests."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "GPUIO_CACHE_")) or name.endswith(
            "_proxy"
        ):
            monkeypatch.delenv(name)
