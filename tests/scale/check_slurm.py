"""``num_parts="auto"`` under Slurm: a controller and a node, which run on this machine."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scale.processes import found_by, images, run
from tests.scale.two_ranks import check_two_ranks
from tests.servers.slurm import Slurm, slurm

PROGRAM = [sys.executable, "-m", "tests.scale.programs.labels"]

# No multiple of the batches: 13 images, 2 processes, 3 images a batch.
IMAGES = 13


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


# With pmi2 srun sets MPICH's variables, too.
@pytest.mark.parametrize("mpi", ["none", "pmi2"])
def test_ranks_and_their_batches(cluster: Slurm, tmp_path: Path, mpi: str) -> None:
    files = images(tmp_path, IMAGES)
    command = [cluster.srun, f"--mpi={mpi}", "--ntasks=2", *PROGRAM, tmp_path, *files]
    run(command, SLURM_CONF=cluster.configuration)
    check_two_ranks(tmp_path, files)


def batch(cluster: Slurm, folder: Path, *command: object) -> None:
    """Run a command in a batch script of two tasks."""
    ended, output = folder / "ended", folder / "output"
    os.mkfifo(ended)  # sbatch --wait would look every ten seconds
    script = f"{shlex.join(map(str, command))}; echo $? > {ended}"
    options = ["--ntasks=2", f"--output={output}", f"--wrap={script}"]
    run([cluster.sbatch, *options], SLURM_CONF=cluster.configuration)
    assert run(["cat", ended]) == "0\n", output.read_text()


def test_srun_in_a_batch_script(cluster: Slurm, tmp_path: Path) -> None:
    files = images(tmp_path, IMAGES)
    batch(cluster, tmp_path, cluster.srun, *PROGRAM, tmp_path, *files)
    check_two_ranks(tmp_path, files)


def test_a_batch_script_is_one_process(cluster: Slurm, tmp_path: Path) -> None:
    """Whatever the number of tasks that it asks for."""
    batch(cluster, tmp_path, *PROGRAM, tmp_path, *images(tmp_path, IMAGES))
    (found,) = found_by(tmp_path, 1)
    assert found["size"] == 1
