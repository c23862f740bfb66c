"""Inputs that gpuio once failed with; see `tests.fuzz`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.runner import Worker, run_input
from tests.fuzz.target import read_input

FILES = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as made:
        yield made


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_read_or_refused(path: Path, worker: Worker) -> None:
    assert path.stat().st_size < 10_000
    finding = run_input(worker, *read_input(path))
    assert finding is None, f"{finding.kind}: {finding.text}"
