"""The installed CuPy over a substitute for CUDA: ``pytest -p tests.simulated.installed``.

All of CuPy's own code runs, compiled as it is: its classes, what it asks of arguments, its stacks
of devices and streams, how it packs the arguments of kernels. CuPy's own kernels compute nothing,
but leave what was in memory; those of gpuio run, compiled by g++. So values mean something only
where no others are involved, but classes, shapes, dtypes, strides, devices and errors do anywhere.

It must come before the import of CuPy.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import types
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("cuda.c")

# Types in the signatures of CuPy's functions.
TYPES: dict[str, Any] = {
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "float": ctypes.c_float,
    "intptr_t": ctypes.c_ssize_t,
    "size_t": ctypes.c_size_t,
}
SIGNATURE = re.compile(r"(.*?)\s*\((.*)\)")


def build() -> ctypes.PyDLL:
    """The substitute, from the cache if it is there."""
    key = hashlib.sha256(SOURCE.read_bytes() + sys.version.encode()).hexdigest()[:32]
    folder = Path(tempfile.gettempdir()) / f"gpuio-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    library = folder / f"{key}.so"
    if not library.exists():
        made = library.with_suffix(f".{os.getpid()}")
        include = sysconfig.get_paths()["include"]
        subprocess.run(
            ["gcc", "-O1", "-shared", "-fPIC", f"-I{include}", str(SOURCE), "-o", str(made)],
            check=True,
        )
        made.replace(library)
    return ctypes.PyDLL(str(library))


def replace(module: types.ModuleType, library: ctypes.PyDLL) -> int:
    """Replace the functions of one of CuPy's modules by the substitute's; how many."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    api.PyCapsule_New.restype = ctypes.py_object
    replaced = 0
    for name, capsule in list(module.__pyx_capi__.items()):  # type: ignore[attr-defined]
        function = getattr(library, f"cuda_{name}", None)
        if function is None:
            continue
        signature = api.PyCapsule_GetName(capsule)
        _kept.append(signature)
        address = ctypes.cast(function, ctypes.c_void_p)
        module.__pyx_capi__[name] = api.PyCapsule_New(address, signature, None)  # type: ignore[attr-defined]
        if hasattr(module, name):
            setattr(module, name, _as_python(function, signature.decode()))
        replaced += 1
    return replaced


_kept: list[bytes] = []


def _as_python(function: Any, signature: str) -> Any:
    """A function of CuPy's as Python calls it, without Cython's own arguments."""
    match = SIGNATURE.fullmatch(signature)
    assert match is not None, signature
    given = [each for each in match[2].split(", ") if each in TYPES]
    hidden = [0 if "skip_dispatch" in each else None for each in match[2].split(", ")[len(given) :]]
    function.restype = TYPES.get(match[1], ctypes.py_object)
    function.argtypes = [TYPES[each] for each in given] + [
        ctypes.c_void_p if each is None else ctypes.c_int for each in hidden
    ]
    return lambda *args: function(*args[: len(given)], *hidden)


class Kernels:
    """Runs gpuio's kernels as CuPy launches them; those of CuPy itself do nothing."""

    def __init__(self, library: ctypes.PyDLL) -> None:
        self._library = library
        library.allocation.argtypes = [ctypes.c_ssize_t, ctypes.c_void_p]
        library.allocation.restype = ctypes.c_ssize_t
        self._sources: dict[int, str] = {}
        self._kernels: dict[int, Any] = {}
        self.launched = 0

    def compile(self, source: str, *args: Any, **options: Any) -> Any:
        """In place of CuPy's compiler."""
        from cupy.cuda.function import Module

        module = Module()
        module.load(b"")
        self._sources[module.ptr] = source
        return module

    def find(self, function: int, module: int, name: str) -> None:
        source = self._sources.get(module, "")
        if "gpuio/execution/" in source:  # the twin that each of gpuio's kernels names
            from tests.kernels import on_host

            self._kernels[function] = on_host.compile_kernels(source, ("-std=c++17",))[name]

    def launch(self, function: int, grid: Any, block: Any, arguments: int, shared: int) -> None:
        kernel = self._kernels.get(function)
        if kernel is None:
            return
        from tests.kernels.on_host import Range

        places = (ctypes.c_void_p * len(kernel.parameters)).from_address(arguments)
        values = [
            ctypes.string_at(place, each.size)
            for each, place in zip(kernel.parameters, places, strict=True)
        ]
        ranges = []
        for each, value in zip(kernel.parameters, values, strict=True):
            address = int.from_bytes(value, "little") if each.pointee else 0
            if address:
                size = ctypes.c_size_t()
                begin = self._library.allocation(address, ctypes.byref(size))
                assert begin, f"{each.name} points to no memory of a device"
                ranges.append(Range(begin, begin + size.value, each.name, not each.constant))
        kernel.launch(grid, block, values, ranges, shared)
        self.launched += 1


def install() -> Kernels:
    """Let the process import the installed CuPy over the substitute.

    Raises
    ------
    RuntimeError : CuPy has been imported already, or is built in another way.
    """
    if "cupy" in sys.modules:
        raise RuntimeError("CuPy is imported already")
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB calls CUDA by itself
    from cupy_backends.cuda.api import driver, runtime

    library = build()
    kernels = Kernels(library)
    library.install.argtypes, library.install.restype = [ctypes.py_object] * 3, None
    library.install(runtime, kernels.find, kernels.launch)
    replaced = replace(runtime, library) + replace(driver, library)
    if replaced < 30:
        raise RuntimeError(f"only {replaced} of CUDA's functions were found in CuPy")
    import cupy
    import cupyx

    cupy.cuda.compiler._compile_module_with_cache = kernels.compile
    # cuSPARSE is not installed; a matrix needs a descriptor of it.
    cupyx.cusparse = types.ModuleType("cupyx.cusparse")
    cupyx.cusparse.MatDescriptor = types.SimpleNamespace(create=object)
    sys.modules["cupyx.cusparse"] = cupyx.cusparse
    return kernels


if "cupy" not in sys.modules:
    installed = install()
