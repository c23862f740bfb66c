"""Where records begin, found in tasks."""

from pathlib import Path

import pytest

from gpuio.recordio import Index
from gpuio.recordio.framing import MAGIC_BYTES
from gpuio.tools.commands import walking
from gpuio.tools.commands.walking import offsets_in_tasks
from tests.io.records import write_records
from tests.tools.in_process import InProcess


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "LEAST_RANGE", 16)


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    payloads = [bytes(number) + MAGIC_BYTES * (number % 5) for number in range(50)]
    payloads[20] = bytes(5000)  # covers several ranges
    return write_records(tmp_path / "a", payloads)["path_imgrec"]


@pytest.mark.parametrize("cpus", [1, 2, 7, 100])
def test_all_records_are_found(rec: Path, cpus: int) -> None:
    found = offsets_in_tasks(str(rec), rec.stat().st_size, None, InProcess(cpus))
    assert found is not None
    assert found.tolist() == Index.build(rec).offsets.tolist()


@pytest.mark.parametrize("cpus", [1, 2, 7, 100])
def test_damage_is_noticed(rec: Path, cpus: int) -> None:
    """Wherever it is: a record cut out, or another length, or the end cut off."""
    content = rec.read_bytes()
    offsets = Index.build(rec).offsets.tolist()
    for number in (0, 1, 20, 25, 48):
        begin, end = offsets[number : number + 2]
        for damaged in (
            content[: begin + 4] + content[end:],
            content[:begin] + b"\0" + content[begin + 1 :],
            content[: begin + 4] + b"\1" + content[begin + 5 :],
            content[:-4],
        ):
            rec.write_bytes(damaged)
            size = len(damaged)
            assert offsets_in_tasks(str(rec), size, None, InProcess(cpus)) is None, number


def test_an_empty_file(tmp_path: Path) -> None:
    rec = tmp_path / "a.rec"
    rec.write_bytes(b"")
    found = offsets_in_tasks(str(rec), 0, None, InProcess())
    assert found is not None and not len(found)
