"""kernels/assemble.cu compiled by g++ and run on the host, with a substitute for CuPy.

So all of `CudaAssembler` runs without a GPU: its checks, the packing of its parameters, the order
and types of the kernel's arguments, and the launch size. Only streams are not tested.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

HERE = Path(__file__).parent
FLAGS = (
    *("-std=c++17", "-O1", "-g", "-shared", "-fPIC", "-ffp-contract=off"),
    *("-fsanitize=undefined,float-cast-overflow", "-fno-sanitize-recover=all"),
)


def compile_library(folder):
    """Build the library; skip if there is no g++ (an error in CI)."""
    compiler = shutil.which("g++")
    if compiler is None:
        reason = "g++ is needed to run the kernels on the host"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    library = folder / "assemble_host.so"
    built = subprocess.run(
        [compiler, *FLAGS, str(HERE / "assemble_host.cpp"), "-o", str(library)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return ctypes.CDLL(str(library))


class DeviceArray(np.ndarray):
    """Substitute for cupy.ndarray, distinct from NumPy arrays."""


class FakeCupy:
    """The parts of CuPy that gpuio.execution uses."""

    class CompileException(Exception):
        """Substitute for cupy.cuda.compiler.CompileException."""

    def __init__(self, library, launch=None):
        self.library = library
        self.launch = launch  # replaces CudaAssembler's launch size
        self.launched = []
        self.cuda = SimpleNamespace(
            Device=lambda device_id: contextlib.nullcontext(),
            compiler=SimpleNamespace(CompileException=self.CompileException),
        )

    def empty(self, shape, dtype):
        """An array between guard bytes, to detect writes out of bounds."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory = np.full(size + 128, 0xA5, np.uint8)
        array = memory[64 : 64 + size].view(dtype).reshape(shape).view(DeviceArray)
        array.guard = memory
        return array

    def asarray(self, array):
        return array.copy().view(DeviceArray)

    def RawModule(self, code, options):
        assert "assemble" in code
        assert "-std=c++17" in options
        return SimpleNamespace(get_function=self._function)

    def _function(self, name):
        function = getattr(self.library, f"launch_{name}")
        function.restype = None

        def kernel(grid, block, arguments):
            launch = np.array(self.launch or (*grid, *block), np.uint32)
            self.launched.append(launch)
            out, pixels, *values = arguments
            arrays, values = [out, pixels, *values[:5]], values[5:]
            pointers = []
            for array in arrays:
                assert array is None or isinstance(array, DeviceArray)
                pointers.append(ctypes.c_void_p(None if array is None else array.ctypes.data))
            cells = [np.asarray(value) for value in values]
            assert [cell.dtype for cell in cells[:6]] == ["int64", *["int32"] * 5]
            assert cells[6].nbytes == 32
            function(
                ctypes.c_void_p(launch.ctypes.data),
                *pointers,
                *(ctypes.c_void_p(cell.ctypes.data) for cell in cells),
            )
            guard = out.guard
            assert (guard[:64] == 0xA5).all() and (guard[-64:] == 0xA5).all(), (
                "wrote beyond the batch"
            )

        return kernel
