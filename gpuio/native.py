"""The native module, which decodes, resamples and normalizes images without the interpreter's lock.

It is optional: a library in C beside this file, which the installation builds where a C compiler
and libjpeg-turbo are found, and libdeflate for PNGs (see ``kernels/native/native.h``). Without it
everything works the same way through simplejpeg and OpenCV. The environment variable GPUIO_NATIVE
turns it off ("0"), or makes its absence an error ("1").
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, Error
from gpuio.native_structs import SAMPLE

T = TypeVar("T")

VARIABLE = "GPUIO_NATIVE"
LIBRARY = Path(__file__).with_name("libgpuio_native.so")
# Why there is none, in a line; written when gpuio was installed.
MISSING = "native_missing.txt"
# Only in a checkout.
SOURCES = Path(__file__).parents[1] / "kernels" / "native"

# Bytes of the longer header of ELF files; the class of those with this header.
ELF_HEADER, ELF_64_BITS = 64, 2

ABI = 4  # of native.h


class Selected(NamedTuple):
    """The samples of a batch that the module makes.

    Attributes
    ----------
    samples : SAMPLE (n,), in the order of their rows
    pixels : float64 (n,), pixels of their images
    """

    samples: NDArray[np.void]
    pixels: NDArray[np.float64]


class Native:
    """The library's functions. Safe to use from several threads.

    Parameters
    ----------
    path : the library

    Attributes
    ----------
    path : the argument
    jpeg : version of libjpeg-turbo
    png : version of libdeflate; empty without it: then it makes no PNGs
    build : SHA-256 of the sources that it was built from

    Raises
    ------
    OSError : it cannot be loaded.
    AttributeError : it is another library.
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        for name in ("build", "jpeg", "png"):
            getattr(library, f"gpuio_native_{name}").restype = ctypes.c_char_p
        library.gpuio_native_abi.restype = ctypes.c_int32
        self.path = path
        self.abi: int = library.gpuio_native_abi()
        self.build: str = library.gpuio_native_build().decode()
        self.jpeg: str = library.gpuio_native_jpeg().decode()
        self.png: str = library.gpuio_native_png().decode()
        if self.abi != ABI:  # others may not have the functions below
            return
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        self._new = library.gpuio_native_new
        self._new.restype, self._new.argtypes = pointer, []
        self._free = library.gpuio_native_free
        self._free.restype, self._free.argtypes = None, [pointer]
        self._read = library.gpuio_native_read
        self._read.restype = ctypes.c_int32
        self._read.argtypes = [ctypes.c_int32, *[pointer] * 3, integer, pointer]
        self._headers = library.gpuio_native_headers
        self._headers.restype, self._headers.argtypes = None, [pointer, integer, pointer]
        self._philox = library.gpuio_native_philox
        word = ctypes.c_uint32
        self._philox.restype = None
        self._philox.argtypes = [ctypes.c_uint64, *[pointer] * 2, integer, word, word, pointer]
        self._select = library.gpuio_native_select
        self._select.restype, self._select.argtypes = integer, [pointer] * 3
        self._operate = library.gpuio_native_operate
        self._operate.restype = ctypes.c_int32
        number = ctypes.c_int32
        self._operate.argtypes = [pointer, number, pointer, pointer, *[number] * 4]
        self._render = library.gpuio_native_render
        self._render.restype, self._render.argtypes = integer, [pointer] * 3 + [integer, pointer]

    def workspace(self) -> Workspace:
        """New memory for `render`.

        Raises
        ------
        MemoryError : memory is short.
        """
        return Workspace(self)

    def select(self, plan: NDArray[np.void], arrays: Mapping[str, NDArray[Any] | None]) -> Selected:
        """Select the samples that `render` makes, with their arrays contiguous and as in native.h.

        Parameters
        ----------
        plan : PLAN (1,), with all that is no array; the addresses of the arrays are set
        arrays : by the names of PLAN's fields, with `count` rows each; None: nothing of the kind
        """
        for name, array in arrays.items():
            plan[name] = 0 if array is None else array.ctypes.data
        count = int(plan["count"][0])
        samples, pixels = np.empty(count, SAMPLE), np.empty(count)
        found = self._select(plan.ctypes.data, samples.ctypes.data, pixels.ctypes.data)
        return Selected(samples[:found], pixels[:found])

    def render(
        self, workspace: Workspace, output: int, samples: int, count: int, batch: int
    ) -> int:
        """Make samples, and set their status.

        Parameters
        ----------
        workspace : that no other thread uses meanwhile
        output : address of an OUTPUT
        samples : address of `count` contiguous SAMPLE, see native.h; their rows are within the
            batch, and what they point to exists
        batch : address of the batch's array, C-contiguous, as the output says

        Returns
        -------
        The number of samples that are made
        """
        made: int = self._render(workspace.address, output, samples, count, batch)
        return made

    def operate(self, operations: NDArray[np.void], pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Apply operations to an image; see `execution.operations.operate`.

        Parameters
        ----------
        operations : OPERATION (K,) of gpuio.planning.operations
        pixels : uint8 (height, width, channels), 1, 3 or 4 channels

        Returns
        -------
        A new array
        """
        operations = np.ascontiguousarray(operations)
        height, width, channels = pixels.shape
        buffers = np.array(pixels, order="C"), np.empty(pixels.shape, np.uint8)
        addresses = [each.ctypes.data for each in buffers]
        size = width, height, channels, channels
        moved = self._operate(operations.ctypes.data, len(operations), *addresses, *size)
        return buffers[moved]

    def read(
        self,
        descriptor: int,
        begins: NDArray[np.int64],
        ends: NDArray[np.int64],
        places: NDArray[np.int64],
        data: NDArray[np.uint8],
    ) -> bool:
        """Read parts of a file.

        Parameters
        ----------
        descriptor : the file's
        begins, ends : int64 (n,), the parts, in bytes
        places : int64 (n,), where each of them begins in `data`, within which they lie
        data : uint8 (bytes,), contiguous

        Returns
        -------
        Whether all of them could be read; if not, what `data` holds is undefined
        """
        parts = [np.ascontiguousarray(each, np.int64) for each in (begins, ends, places)]
        addresses = [each.ctypes.data for each in parts]
        return bool(self._read(descriptor, *addresses, len(begins), data.ctypes.data))

    def headers(self, places: NDArray[np.void]) -> NDArray[np.uint64]:
        """Read the headers of JPEGs and PNGs, from what of them is in memory.

        Parameters
        ----------
        places : PLACE (n,), contiguous; what they point to exists

        Returns
        -------
        uint64 (n,), codes, see `header_codes`; 0 where `read_header` has to find out
        """
        codes = np.empty(len(places), np.uint64)
        self._headers(places.ctypes.data, len(places), codes.ctypes.data)
        return codes

    def philox(
        self,
        seed: int,
        epoch: NDArray[np.int64],
        record: NDArray[np.int64],
        first: int,
        blocks: int,
    ) -> NDArray[np.uint64]:
        """Random words of Philox4x32-10; see `sampling.philox.words`.

        Parameters
        ----------
        first : number of the first block of four words
        blocks : their number

        Returns
        -------
        uint64 (N, 4 * blocks)
        """
        drawn = np.empty((len(record), 4 * blocks), np.uint64)
        assert epoch.shape == record.shape, "there is an epoch for each record"
        parts = [np.ascontiguousarray(each, np.int64) for each in (epoch, record)]
        addresses = [each.ctypes.data for each in parts]
        size = len(record), first, blocks
        self._philox(seed % 2**64, *addresses, *size, drawn.ctypes.data)
        return drawn


class Workspace:
    """Memory of one thread at a time, freed with this object.

    Attributes
    ----------
    address : of struct gpuio_workspace
    """

    def __init__(self, native: Native) -> None:
        self._free = native._free
        self.address: int | None = native._new()
        if self.address is None:
            raise MemoryError("memory for decoding images")

    def __del__(self) -> None:
        if (address := self.__dict__.get("address")) is not None:
            self._free(address)


def library() -> Native | None:
    """The native module; None: it is not in use, for the reason that `state` gives.

    Raises
    ------
    ArgumentError : GPUIO_NATIVE is neither "0" nor "1".
    Error : GPUIO_NATIVE is "1", and it cannot be used.
    """
    native, reason = _find(os.environ.get(VARIABLE, ""), LIBRARY, SOURCES)
    if native is None and os.environ.get(VARIABLE) == "1":
        raise Error(f"{VARIABLE}=1 asks for the native module: {reason}")
    return native


def bound(functions: Callable[[Native], T]) -> T | None:
    """What makes some of the module's functions callable, called with the module once; None: the
    module is not in use.
    """
    module = library()
    return None if module is None else _bound(functions, module)


@lru_cache
def _bound(functions: Callable[[Native], T], module: Native) -> T:
    return functions(module)


def state() -> tuple[bool, str]:
    """Whether the native module is in use; and its libraries, or why it is not.

    Raises
    ------
    ArgumentError : GPUIO_NATIVE is neither "0" nor "1".
    """
    native, reason = _find(os.environ.get(VARIABLE, ""), LIBRARY, SOURCES)
    return native is not None, reason


@lru_cache
def _find(setting: str, path: Path, sources: Path) -> tuple[Native | None, str]:
    """The library, and what `state` says about it."""
    if setting not in ("", "0", "1"):
        raise ArgumentError(f"{VARIABLE} must be 0 or 1, not {setting!r}")
    if setting == "0":
        return None, f"turned off by {VARIABLE}=0"
    if not path.exists():
        missing = path.with_name(MISSING)
        reason = f": {missing.read_text('utf-8').strip()}" if missing.exists() else ""
        return None, f"gpuio was installed without it{reason}"
    try:
        if not _is_whole(path.read_bytes()):
            return None, f"{path} is truncated: install gpuio again"
        native = Native(path)
    except (OSError, AttributeError) as error:
        return None, f"it cannot be loaded: {error}"
    if native.abi != ABI or (sources.is_dir() and native.build != source_hash(sources)):
        return None, f"{path} is of another version: install gpuio again"
    return native, f"libjpeg-turbo {native.jpeg}, {_png(native)}"


def _png(native: Native) -> str:
    """What `state` says about PNGs."""
    return f"libdeflate {native.png}" if native.png else "without libdeflate, so without PNGs"


def _is_whole(library: bytes) -> bool:
    """Whether an ELF file ends behind its table of sections, which is the last that it has.

    The system maps a truncated one all the same, and ends the process where it touches what is
    missing.
    """
    if library[:4] != b"\x7fELF" or len(library) < ELF_HEADER:
        return True  # which is refused when it is loaded
    place = ("=Q10xHH", 40) if library[4] == ELF_64_BITS else ("=I10xHH", 32)
    begin, size, count = struct.unpack_from(place[0], library, place[1])
    return begin + size * count <= len(library)  # type: ignore[no-any-return]


def source_hash(sources: Path) -> str:
    """SHA-256 over the names and contents of the library's sources, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(sources.glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
