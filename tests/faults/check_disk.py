"""A disk that is full, or may not be written to."""

import os

import pytest

from tests.faults.processes import ALL, Launcher, Setup
from tests.faults.tools import Interrupter
from tests.faults.training import Trainer, Training, trainings
from tests.faults.writers import WRITERS, read_files

# A user without files, if this process can become one.
NOBODY = 65534 if os.getuid() == 0 else None

WRITING = [name for name, writer in WRITERS.items() if writer.outputs]


@pytest.fixture(scope="session")
def mounts(launcher: Launcher) -> None:
    """Skip where no file system can be mounted."""
    ended = launcher.run("tests.faults.conditions:can_mount")
    if ended.status:
        pytest.skip(f"no file system can be mounted here: {ended.err.splitlines()[-1]}")


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("name", WRITING)
def test_full_disk(interrupter: Interrupter, name: str) -> None:
    sizes = [len(content) for content in interrupter.reference(name).files.values()]
    with interrupter.tallied() as tally:
        for free in sorted({0, max(sizes) // 2 // 4096 * 4096}):
            trial = interrupter.place(name)
            ended = interrupter.run(trial, "conditions:run_on_full_disk", name, free)
            what = f"{name} with {free} bytes free"
            status = int((trial.folder / "status").read_text())
            first, _, second = ended.err.partition("again\n")
            interrupter.check_refused(
                what, trial, ended._replace(status=status, err=first), folder="after"
            )
            again = ended._replace(err=second)
            interrupter.check_result(f"{what}, run again", trial, again, folder="again")
    assert tally.failures == []


@pytest.mark.parametrize("name", WRITING)
def test_read_only_folder(interrupter: Interrupter, name: str) -> None:
    with interrupter.tallied() as tally:
        trial = interrupter.place(name, replaces=True)
        os.chmod(trial.folder / "out", 0o555)
        before = read_files(trial.folder / "out")
        ended = interrupter.run(trial, "writers:run", name, user=NOBODY)
        interrupter.check_refused(f"{name} in a read-only folder", trial, ended)
        os.chmod(trial.folder / "out", 0o755)
        assert read_files(trial.folder / "out") == before
    assert tally.failures == []


@pytest.mark.parametrize("training", trainings()[:: 4 if ALL else 8], ids=str)
def test_training_from_a_read_only_folder(trainer: Trainer, training: Training) -> None:
    """With neither a home nor a folder for temporary files."""
    environment = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}
    setup = Setup(user=NOBODY, environment=environment)
    with trainer.tallied() as tally, trainer.data_read_only(training):
        trainer.check(training, "training:train", setup=setup)
    assert tally.failures == []
