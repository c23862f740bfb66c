"""The methods of cupy.ndarray that compute: operators, reductions, sorting."""

import builtins
import functools

import numpy as np

from cupy import _ufuncs
from cupy._kernels import compute, store
from cupy._ndarray import ndarray

_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "lshift": "left_shift",
    "rshift": "right_shift",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "eq": "equal",
    "ne": "not_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _defers(array, other):
    """Whether another operand's reflected operator goes first, by NEP 13 as CuPy reads it."""
    missing = object()
    ufunc = getattr(other, "__array_ufunc__", missing)
    if ufunc is not missing:
        return ufunc is None
    return array.__array_priority__ < getattr(other, "__array_priority__", 0)


def _operator(name, reflected=False):
    function = _ufuncs.functions[name]

    def operate(self, other):
        pair = (other, self) if reflected else (self, other)
        if isinstance(other, ndarray):
            return function(*pair)
        if _defers(self, other):
            return NotImplemented
        return getattr(np, name)(*pair)  # dispatched to __array_ufunc__

    return operate


def _in_place(name):
    function = _ufuncs.functions[name]

    def operate(self, other):
        if _defers(self, other) and not isinstance(other, ndarray):
            return NotImplemented
        return function(self, other, self)

    return operate


def _comparison(name):
    compare = _operator(name)

    def operate(self, other):
        if isinstance(other, np.ndarray) and other.ndim == 0:
            other = other.item()
        incomparable = other is None or type(other).__eq__ is object.__eq__
        if name in ("equal", "not_equal") and incomparable:
            return compute(lambda a: np.full(a.shape, name == "not_equal"), self)
        return compare(self, other)

    return operate


def _unary(name):
    function = _ufuncs.functions[name]

    def operate(self):
        return function(self)

    return operate


def _matmul(self, other):
    if isinstance(other, ndarray):
        return compute(np.matmul, self, other)
    return NotImplemented if _defers(self, other) else np.matmul(self, other)


def _divmod(self, other):
    if isinstance(other, ndarray):
        return _ufuncs.divmod(self, other)
    return NotImplemented if _defers(self, other) else np.divmod(self, other)


def _array_ufunc(self, ufunc, method, *inputs, **kwargs):
    import cupy

    out = kwargs.get("out", ())
    if len(out) > 1:
        raise ValueError("The 'out' parameter must have exactly one array value")
    if out:
        kwargs["out"] = out[0]
    function = getattr(cupy, ufunc.__name__, None)
    if method != "__call__":
        function = getattr(function, method, None)
    if function is None:
        return NotImplemented
    numbers = (int, float, complex, bool, np.number, np.bool_)
    for each in (*inputs, *out):
        if not isinstance(each, (*numbers, ndarray, np.ndarray)) and not hasattr(
            each, "__cuda_array_interface__"
        ):
            return NotImplemented
    return function(*inputs, **kwargs)  # refuses arrays of NumPy


def _array_function(self, func, types, args, kwargs):
    import cupy

    try:
        module = functools.reduce(getattr, func.__module__.split(".")[1:], cupy)
        function = getattr(module, func.__name__)
    except AttributeError:
        return NotImplemented
    if function is func or not builtins.all(
        issubclass(each, (ndarray, np.ndarray)) for each in types
    ):
        return NotImplemented
    return function(*args, **kwargs)


