"""``num_parts="auto"`` under the launchers that people use; Slurm is in check_slurm.py, and Ray
Train in check_ray_train.py.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scale.processes import TORCHRUN, finish, found_by, free_port, images, run, start
from tests.scale.two_ranks import check_two_ranks

LABELS = "tests.scale.programs.labels"
PROGRAM = [sys.executable, "-m", LABELS]
BIN = Path(sys.executable).parent

# No multiple of the batches: 13 images, 2 processes, 3 images a batch.
IMAGES = 13


def by_torchrun(arguments: list[str]) -> None:
    run([*TORCHRUN, "--standalone", "--nproc-per-node=2", "-m", LABELS, *arguments])


def by_mpich(arguments: list[str]) -> None:
    run([BIN / "mpiexec.hydra", "-n", "2", *PROGRAM, *arguments])


def by_open_mpi(arguments: list[str]) -> None:
    # What its mpirun runs, under a name that MPICH does not have, too.
    options = ["--personality", "ompi", "--map-by", ":OVERSUBSCRIBE", "--bind-to", "none"]
    program = ["-n", "2", *PROGRAM, *arguments]
    run([BIN / "prterun", "--allow-run-as-root", *options, *program])


def in_a_group(framework: str) -> Callable[[list[str]], None]:
    def launch(arguments: list[str]) -> None:
        address = f"127.0.0.1:{free_port()}"
        group = [[framework, address, str(rank)] for rank in range(2)]
        finish(*(start([*PROGRAM, *arguments, *each]) for each in group))

    return launch


@pytest.mark.parametrize(
    "launch",
    [by_torchrun, by_mpich, by_open_mpi, in_a_group("torch"), in_a_group("jax")],
    ids=["torchrun", "mpich", "open_mpi", "process_group", "jax_distributed"],
)
def test_ranks_and_their_batches(launch: Callable[[list[str]], None], tmp_path: Path) -> None:
    files = images(tmp_path, IMAGES)
    launch([str(tmp_path), *files])
    check_two_ranks(tmp_path, files)


def test_without_a_launcher(tmp_path: Path) -> None:
    run([*PROGRAM, str(tmp_path), *images(tmp_path, IMAGES)])
    (found,) = found_by(tmp_path, 1)
    assert found["size"] == 1
