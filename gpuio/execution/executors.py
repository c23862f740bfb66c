"""Choosing the executor."""

from __future__ import annotations

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.execution.output import OutputSpec
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.loader import Executor
from gpuio.loading.reader import BatchReader

# Batches in the DALI graph at the same time: one on the GPU, one before it on the CPU.
GRAPH_DEPTH = 2

EXECUTORS = ("host", "dali")


def resolve_executor(name: str | None, ctx: Context) -> str:
    """The name of the executor to use.

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


def create_executor(
    name: str,
    reader: BatchReader,
    output: OutputSpec,
    ctx: Context,
    *,
    batch_size: int,
    antialias: bool,
    on_error: str,
    threads: int,
    hw_decoder_load: float,
) -> Executor[LoadedBatch]:
    """Create the executor that runs plans.

    Parameters
    ----------
    name : "host" or "dali"
    reader : reads and plans the batches
    output : what they look like
    ctx : their device
    batch_size : samples in a batch
    antialias : see `CropOptions`
    on_error : what to do about bad records, see `resolve_bad_records`
    threads : CPU threads
    hw_decoder_load : fraction of the images offered to the GPU's JPEG engines, 0 to 1
    """
    if name == "dali":
        from gpuio.execution.dali import DaliExecutor

        return DaliExecutor(
            reader,
            output,
            ctx,
            batch_size=batch_size,
            antialias=antialias,
            on_error=on_error,
            threads=threads,
            depth=GRAPH_DEPTH,
            hw_decoder_load=hw_decoder_load,
        )
    from gpuio.execution.host import HostExecutor, PlanRenderer

    return HostExecutor(reader, PlanRenderer(output, antialias), on_error=on_error, threads=threads)
