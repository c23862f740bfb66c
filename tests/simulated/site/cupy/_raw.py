"""cupy.RawModule and RawKernel: CUDA sources compiled by g++, run by the streams.

A launch knows addresses only, as on a device: what the kernel reads is what lies there when the
stream gets to it. Each access must lie in an array that was passed; see `tests.kernels.on_host`.
"""

import sys
from pathlib import Path

import numpy as np
from simulation import accesses, streams
from simulation.modes import mode

from cupy.cuda import runtime
from cupy.cuda.compiler import CompileException
from cupy.cuda.memory import MemoryPointer
from cupy.cuda.stream import _current_queue

ROOT = str(Path(__file__).resolve().parents[4])
if ROOT not in sys.path:
    sys.path.append(ROOT)

from tests.kernels import on_host  # noqa: E402


class RawModule:
    def __init__(
        self,
        *,
        code=None,
        path=None,
        options=(),
        backend="nvrtc",
        translate_cucomplex=False,
        enable_cooperative_groups=False,
        name_expressions=None,
        jitify=False,
    ):
        if (code is None) == (path is None):
            raise TypeError("Exactly one of `code` and `path` keyword arguments must be given.")
        if path or translate_cucomplex or enable_cooperative_groups or name_expressions or jitify:
            raise NotImplementedError("the simulation takes `code` and `options` only")
        self.code, self.options, self.backend = code, options, backend

    def compile(self, log_stream=None):
        _compile(self.code, self.options, self.backend)

    def get_function(self, name):
        kernel = RawKernel(self.code, name, self.options, self.backend)
        kernel.compile()
        return kernel


class RawKernel:
    def __init__(
        self,
        code,
        name,
        options=(),
        backend="nvrtc",
        *,
        translate_cucomplex=False,
        enable_cooperative_groups=False,
        jitify=False,
    ):
        if translate_cucomplex or enable_cooperative_groups or jitify:
            raise NotImplementedError("the simulation takes `code`, `name` and `options` only")
        self.code, self.name, self.options, self.backend = code, name, options, backend

    def compile(self, log_stream=None):
        self._kernel = _compile(self.code, self.options, self.backend).get(self.name)
        if self._kernel is None:
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {self.name}")

    def __call__(self, grid, block, args, *, shared_mem=0):
        if not hasattr(self, "_kernel"):
            self.compile()
        grid, block = ([max(1, each) for each in (*size, 1, 1)[:3]] for size in (grid, block))
        on_host.check_launch(grid, block)
        kernel = self._kernel
        if len(args) != len(kernel.parameters):
            raise on_host.KernelError(
                f"{self.name} has {len(kernel.parameters)} parameters, and got {len(args)} values"
            )
        values, reads, writes, regions = [], [], [], []
        for parameter, value in zip(kernel.parameters, args, strict=True):
            values.append(_value(parameter, value))
            region = _region(parameter, value)
            if region is not None and region.size:
                (reads if parameter.constant else writes).append(region)
                regions.append((parameter, region))

        def run():
            ranges = [
                on_host.Range(
                    *np.lib.array_utils.byte_bounds(region), parameter.name, not parameter.constant
                )
                for parameter, region in regions
            ]
            try:
                kernel.launch(grid, block, values, ranges, shared_mem)
            except on_host.KernelError as error:
                accesses.report(str(error))
                raise

        streams.launch(_current_queue(), run, reads, writes, self.name)


def _compile(code, options, backend):
    try:
        return on_host.compile_kernels(code, tuple(options))
    except on_host.CompileError as error:
        raise CompileException(str(error), code, "kernels.cu", options, backend) from error


def _value(parameter, value):
    """An argument as the kernel gets it, by value; see `_pointer` in CuPy's function.pyx."""
    address = getattr(value, "data", value) if _is_array(value) else value
    if value is None or isinstance(address, MemoryPointer):
        given = np.uintp(0 if value is None else address.ptr)
        if not parameter.pointee:
            raise on_host.KernelError(f"{parameter.name} is no pointer, and got one: {value!r}")
    elif isinstance(value, np.ndarray) and value.size != 1:
        raise TypeError(
            f"You are trying to pass a numpy.ndarray of shape {value.shape} as a kernel parameter. "
            "Only numpy.ndarrays of size one can be passed by value."
        )
    else:
        given = np.asarray(value)  # int64 or float64 for Python's numbers
        kind = "u" if given.dtype.kind == "b" else given.dtype.kind
        if parameter.pointee or kind != parameter.kind:
            raise on_host.KernelError(f"{parameter} got {value!r}, {given.dtype}")
    if given.nbytes != parameter.size:
        raise on_host.KernelError(f"{parameter} got {value!r} of {given.nbytes} bytes")
    return given.tobytes()


def _region(parameter, value):
    """The memory that an argument points to, as a NumPy array."""
    if isinstance(value, MemoryPointer):
        return value._region(value.mem.size - (value.ptr - value.mem.ptr))
    if not _is_array(value):
        return None
    if value.data.device_id != runtime.getDevice():
        raise on_host.KernelError(
            f"{parameter.name} lies on device {value.data.device_id}, and the kernel runs on "
            f"{runtime.getDevice()}"
        )
    kind = "u" if value.dtype.kind == "b" else value.dtype.kind
    # Packed parameters are passed as bytes.
    matches = value.dtype.itemsize == parameter.pointee and parameter.kind in (kind, "V")
    if not matches and value.dtype.itemsize != 1:
        raise on_host.KernelError(f"{parameter} got an array of {value.dtype}")
    return value._host


def _is_array(value):
    from cupy._ndarray import ndarray

    return isinstance(value, ndarray)
