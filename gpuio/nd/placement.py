"""The devices of arrays, plain arrays, and copies from one device to another.

Copies are in the order of the devices' current streams.
"""

from __future__ import annotations

import sys

import numpy as np

from gpuio.context import Context, cpu, device_of, on_device, require_cupy
from gpuio.errors import ArgumentError
from gpuio.nd.device_memory import hand_over
from gpuio.nd.nested import arrays_in, each_array
from gpuio.nd.types import Untyped, Values


class NDArrayBase:
    """Base class of NDArrays, without their methods."""

    __slots__ = ()


def plain(values: Values) -> Values:
    """View an NDArray as an array of NumPy or CuPy, with their methods; all else as it is.

    Every operation begins here: an array of a batch is handed over to the current stream.
    """
    of_ours = isinstance(values, NDArrayBase)
    if isinstance(values, np.ndarray):
        return values.view(np.ndarray) if of_ours else values
    hand_over(values)
    return values.view(type=require_cupy().ndarray) if of_ours else values


def common_context(title: str, values: Values) -> Context:
    """The device of the NDArrays, and of the arrays on GPUs, in nested tuples, lists and dicts.
    NumPy's arrays go with any.

    Parameters
    ----------
    title : begins the error's message

    Raises
    ------
    ArgumentError : they are on several devices.
    """
    if "cupy" not in sys.modules:
        return cpu()
    contexts = {
        device_of(each)
        for each in arrays_in(values)
        if isinstance(each, NDArrayBase) or not isinstance(each, np.ndarray)
    }
    if len(contexts) > 1:
        names = " and ".join(sorted(map(str, contexts)))
        raise ArgumentError(
            f"{title} takes arrays on one device, not on {names}; as_in_context moves one"
        )
    return contexts.pop() if contexts else cpu()


def on_context(values: Values, ctx: Context) -> Values:
    """Values with the arrays in nested tuples, lists and dicts as plain ones on `ctx`."""
    if ctx.device_type == "cpu":
        return each_array(host_array, values)
    return each_array(lambda array: to_gpu(array, ctx), values)


def host_array(values: Values) -> Values:
    """Copy a GPU array to the host; everything else as it is, except that NDArrays become plain
    NumPy arrays, which share their memory.
    """
    ctx = device_of(values)
    if ctx.device_type == "cpu":
        return plain(values)
    values = plain(values)
    with on_device(ctx):  # CuPy takes the current device's stream
        return values.get()


def to_gpu(values: Values, ctx: Context, copy: bool = False) -> Untyped:
    """An array on a GPU.

    CUDA orders nothing between the streams of two GPUs. Here the copy waits for the work queued in
    the source's current stream, and later work there waits for the copy, as it may reuse the
    memory. The host waits for neither.

    Parameters
    ----------
    values : an array on any device, or what CuPy makes an array of
    ctx : the GPU, which must be available
    copy : False: an array that is there already is not copied

    Returns
    -------
    A plain cupy.ndarray
    """
    cupy = require_cupy()
    source, values = device_of(values), plain(values)
    if source.device_type == "cpu" or source == ctx:
        with on_device(ctx):
            return cupy.array(values) if copy else cupy.asarray(values)
    with on_device(source):
        # CuPy copies no others between devices. It would make one of shape () one-dimensional.
        dense = values if values.flags.c_contiguous else cupy.ascontiguousarray(values)
        computed = cupy.cuda.get_current_stream().record()
    with on_device(ctx):
        stream = cupy.cuda.get_current_stream()
        stream.wait_event(computed)
        made = dense.copy()
        copied = stream.record()
    with on_device(source):
        cupy.cuda.get_current_stream().wait_event(copied)
    return made


def wait_for(ctx: Context) -> None:
    """Synchronize with the device's current stream; a no-op on the CPU."""
    if ctx.device_type == "gpu":
        with on_device(ctx):
            require_cupy().cuda.get_current_stream().synchronize()
