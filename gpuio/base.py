"""MXNet's ``mx.base``, as far as data scripts import it."""

from typing import Any

import numpy as np

from gpuio.errors import MXNetError

__all__ = ["MXNetError", "integer_types", "mx_real_t", "numeric_types", "py_str", "string_types"]

string_types = (str,)
integer_types = (int, np.int32, np.int64)
numeric_types = (float, int, np.generic)

# The default dtype of arrays.
mx_real_t = np.float32


def py_str(x: bytes) -> str:
    """Decode UTF-8."""
    return x.decode("utf-8")


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"gpuio has no mx.base.{name}: there is no C library of MXNet; it has {', '.join(__all__)}"
    )
