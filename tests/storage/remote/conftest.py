"""No settings of this machine's user, and no pauses between requests."""

import os

import pytest

from gpuio.storage.remote import calls


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat requests at once."""
    monkeypatch.setattr(calls, "FIRST_DELAY", 0.0)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's user has set for stores stays away from tests."""
    for name in list(os.environ):
        proxy = name.lower().endswith("_proxy")
        if proxy or name.startswith(("AWS_", "AZURE_", "GOOGLE_", "HADOOP_", "GPUIO_CACHE_")):
            monkeypatch.delenv(name)
