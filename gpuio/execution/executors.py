"""Choosing the executor."""

from __future__ import annotations

from gpuio import native
from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.execution.output import OutputSpec
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.cpus import cpu_count
from gpuio.loading.loader import Executor
from gpuio.loading.reader import BatchReader

# Batches in the DALI graph at the same time: one on the GPU, one before it on the CPU, one between.
GRAPH_DEPTH = 3

EXECUTORS = ("host", "dali")

# CPU threads on the host where the caller does not say: MXNet's default.
HOST_THREADS = 4


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


def resolve_threads(count: int | None, ctx: Context) -> int:
    """The number of CPU threads that load batches for a device.

    Parameters
    ----------
    count : as the caller says; None: all CPUs for a GPU, whose decoder needs them, else MXNet's
        default
    """
    if count is not None:
        return count
    return cpu_count() if ctx.device_type == "gpu" else HOST_THREADS


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
    from gpuio.execution.native_samples import NativeRenderer

    renderer, module = PlanRenderer(output, antialias), native.library()
    return HostExecutor(
        reader,
        renderer,
        on_error=on_error,
        threads=threads,
        native=None if module is None else NativeRenderer(module, renderer.assembler, antialias),
    )
