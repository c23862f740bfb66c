"""Substitute for CuPy over simulated devices; see ``tests/simulated/README.md``.

It has what gpuio and its tests use of CuPy, by CuPy's names and with CuPy's parameters, behaviour
and refusals. What it lacks raises AttributeError.
"""

from numpy import (
    bool_,
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    newaxis,
    uint8,
    uint16,
    uint32,
    uint64,
)

from cupy import cuda
from cupy._creation import (
    arange,
    array,
    asanyarray,
    asarray,
    ascontiguousarray,
    asfortranarray,
    asnumpy,
    copy,
    copyto,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    identity,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from cupy._dlpack import from_dlpack
from cupy._manipulation import *
from cupy._methods import METHODS as _METHODS
from cupy._ndarray import ndarray
from cupy._raw import RawModule
from cupy._ufuncs import around, clip, divmod, functions, round, where

__version__ = "14.2.0"

globals().update(functions)
del functions


def get_default_memory_pool():
    return cuda.memory._default_pool
