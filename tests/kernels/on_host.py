"""CUDA kernels compiled by g++ and run on the host, with their memory accesses checked.

`compile_kernels` compiles a source as it would be given to NVRTC; shim.h declares what CUDA's
compiler knows by itself, and runtime.cpp runs the threads. Compiled kernels are cached by the
content of all that they are made of.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
SHIM, RUNTIME = HERE / "shim.h", HERE / "runtime.cpp"
FLAGS = ("-std=c++17", "-O1", "-g", "-fPIC", "-ffp-contract=off")
CHECKS = (
    "-fsanitize=undefined,float-cast-overflow",
    "-fno-sanitize-recover=undefined,float-cast-overflow",
    # Calls of functions for each access to memory, which runtime.cpp implements.
    *("-fsanitize=kernel-address", "--param", "asan-instrumentation-with-call-threshold=0"),
    *("--param", "asan-globals=0", "--param", "asan-stack=0"),
)

# CUDA's limits (programming guide, table of technical specifications).
MAX_GRID, MAX_BLOCK, MAX_THREADS = (2**31 - 1, 65535, 65535), (1024, 1024, 64), 1024

# Options of NVRTC that g++ has too, or that state what FLAGS do.
SAME_OPTIONS = re.compile(r"-std=c\+\+\d\d|-D\w+(=\S*)?|-I\S+")
IMPLIED_OPTIONS = {"--fmad=false", "-fmad=false", "-lineinfo", "--generate-line-info"}

KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+(?:__launch_bounds__\([^)]*\)\s*)?void\s+'
                    r"(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)")  # fmt: skip
SHARED = re.compile(r"(extern\s+)?__shared__\s+([^;=]+?)\b(\w+)\s*((?:\[[^\]]*\]\s*)*);")


class CompileError(Exception):
    """The source is no valid CUDA; the message is the compiler's."""


class KernelError(Exception):
    """A kernel did what it must not: the message says what, where and in which thread."""


class Parameter(NamedTuple):
    """A parameter of a kernel.

    Attributes
    ----------
    name : in the source
    size : bytes
    pointee : bytes of an element that it points to; 0 if it is passed by value
    kind : NumPy's kind of the value or element: "i", "u", "f", or "V" for structures
    constant : whether it points to constants
    """

    name: str
    size: int
    pointee: int
    kind: str
    constant: bool


class Range(NamedTuple):
    """Memory that a kernel may access: addresses from `begin` to before `end`."""

    begin: int
    end: int
    name: str
    writable: bool


class _Parameter(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("pointee", ctypes.c_size_t),
                ("kind", ctypes.c_char), ("constant", ctypes.c_char)]  # fmt: skip


class _Range(ctypes.Structure):
    _fields_ = [("begin", ctypes.c_void_p), ("end", ctypes.c_void_p),
                ("name", ctypes.c_char_p), ("writable", ctypes.c_longlong)]  # fmt: skip


class _Launch(ctypes.Structure):
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3),
                ("shared_bytes", ctypes.c_ulonglong),
                ("backwards", ctypes.c_ulonglong), ("ranges", ctypes.POINTER(_Range)),
                ("range_count", ctypes.c_ulonglong),
                ("message", ctypes.c_char * 512)]  # fmt: skip


class Kernel:
    """A compiled kernel.

    Attributes
    ----------
    name : in the source
    parameters : a `Parameter` each
    backwards : run the last thread of the last block first
    """

    backwards = False

    def __init__(self, library: ctypes.CDLL, name: str, names: Sequence[str]):
        self.name = name
        self.library = library
        count = ctypes.c_size_t.in_dll(library, f"count_{name}").value
        assert count == len(names), f"{name}: {count} parameters, of which {names} were found"
        found = ctypes.POINTER(_Parameter).in_dll(library, f"parameters_{name}")
        self.parameters = tuple(
            Parameter(each, one.size, one.pointee, one.kind.decode(), one.constant != b"\0")
            for each, one in zip(names, found, strict=False)
        )

    def launch(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        values: Sequence[bytes],
        ranges: Sequence[Range],
        shared_bytes: int = 0,
    ) -> None:
        """Run the kernel, and return when it has run.

        Parameters
        ----------
        grid, block : three numbers each
        values : the arguments, as the kernel reads them
        ranges : all memory that it may access
        shared_bytes : of dynamic shared memory

        Raises
        ------
        KernelError : it accessed other memory, showed undefined behavior, or waits for ever.
        """
        cells = [ctypes.create_string_buffer(value, len(value)) for value in values]
        pointers = (ctypes.c_void_p * len(cells))(*(ctypes.addressof(cell) for cell in cells))
        table = (_Range * len(ranges))(
            *(_Range(begin, end, name.encode(), write) for begin, end, name, write in ranges)
        )
        launch = _Launch(
            tuple(grid), tuple(block), shared_bytes, self.backwards, table, len(ranges)
        )
        entry = ctypes.cast(getattr(self.library, f"call_{self.name}"), ctypes.c_void_p)
        if self.library.launch(entry, pointers, ctypes.byref(launch)):
            raise KernelError(f"{self.name} {launch.message.decode(errors='replace')}")


