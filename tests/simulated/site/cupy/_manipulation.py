"""CuPy's functions that join and rearrange arrays, and the reductions as functions."""

import builtins

import numpy as np

from cupy._kernels import arrays_in, compute
from cupy._ndarray import ndarray

__all__ = [
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "array_equal",
    "array_split",
    "broadcast_to",
    "concatenate",
    "cumprod",
    "cumsum",
    "diag",
    "diagonal",
    "dot",
    "expand_dims",
    "flip",
    "get_array_module",
    "hstack",
    "isscalar",
    "matmul",
    "max",
    "may_share_memory",
    "mean",
    "min",
    "moveaxis",
    "nanprod",
    "nansum",
    "nonzero",
    "pad",
    "prod",
    "put_along_axis",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "shares_memory",
    "sort",
    "split",
    "squeeze",
    "stack",
    "std",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tensordot",
    "tile",
    "transpose",
    "unravel_index",
    "var",
    "vstack",
]


def concatenate(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    arrays = list(tup)
    if not builtins.all(isinstance(each, ndarray) for each in arrays):
        raise TypeError("Only cupy arrays can be concatenated")
    if axis is None:
        arrays, axis = [each.ravel() for each in arrays], 0
    return compute(
        lambda given: np.concatenate(given, axis, dtype=dtype, casting=casting), arrays, out=out
    )


def stack(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    arrays = [each._share(np.expand_dims(each._host, axis)) for each in tup]
    return concatenate(arrays, axis, out, dtype=dtype, casting=casting)


def vstack(tup, *, dtype=None, casting="same_kind"):
    arrays = [each._share(np.atleast_2d(each._host)) for each in tup]
    return concatenate(arrays, 0, dtype=dtype, casting=casting)


def hstack(tup, *, dtype=None, casting="same_kind"):
    arrays = [each._share(np.atleast_1d(each._host)) for each in tup]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1, dtype=dtype, casting=casting)


def matmul(*args, out=None):
    return compute(np.matmul, *args, out=out)


def dot(a, b, out=None):
    return a.dot(b, out)


def tensordot(a, b, axes=2):
    return compute(lambda x, y: np.tensordot(x, y, axes), a, b)


def reshape(a, newshape, order="C", *, copy=None):
    return a.reshape(newshape, order=order, copy=copy)


def ravel(a, order="C"):
    return a.ravel(order)


def transpose(a, axes=None):
    return a.transpose(axes)


def swapaxes(a, axis1, axis2):
    return a.swapaxes(axis1, axis2)


def squeeze(a, axis=None):
    return a.squeeze(axis)


def expand_dims(a, axis):
    return a._share(np.expand_dims(a._host, axis))


def moveaxis(a, source, destination):
    return a._share(np.moveaxis(a._host, source, destination))


def flip(a, axis=None):
    return a._share(np.flip(a._host, axis))


def broadcast_to(array, shape):
    return array._share(np.broadcast_to(array._host, shape))


def diagonal(a, offset=0, axis1=0, axis2=1):
    return a.diagonal(offset, axis1, axis2)


def diag(v, k=0):
    return compute(lambda a: np.diag(a, k), v)


def tile(A, reps):
    return compute(lambda a: np.tile(a, reps), A)


def repeat(a, repeats, axis=None):
    return a.repeat(repeats, axis)


def roll(a, shift, axis=None):
    return compute(lambda values: np.roll(values, shift, axis), a)


def pad(array, pad_width, mode="constant", **kwargs):
    return compute(lambda a: np.pad(a, pad_width, mode, **kwargs), array)


def array_split(ary, indices_or_sections, axis=0):
    return [ary._share(part) for part in np.array_split(ary._host, indices_or_sections, axis)]


def split(ary, indices_or_sections, axis=0):
    if isinstance(indices_or_sections, int) and ary.shape[axis] % indices_or_sections:
        raise ValueError(
            "indices_or_sections must divide the size along the axes.\nIf you want to split the "
            "array into non-equally-sized arrays, use array_split instead."
        )
    return array_split(ary, indices_or_sections, axis)


def take(a, indices, axis=None, out=None):
    return a.take(indices, axis, out)


def take_along_axis(a, indices, axis):
    return a[_along(a, indices, axis)] if axis is not None else a.ravel()[indices]


def put_along_axis(arr, indices, values, axis):
    arr[_along(arr, indices, axis)] = values


def _along(a, indices, axis):
    from cupy._creation import arange

    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if a.ndim != indices.ndim:
        raise ValueError("`indices` and `a` must have the same number of dimensions")
    axis %= a.ndim
    return tuple(
        indices
        if each == axis
        else arange(length).reshape((1,) * each + (-1,) + (1,) * (a.ndim - each - 1))
        for each, length in enumerate(a.shape)
    )


def unravel_index(indices, dims, order="C"):
    size = int(np.prod(dims))
    packed = compute(
        lambda a: np.stack(np.unravel_index(a % size, dims, order)), indices, dtype=np.int64
    )
    return tuple(packed)


def sort(a, axis=-1, kind=None):
    made = a.ravel() if axis is None else a.copy()
    made = made.copy() if axis is None else made
    made.sort(axis=-1 if axis is None else axis, kind=kind)
    return made


def argsort(a, axis=-1, kind=None):
    return a.argsort(axis=axis, kind=kind)


def nonzero(a):
    return a.nonzero()


def sum(a, axis=None, dtype=None, out=None, keepdims=False):
    return a.sum(axis, dtype, out, keepdims)


def prod(a, axis=None, dtype=None, out=None, keepdims=False):
    return a.prod(axis, dtype, out, keepdims)


def mean(a, axis=None, dtype=None, out=None, keepdims=False):
    return a.mean(axis=axis, dtype=dtype, out=out, keepdims=keepdims)


def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return a.var(axis=axis, dtype=dtype, out=out, ddof=ddof, keepdims=keepdims)


def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return a.std(axis=axis, dtype=dtype, out=out, ddof=ddof, keepdims=keepdims)


def amax(a, axis=None, out=None, keepdims=False):
    return a.max(axis=axis, out=out, keepdims=keepdims)


def amin(a, axis=None, out=None, keepdims=False):
    return a.min(axis=axis, out=out, keepdims=keepdims)


max, min = amax, amin


def argmax(a, axis=None, dtype=None, out=None, keepdims=False):
    return a.argmax(axis=axis, dtype=dtype, out=out, keepdims=keepdims)


def argmin(a, axis=None, dtype=None, out=None, keepdims=False):
    return a.argmin(axis=axis, dtype=dtype, out=out, keepdims=keepdims)


def all(a, axis=None, out=None, keepdims=False):
    return a.all(axis=axis, out=out, keepdims=keepdims)


def any(a, axis=None, out=None, keepdims=False):
    return a.any(axis=axis, out=out, keepdims=keepdims)


def cumsum(a, axis=None, dtype=None, out=None):
    return compute(lambda values: np.cumsum(values, axis, dtype), a, out=out)


def cumprod(a, axis=None, dtype=None, out=None):
    return compute(lambda values: np.cumprod(values, axis, dtype), a, out=out)


def nansum(a, axis=None, dtype=None, out=None, keepdims=False):
    return compute(lambda values: np.nansum(values, axis, dtype, keepdims=keepdims), a, out=out)


def nanprod(a, axis=None, dtype=None, out=None, keepdims=False):
    return compute(lambda values: np.nanprod(values, axis, dtype, keepdims=keepdims), a, out=out)


def allclose(a, b, rtol=1.0e-5, atol=1.0e-8, equal_nan=False):
    return compute(lambda x, y: np.allclose(x, y, rtol, atol, equal_nan), a, b)


def array_equal(a1, a2, equal_nan=False):
    return compute(lambda x, y: np.array_equal(x, y, equal_nan), a1, a2)


def may_share_memory(a, b, max_work=None):
    return np.may_share_memory(a._host, b._host, max_work)


shares_memory = may_share_memory


def isscalar(element):
    return np.isscalar(element)


def get_array_module(*args):
    import cupy

    return cupy if list(arrays_in(args)) else np
