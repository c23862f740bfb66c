"""mx.base, as far as data scripts import it."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.base import MXNetError, numeric_types, py_str, string_types


def test_types() -> None:
    assert MXNetError is mx.MXNetError
    assert isinstance("x", string_types) and isinstance(2, mx.base.integer_types)
    assert all(isinstance(x, numeric_types) for x in (1, 2.5, np.float32(3)))
    assert not isinstance("x", numeric_types)
    assert mx.base.mx_real_t is np.float32 and py_str(b"\xc3\xa9") == "é"


def test_what_is_missing() -> None:
    with pytest.raises(AttributeError, match=r"no mx\.base\._LIB: there is no C library"):
        getattr(mx.base, "_LIB")  # noqa: B009