def check_launch(grid: Sequence[int], block: Sequence[int]) -> None:
    """Raise KernelError for a grid or block beyond CUDA's limits."""
    for what, size, limits in (("grid", grid, MAX_GRID), ("block", block, MAX_BLOCK)):
        if len(size) != len(limits) or any(
            not 1 <= each <= limit for each, limit in zip(size, limits, strict=True)
        ):
            raise KernelError(f"{what} {tuple(size)} is not from 1 to {limits}")
    if math.prod(block) > MAX_THREADS:
        raise KernelError(f"{math.prod(block)} threads in a block, more than {MAX_THREADS}")


@functools.cache
def compile_kernels(source: str, options: tuple[str, ...] = ()) -> dict[str, Kernel]:
    """Compile a source; its kernels by name. Skips the test if there is no g++ (fails in CI).

    Raises
    ------
    CompileError : it does not compile, or an option is unknown.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        reason = "g++ is needed to run the kernels on the host"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    unknown = [
        each for each in options
        if not SAME_OPTIONS.fullmatch(each) and each not in IMPLIED_OPTIONS
    ]  # fmt: skip
    if unknown:
        raise CompileError(f"options that on_host.py does not know: {' '.join(unknown)}")
    flags = [each for each in options if SAME_OPTIONS.fullmatch(each)]
    expanded = _run([compiler, *FLAGS, *flags, "-E", "-x", "c++", "-"], source)
    text = "".join(line for line in expanded.splitlines(True) if not line.startswith("#"))
    signatures = {
        name: [each.split()[-1].lstrip("*&") for each in parameters.split(",") if each.strip()]
        for name, parameters in KERNEL.findall(text)
    }
    generated = "\n".join(
        [f'#include "{SHIM}"', _with_shared_memory(expanded), *(f"EXPORT({x})" for x in signatures)]
    )
    library = ctypes.CDLL(str(_build(compiler, flags, generated)))
    return {name: Kernel(library, name, names) for name, names in signatures.items()}


def _with_shared_memory(text: str) -> str:
    """Replace declarations of shared memory by what the host's compiler understands."""

    def replace(match: re.Match[str]) -> str:
        external, kind, name, extent = match.groups()
        if external:
            return f"{kind}* {name} = ({kind}*)dynamic_shared();"
        register = f"enter_shared(&{name}, sizeof {name}, &block);"
        return f"static {kind} {name}{extent}; {{ static unsigned long long block; {register} }}"

    return SHARED.sub(replace, text)


def _build(compiler: str, flags: Sequence[str], source: str) -> Path:
    """The library of a source, from the cache if it is there."""
    key = hashlib.sha256()
    for part in (compiler, *flags, *FLAGS, *CHECKS, source, SHIM.read_text(), RUNTIME.read_text()):
        key.update(part.encode() + b"\0")
    cache = Path(tempfile.gettempdir()) / f"gpuio-kernels-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    library = cache / f"{key.hexdigest()[:32]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            kernels, runtime, linked = (Path(folder) / name for name in ("k.o", "r.o", "l.so"))
            compile_ = [compiler, *flags, *FLAGS, "-c"]
            _run([*compile_, *CHECKS, "-x", "c++", "-", "-o", str(kernels)], source)
            _run([*compile_, "-O2", str(RUNTIME), "-o", str(runtime)])
            link = ["-shared", "-Wl,-Bsymbolic", str(kernels), str(runtime), "-o", str(linked)]
            _run([compiler, *link])
            linked.replace(library)
    return library


def _run(command: Sequence[str], text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(done.stderr)
    return done.stdout


def integer(value: int, size: int) -> bytes:
    """The bytes of an address or number."""
    return int(value).to_bytes(size, "little", signed=value < 0)


def half_of(value: float) -> int:
    """The bits of a half, as the kernels on the host round it."""
    library = compile_kernels('extern "C" __global__ void nothing() {}')["nothing"].library
    library.half_of.argtypes, library.half_of.restype = [ctypes.c_float], ctypes.c_uint16
    return int(library.half_of(value))
