"""A small record file, and short rounds."""

import pytest

from gpuio.tools.commands.bench import benchmark
from tests.io.records import jpeg, write_records


@pytest.fixture(scope="module")
def rec(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of 24 small images."""
    folder = tmp_path_factory.mktemp("bench")
    images = [jpeg(number, 120, 100) for number in range(24)]
    return str(write_records(folder / "x", images)["path_imgrec"])


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "ROUND_SECONDS", 0.02)
