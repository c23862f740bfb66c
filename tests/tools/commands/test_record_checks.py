"""What verify checks, in threads and in tasks."""

import random
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio.recordio.framing import MAGIC_BYTES
from gpuio.storage.remote.opening import open_file
from gpuio.tools.commands import record_checks
from gpuio.tools.commands.mismatches import Finding
from gpuio.tools.commands.record_checks import Checks, check_in_tasks, check_in_threads
from tests.io.records import write_records
from tests.tools.in_process import InProcess


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Records of several sizes; some are split, since they contain the magic number."""
    payloads = [bytes(range(number)) + MAGIC_BYTES * (number % 5) for number in range(60)]
    return write_records(tmp_path_factory.mktemp("a") / "a", payloads)["path_imgrec"].read_bytes()


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_checks, "LEAST_RANGE", 16)


def both(path: Path, level: str, cpus: int) -> tuple[list[int], list[Finding]]:
    """Findings and beginnings of records; the same from threads and from tasks."""
    checks = Checks(str(path), level, False, 1 << 20)
    size = path.stat().st_size
    in_threads = check_in_threads(open_file(path), None, checks, 1)
    in_tasks = check_in_tasks(str(path), size, None, checks, InProcess(cpus))
    found = []
    for results in (in_threads, in_tasks):
        begins, findings, total = array("q"), [], 0
        for checked in results:
            begins.extend(checked.begins)
            findings += checked.findings
            total += checked.bytes
        assert total == size
        found.append((begins.tolist(), findings))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("cpus", [1, 3, 50])
def test_an_intact_file(content: bytes, cpus: int, tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(content)
    begins, findings = both(path, "framing", cpus)
    assert (len(begins), findings) == (60, [])
    _, findings = both(path, "headers", cpus)
    assert {finding.kind for finding in findings} == {"image"} and len(findings) == 60


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(1, 50))
def test_damaged_files(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, rng: random.Random, cpus: int
) -> None:
    damaged = bytearray(content)
    for _ in range(rng.randrange(4)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.7:
        begin = rng.randrange(len(damaged))
        del damaged[begin : begin + rng.randrange(1, 600)]
    if rng.random() < 0.5:
        begin = rng.randrange(len(damaged))
        damaged[begin:begin] = MAGIC_BYTES * rng.randrange(4) + rng.randbytes(rng.randrange(300))
    path = tmp_path_factory.getbasetemp() / "damaged.rec"
    path.write_bytes(damaged)
    both(path, "headers", cpus)
