"""Launchers: this process's rank, and the number of processes that train together."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from typing import NamedTuple

from gpuio.errors import ArgumentError

# The environment variables with a process's rank and the number of processes, by launcher. Both are
# taken from the same launcher.
VARIABLES = {
    "torchrun": ("RANK", "WORLD_SIZE"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "MVAPICH": ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    # MPICH, Intel MPI and others with their process manager.
    "PMI": ("PMI_RANK", "PMI_SIZE"),
    # SLURM_NTASKS is also set in a batch script, which is one process and not one of so many.
    "Slurm": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
}


class RankAndSize(NamedTuple):
    """A process among those that train together.

    Attributes
    ----------
    rank : its number, from 0
    size : the number of processes
    """

    rank: int
    size: int


def rank_and_size(environment: Mapping[str, str] | None = None) -> RankAndSize:
    """The rank of this process and the number of processes: what ``num_parts="auto"`` takes.

    They come from the first of these that knows them: Ray Train, in one of its workers; PyTorch's
    process group; JAX, after ``jax.distributed.initialize``; the environment variables of torchrun,
    Open MPI, MVAPICH, MPICH or Intel MPI, or Slurm's srun. Otherwise the process is the only one.
    None of the libraries is imported for that.

    Parameters
    ----------
    environment : the environment variables; None: those of the process

    Raises
    ------
    ArgumentError : a launcher's variables are no rank and number of processes.

    Examples
    --------
    >>> rank, size = mx.io.rank_and_size()
    >>> train = mx.io.ImageRecordIter(
    ...     path_imgrec="train.rec", path_imgidx="train.idx", data_shape=(3, 224, 224),
    ...     batch_size=256 // size, num_parts="auto",
    ... )
    """
    for found in (_of_ray_train(), _of_torch(), _of_jax()):
        if found is not None:
            return found
    return _of_environment(os.environ if environment is None else environment)


def _of_ray_train() -> RankAndSize | None:
    # Workers are actors, without variables of their own unless PyTorch is used; those that they
    # inherit, such as Slurm's, are of the process that started Ray.
    ray, train = sys.modules.get("ray"), sys.modules.get("ray.train")
    if not getattr(ray, "is_initialized", bool)() or not hasattr(train, "get_context"):
        return None
    assert ray is not None and train is not None
    if ray.get_runtime_context().get_actor_id() is None:
        return None
    with warnings.catch_warnings():
        # In an actor of another kind Ray Train raises; its first version warns, and says that it is
        # the only worker.
        warnings.simplefilter("ignore", UserWarning)
        try:
            context = train.get_context()
            if context.get_experiment_name() is None:
                return None
            return RankAndSize(context.get_world_rank(), context.get_world_size())
        except RuntimeError:
            return None


def _of_torch() -> RankAndSize | None:
    # Processes that torch.multiprocessing has started, and Lightning's, have no variables.
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not getattr(distributed, "is_available", bool)():
        return None
    if not distributed.is_initialized():
        return None
    return RankAndSize(distributed.get_rank(), distributed.get_world_size())


def _of_jax() -> RankAndSize | None:
    jax = sys.modules.get("jax")
    initialized = getattr(getattr(jax, "distributed", None), "is_initialized", bool)
    if jax is None or not initialized():
        return None
    return RankAndSize(jax.process_index(), jax.process_count())


def _of_environment(environment: Mapping[str, str]) -> RankAndSize:
    for launcher, (rank, size) in VARIABLES.items():
        if rank in environment and size in environment:
            try:
                found = RankAndSize(int(environment[rank]), int(environment[size]))
            except ValueError:
                found = RankAndSize(-1, 0)
            if not 0 <= found.rank < found.size:
                raise ArgumentError(
                    f"{launcher}'s {rank}={environment[rank]!r} and {size}={environment[size]!r} "
                    "are no rank and number of processes; unset them, or give num_parts and "
                    "part_index as integers"
                )
            return found
    return RankAndSize(0, 1)
