"""Which executor runs plans."""

from __future__ import annotations

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.execution.assemble import HostAssembler, Output
from gpuio.loading.batch import BatchReader, LoadedBatch
from gpuio.loading.loader import Executor

# Batches in the DALI graph at one time: one on the GPU, one before it on the CPU.
GRAPH_DEPTH = 2

EXECUTORS = ("host", "dali")


def executor_of(name: str | None, ctx: Context) -> str:
    """The executor that is meant.

    Parameters
    ----------
    name : "host", "dali", or None: the one for the device

    Raises
    ------
    ArgumentError : there is no such executor, or it does not run on the device.
    """
    on_gpu = ctx.device_type == "gpu"
    name = name or ("dali" if on_gpu else "host")
    if name not in EXECUTORS:
        raise ArgumentError(f"executor must be 'host' or 'dali', not {name!r}")
    if on_gpu and name == "host":
        raise ArgumentError(
            "executor='host' runs on the CPU; on a GPU leave it out, or use ctx=cpu()"
        )
    return name


def plan_executor(
    name: str,
    preparer: BatchReader,
    output: Output,
    ctx: Context,
    *,
    batch_size: int,
    antialias: bool,
    policy: str,
    threads: int,
    hw_decoder_load: float = 0.65,
) -> Executor[LoadedBatch]:
    """The executor `name`, for plans.

    Parameters
    ----------
    antialias : see `Augment`
    policy : what to do about bad records, see `resolve_bad_records`
    threads : on the CPU
    hw_decoder_load : share of the images offered to the GPU's JPEG engines, 0 to 1
    """
    if name == "dali":
        from gpuio.execution.dali import DaliExecutor

        return DaliExecutor(
            preparer,
            output,
            ctx,
            batch_size=batch_size,
            antialias=antialias,
            policy=policy,
            threads=threads,
            depth=GRAPH_DEPTH,
            hw_decoder_load=hw_decoder_load,
        )
    from gpuio.execution.host import HostExecutor, PlanRenderer

    renderer = PlanRenderer(HostAssembler(output), antialias)
    return HostExecutor(preparer, renderer, preparer.records, policy=policy, threads=threads)
