"""Ray Train: each worker finds its rank."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.train.v2.api.config import RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

import gpuio as mx
from tests.scale.processes import environment, images, run
from tests.scale.programs.labels import write
from tests.scale.two_ranks import check_two_ranks

IMAGES = 13


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    variables = {"PYTHONPATH": environment()["PYTHONPATH"]}
    # As on a machine that Slurm has given: they are not of the workers.
    variables |= {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4"}
    variables |= {"RAY_TRAIN_V2_ENABLED": "1"}  # which is not the default of Ray 2.50
    ray.init("local", num_cpus=2, include_dashboard=False, runtime_env={"env_vars": variables})
    yield
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_workers_and_their_batches(tmp_path: Path) -> None:
    """Without PyTorch, whose workers have RANK and WORLD_SIZE as torchrun's have."""
    files = images(tmp_path, IMAGES)

    def loop(config: dict[str, Any]) -> None:
        write(config["folder"], *config["files"])

    DataParallelTrainer(
        loop,
        train_loop_config={"folder": str(tmp_path), "files": files},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(storage_path=str(tmp_path / "ray")),
    ).fit()
    check_two_ranks(tmp_path, files)


def test_the_driver_is_no_worker() -> None:
    assert mx.io.rank_and_size({"RANK": "1", "WORLD_SIZE": "2"}) == (1, 2)


FIRST_VERSION = """
import sys

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.data_parallel_trainer import DataParallelTrainer
from tests.scale.programs.labels import write

def loop(config):
    write(*config["arguments"])

ray.init("local", num_cpus=3, include_dashboard=False)
DataParallelTrainer(
    loop,
    train_loop_config={"arguments": sys.argv[1:]},
    scaling_config=ScalingConfig(num_workers=2),
    run_config=RunConfig(storage_path=f"{sys.argv[1]}/ray"),
).fit()
"""


def test_workers_of_the_first_version(tmp_path: Path) -> None:
    files = images(tmp_path, IMAGES)
    program = [sys.executable, "-c", FIRST_VERSION, tmp_path, *files]
    run(program, RAY_TRAIN_V2_ENABLED="0")
    check_two_ranks(tmp_path, files)


@pytest.mark.parametrize("version", ["0", "1"])
def test_an_actor_of_another_kind_is_no_worker(version: str) -> None:
    @ray.remote
    class Other:
        def find(self) -> tuple[int, int]:
            import warnings

            import ray.train

            assert hasattr(ray.train, "get_context")
            warnings.simplefilter("error", UserWarning)
            return tuple(mx.io.rank_and_size({"RANK": "1", "WORLD_SIZE": "2"}))

    variables = {"RAY_TRAIN_V2_ENABLED": version, "PYTHONPATH": environment()["PYTHONPATH"]}
    other = Other.options(runtime_env={"env_vars": variables}).remote()
    assert ray.get(other.find.remote()) == (1, 2)


@pytest.mark.parametrize("version", ["0", "1"])
def test_importing_ray_train_changes_nothing(version: str) -> None:
    program = "import ray.train, gpuio as mx; assert mx.io.rank_and_size() == (1, 2)"
    variables = {"RAY_TRAIN_V2_ENABLED": version, "RANK": "1", "WORLD_SIZE": "2"}
    run([sys.executable, "-W", "error::UserWarning", "-c", program], **variables)
