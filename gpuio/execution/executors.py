"""Choosing the executor."""

from __future__ import annotations

from gpuio import native
from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.execution.mixing import BatchMixer
from gpuio.execution.output import OutputSpec
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.cpus import cpu_count
from gpuio.loading.loader import Executor
from gpuio.loading.reader import BatchReader
from gpuio.planning.mixing import Mixer

# Batches in the DALI graph at the same time: one on the GPU, one before it on the CPU, one between.
GRAPH_DEPTH = 3

EXECUTORS = ("host", "dali")

# CPU threads on the host where the caller does not say, and samples are made by Python code, most
# of whose time threads wait for one another: MXNet's default.
PYTHON_THREADS = 4


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


def resolve_threads(count: int | None, ctx: Context, planned: bool = True) -> int:
    """The number of CPU threads that load batches for a device.

    Parameters
    ----------
    count : as the caller says; None: all CPUs if a GPU's decoder or the native module is to be kept
        busy (of tiny images a batch is the work of a few, see `HostExecutor`), else MXNet's default
    planned : False: functions of images make the samples, for which the native module does nothing
    """
    if count is not None:
        return count
    keeps_busy = ctx.device_type == "gpu" or (planned and native.library() is not None)
    return cpu_count() if keeps_busy else PYTHON_THREADS


def check_dct_scaling(executor: str) -> None:
    """Check that images can be decoded at a part of their size.

    Parameters
    ----------
    executor : from `resolve_executor`

    Raises
    ------
    ArgumentError : they cannot.
    """
    if executor == "dali":
        raise ArgumentError("dct_scaling=True goes with executor='host' on the CPU, not with DALI")
    in_use, reason = native.state()
    if not in_use:
        raise ArgumentError(
            f"dct_scaling=True needs gpuio's native module, which is not in use: {reason}"
        )


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
    dct_scaling: bool = False,
    mixer: Mixer | None = None,
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
    dct_scaling : see `NativeRenderer`
    mixer : draws how batches are mixed; None: they are not

    Raises
    ------
    ArgumentError : as `check_dct_scaling`.
    """
    if dct_scaling:
        check_dct_scaling(name)
    mixing = None if mixer is None else BatchMixer(mixer, output)
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
            mixer=mixing,
        )
    from gpuio.execution.host import HostExecutor, PlanRenderer
    from gpuio.execution.native_samples import NativeRenderer

    renderer, kernel = PlanRenderer(output, antialias), None
    if (module := native.library()) is not None:
        kernel = NativeRenderer(module, renderer.assembler, antialias, dct_scaling)
    return HostExecutor(
        reader, renderer, on_error=on_error, threads=threads, native=kernel, mixer=mixing
    )
