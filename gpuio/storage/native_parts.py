"""Parts of a file by the native module: one call instead of a dozen of NumPy's."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from gpuio import native


class NativeParts:
    """The native module's function that joins parts, see native.h. Safe to use from several
    threads.

    Parameters
    ----------
    module : the native module
    """

    def __init__(self, module: native.Native) -> None:
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        self._join = ctypes.CDLL(str(module.path)).gpuio_native_join
        self._join.restype = integer
        self._join.argtypes = [pointer, pointer, integer, integer, pointer]

    def join(
        self, begins: NDArray[np.int64], ends: NDArray[np.int64], gap: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Join parts that are close together; see `parts.join`.

        Returns
        -------
        int64 (3, k), where each range begins, ends, and is put; and int64 (n,), where each part is
        put
        """
        count = len(begins)
        assert len(ends) == count, "each part has an end"
        parts = [np.ascontiguousarray(each, np.int64) for each in (begins, ends)]
        joined = np.empty((6, count), np.int64)
        addresses = [each.ctypes.data for each in parts]
        found = self._join(*addresses, count, gap, joined.ctypes.data)
        return joined[:3, :found], joined[3]


def native_parts() -> NativeParts | None:
    """The function; None: the native module is not in use."""
    return native.bound(NativeParts)
