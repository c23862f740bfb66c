"""The headers of many records by the native module: one call instead of dozens of NumPy's."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio import native
from gpuio.native_structs import PLACE

# struct gpuio_records.
RECORDS = np.dtype(
    [(name, np.uintp) for name in ("places", "labels", "flags", "ids", "whole")],
)


class NativeHeaders(NamedTuple):
    """What the headers of n records say; see `RecordHeaders` and native.h.

    Attributes
    ----------
    places : PLACE (n,), of the images; all 0 where a record is not whole
    labels : float32 (n,), of those whose label is a single number
    flags : uint32 (n,), numbers in each of the other labels; 0: a single one
    ids : uint64 (n,); 0 where a record is not whole
    whole : bool (n,)
    are_plain : all are whole, and all labels are single numbers
    """

    places: NDArray[np.void]
    labels: NDArray[np.float32]
    flags: NDArray[np.uint32]
    ids: NDArray[np.uint64]
    whole: NDArray[np.bool_]
    are_plain: bool


class NativeRecords:
    """The native module's function that reads headers of records, see native.h. Safe to use from
    several threads.

    Parameters
    ----------
    module : the native module
    """

    def __init__(self, module: native.Native) -> None:
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        self._records = ctypes.CDLL(str(module.path)).gpuio_native_records
        self._records.restype = integer
        self._records.argtypes = [*[pointer] * 4, integer, integer, ctypes.c_int32, pointer]

    def headers(
        self,
        data: NDArray[np.uint8],
        begins: NDArray[np.int64],
        known: NDArray[np.int64],
        starts: NDArray[np.int64],
        size: int,
        descriptor: int | None,
    ) -> NativeHeaders:
        """Read the headers of records.

        Parameters
        ----------
        data : uint8 (bytes,), contiguous, the records' beginnings
        begins, known : int64 (n,), where each begins in it, and how many bytes of it are there
        starts : int64 (n,), where the records begin in the file, in bytes
        size, descriptor : the file's
        """
        count = len(starts)
        assert len(begins) == len(known) == count, "a place and a length of each record"
        assert data.flags.c_contiguous, "records are contiguous"
        places, labels = np.empty(count, PLACE), np.empty(count, np.float32)
        flags, ids = np.empty(count, np.uint32), np.empty(count, np.uint64)
        whole = np.empty(count, np.bool_)
        made: list[NDArray[Any]] = [places, labels, flags, ids, whole]
        records = np.array([each.ctypes.data for each in made], np.uintp)
        given = [np.ascontiguousarray(each, np.int64) for each in (begins, known, starts)]
        file = -1 if descriptor is None else descriptor
        addresses = [each.ctypes.data for each in given]
        plain = self._records(data.ctypes.data, *addresses, count, size, file, records.ctypes.data)
        return NativeHeaders(places, labels, flags, ids, whole, plain == count)


def native_records() -> NativeRecords | None:
    """The function; None: the native module is not in use."""
    return native.bound(NativeRecords)
