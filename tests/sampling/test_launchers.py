"""Launchers: environment variables here; PyTorch, JAX, Ray and MPI in tests/scale."""

import sys
from types import ModuleType

import pytest

from gpuio.errors import ArgumentError
from gpuio.sampling.launchers import VARIABLES, rank_and_size


@pytest.mark.parametrize("launcher", VARIABLES)
def test_variables_of_each_launcher(launcher: str) -> None:
    rank, size = VARIABLES[launcher]
    assert rank_and_size({rank: "2", size: "5"}) == (2, 5)
    # Half of a launcher's variables is none of it.
    assert rank_and_size({rank: "2"}) == rank_and_size({size: "5"}) == (0, 1)


def test_both_variables_come_from_one_launcher() -> None:
    environment = {"RANK": "1", "SLURM_PROCID": "4", "SLURM_STEP_NUM_TASKS": "8"}
    assert rank_and_size(environment) == (4, 8)
    assert rank_and_size({**environment, "WORLD_SIZE": "2"}) == (1, 2)


def test_a_batch_script_of_slurms_is_one_process() -> None:
    assert rank_and_size({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_NPROCS": "4"}) == (0, 1)


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    found = rank_and_size()
    assert found == (3, 4) and (found.rank, found.size) == (3, 4)


@pytest.mark.parametrize(
    ("rank", "size"),
    [("x", "2"), ("0", ""), ("1.0", "2"), ("2", "2"), ("-1", "2"), ("0", "0")],
)
def test_variables_that_are_no_rank(rank: str, size: str) -> None:
    said = f"torchrun's RANK='{rank}' and WORLD_SIZE='{size}' are no rank and number of processes;"
    with pytest.raises(ArgumentError, match=said):
        rank_and_size({"RANK": rank, "WORLD_SIZE": size})


def test_libraries_that_know_of_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are while another thread imports them: without names."""
    for name in ("ray", "ray.train", "torch.distributed", "jax"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert rank_and_size({"RANK": "1", "WORLD_SIZE": "2"}) == (1, 2)
