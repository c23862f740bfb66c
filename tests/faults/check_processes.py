"""What else may happen to a process: stopping, forking, streams that are closed, no folder."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.check_limits import KINDS
from tests.faults.processes import PATIENCE, ROOT
from tests.faults.training import Trainer, Training
from tests.io.records import jpeg, write_records


@pytest.mark.parametrize("training", KINDS, ids=str)
def test_stopped_and_continued(trainer: Trainer, training: Training) -> None:
    with trainer.tallied() as tally:
        trainer.pause(training)
    assert tally.failures == []


@pytest.mark.parametrize("job", ["train_forked", "train_nowhere"])
@pytest.mark.parametrize("training", KINDS, ids=str)
def test_forks_and_lost_folders(trainer: Trainer, training: Training, job: str) -> None:
    with trainer.tallied() as tally:
        trainer.check(training, f"conditions:{job}")
    assert tally.failures == []


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    """A record file with bad records, so that each tool has much to say."""
    images = [jpeg(number, 30, 30) if number % 2 else b"none" for number in range(3000)]
    return write_records(tmp_path / "x", images)["path_imgrec"]


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command line, in which ``gpuio`` is that of this tree."""
    tool = f'gpuio() {{ {sys.executable} -m gpuio "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", tool + command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.mark.parametrize(
    "command",
    [
        "gpuio verify {} --most 3000 | head -1; exit ${{PIPESTATUS[0]}}",
        "gpuio verify {} --json | head -c 9; exit ${{PIPESTATUS[0]}}",
    ],
)
def test_a_reader_that_goes(rec: Path, command: str) -> None:
    ended = shell(command.format(rec))
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(rec: Path, closed: str) -> None:
    ended = shell(f"gpuio index --force {rec} {closed}")
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = shell(f"gpuio verify {rec} {closed}")
    assert (ended.returncode, ended.stderr) == (1, "")
    index = rec.with_suffix(".idx").read_text().splitlines()
    assert len(index) == 3000


def test_disk_full_at_standard_output(rec: Path) -> None:
    ended = shell(f"gpuio verify {rec} > /dev/full")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("gpuio: ") and "No space left" in line


def test_interrupted_at_any_moment_of_its_life(rec: Path) -> None:
    """Also while Python starts and ends."""
    before = rec.read_bytes()
    moments = random.Random(1)
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-m", "gpuio", "verify", str(rec)],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            process.wait(moments.uniform(0, 1.2))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=PATIENCE)[1]
        # Before its own code runs, Python ends as it does.
        assert process.returncode in (1, 130, -signal.SIGINT), error
        assert process.returncode != 130 or error == "gpuio: interrupted\n"
    assert rec.read_bytes() == before