def _axis(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def all(self, axis=None, out=None, keepdims=False):
    return compute(lambda a: np.all(a, _axis(axis), keepdims=keepdims), self, out=out)


def any(self, axis=None, out=None, keepdims=False):
    return compute(lambda a: np.any(a, _axis(axis), keepdims=keepdims), self, out=out)


def max(self, axis=None, out=None, keepdims=False):
    return compute(lambda a: np.max(a, _axis(axis), keepdims=keepdims), self, out=out)


def min(self, axis=None, out=None, keepdims=False):
    return compute(lambda a: np.min(a, _axis(axis), keepdims=keepdims), self, out=out)


def argmax(self, axis=None, out=None, dtype=None, keepdims=False):
    return compute(lambda a: np.argmax(a, axis, keepdims=keepdims), self, out=out, dtype=dtype)


def argmin(self, axis=None, out=None, dtype=None, keepdims=False):
    return compute(lambda a: np.argmin(a, axis, keepdims=keepdims), self, out=out, dtype=dtype)


def sum(self, axis=None, dtype=None, out=None, keepdims=False):
    return compute(lambda a: np.sum(a, _axis(axis), dtype, keepdims=keepdims), self, out=out)


def prod(self, axis=None, dtype=None, out=None, keepdims=False):
    return compute(lambda a: np.prod(a, _axis(axis), dtype, keepdims=keepdims), self, out=out)


def mean(self, axis=None, dtype=None, out=None, keepdims=False):
    return compute(lambda a: np.mean(a, _axis(axis), dtype, keepdims=keepdims), self, out=out)


def var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return compute(
        lambda a: np.var(a, _axis(axis), dtype, ddof=ddof, keepdims=keepdims), self, out=out
    )


def std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return compute(
        lambda a: np.std(a, _axis(axis), dtype, ddof=ddof, keepdims=keepdims), self, out=out
    )


def ptp(self, axis=None, out=None, keepdims=False):
    return compute(lambda a: np.ptp(a, _axis(axis), keepdims=keepdims), self, out=out)


def cumsum(self, axis=None, dtype=None, out=None):
    return compute(lambda a: np.cumsum(a, axis, dtype), self, out=out)


def cumprod(self, axis=None, dtype=None, out=None):
    return compute(lambda a: np.cumprod(a, axis, dtype), self, out=out)


def trace(self, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    return compute(lambda a: np.trace(a, offset, axis1, axis2, dtype), self, out=out)


def dot(self, b, out=None):
    return compute(np.dot, self, b, out=out)


def repeat(self, repeats, axis=None):
    return compute(lambda a: np.repeat(a, repeats, axis), self)


def clip(self, min=None, max=None, out=None):
    if min is None and max is None:
        raise ValueError("One of min or max must be given.")
    if min is None:
        return _ufuncs.functions["minimum"](self, max, out=out)
    if max is None:
        return _ufuncs.functions["maximum"](self, min, out=out)
    return _ufuncs._clip(self, min, max, out=out)


def round(self, decimals=0, out=None):
    return _ufuncs._round(self, decimals, out=out)


def conj(self):
    return _ufuncs.functions["conjugate"](self) if self.dtype.kind == "c" else self


conjugate = conj


def sort(self, axis=-1, kind=None):
    _check_kind(kind)
    store(lambda a: np.sort(a, axis, kind="stable"), [self], self.shape, self.dtype, self)


def argsort(self, axis=-1, kind=None):
    _check_kind(kind)
    return compute(lambda a: np.argsort(a, axis, kind="stable"), self)


def _check_kind(kind):
    if kind not in (None, "stable"):
        raise ValueError(f"kind must be None or 'stable', not {kind!r}")


def put(self, indices, values, mode="wrap"):
    flat = self.reshape(-1)
    flat[indices] = values


METHODS = (
    *(all, any, max, min, argmax, argmin, sum, prod, mean, var, std, ptp, cumsum, cumprod, trace),
    *(dot, repeat, clip, round, conj, sort, argsort, put),
)

for _method in METHODS:
    setattr(ndarray, _method.__name__, _method)
ndarray.conjugate = conj
for _name, _function in _BINARY.items():
    setattr(ndarray, f"__{_name}__", _operator(_function))
    setattr(ndarray, f"__r{_name}__", _operator(_function, reflected=True))
    setattr(ndarray, f"__i{_name}__", _in_place(_function))
for _name, _function in _COMPARISONS.items():
    setattr(ndarray, f"__{_name}__", _comparison(_function))
for _name, _function in _UNARY.items():
    setattr(ndarray, f"__{_name}__", _unary(_function))
ndarray.__matmul__ = _matmul
ndarray.__rmatmul__ = lambda self, other: NotImplemented
ndarray.__divmod__ = _divmod
ndarray.__rdivmod__ = lambda self, other: np.divmod(other, self)
ndarray.__array_ufunc__ = _array_ufunc
ndarray.__array_function__ = _array_function
