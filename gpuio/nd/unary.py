"""Functions of each value of an array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpuio.context import get_array_module
from gpuio.nd.conversion import as_dtype
from gpuio.nd.operator import operator
from gpuio.nd.types import Option, Values

__all__ = [
    "BlockGrad",
    "Cast",
    "abs",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "cast",
    "cbrt",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "degrees",
    "exp",
    "expm1",
    "fix",
    "floor",
    "identity",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logical_not",
    "negative",
    "radians",
    "rcbrt",
    "reciprocal",
    "relu",
    "rint",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softmax",
    "sqrt",
    "square",
    "stop_gradient",
    "tan",
    "tanh",
    "trunc",
]


def _unary(name: str, ufunc: str, summary: str, rounds: bool = False) -> Callable[..., Values]:
    """A function that is one of NumPy's; of integers it is computed in float32, unless `rounds`:
    then they stay as they are.
    """

    def function(data: Values) -> Values:
        if data.dtype.kind in "iub":
            if rounds:
                return data.copy()
            data = data.astype(np.float32)
        return getattr(get_array_module(data), ufunc)(data)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = summary
    return operator(function)


arccos = _unary("arccos", "arccos", "Inverse cosine.")
arccosh = _unary("arccosh", "arccosh", "Inverse hyperbolic cosine.")
arcsin = _unary("arcsin", "arcsin", "Inverse sine.")
arcsinh = _unary("arcsinh", "arcsinh", "Inverse hyperbolic sine.")
arctan = _unary("arctan", "arctan", "Inverse tangent.")
arctanh = _unary("arctanh", "arctanh", "Inverse hyperbolic tangent.")
cbrt = _unary("cbrt", "cbrt", "Cube root.")
ceil = _unary("ceil", "ceil", "Round up.", rounds=True)
cos = _unary("cos", "cos", "Cosine.")
cosh = _unary("cosh", "cosh", "Hyperbolic cosine.")
degrees = _unary("degrees", "degrees", "Radians in degrees.")
exp = _unary("exp", "exp", "Exponential.")
expm1 = _unary("expm1", "expm1", "Exponential, minus 1.")
fix = _unary("fix", "trunc", "Round towards zero.", rounds=True)
floor = _unary("floor", "floor", "Round down.", rounds=True)
log = _unary("log", "log", "Natural logarithm.")
log10 = _unary("log10", "log10", "Logarithm to base 10.")
log1p = _unary("log1p", "log1p", "Natural logarithm of 1 + x.")
log2 = _unary("log2", "log2", "Logarithm to base 2.")
radians = _unary("radians", "radians", "Degrees in radians.")
reciprocal = _unary("reciprocal", "reciprocal", "1 / x.")
sin = _unary("sin", "sin", "Sine.")
sinh = _unary("sinh", "sinh", "Hyperbolic sine.")
sqrt = _unary("sqrt", "sqrt", "Square root.")
tan = _unary("tan", "tan", "Tangent.")
tanh = _unary("tanh", "tanh", "Hyperbolic tangent.")
trunc = _unary("trunc", "trunc", "Round towards zero.", rounds=True)


@operator
def abs(data: Values) -> Values:
    """Absolute value."""
    return get_array_module(data).abs(data)


@operator
def negative(data: Values) -> Values:
    """-x."""
    return -data


@operator
def sign(data: Values) -> Values:
    """-1, 0 or 1."""
    return get_array_module(data).sign(data)


@operator
def square(data: Values) -> Values:
    """The square: x * x."""
    return get_array_module(data).square(data)


@operator
def round(data: Values) -> Values:
    """The nearest integer; halves are rounded away from zero, as in C."""
    if data.dtype.kind in "iub":
        return data.copy()
    xp = get_array_module(data)
    whole = xp.trunc(data)
    return whole + (xp.abs(data - whole) >= 0.5) * xp.sign(data)


@operator
def rint(data: Values) -> Values:
    """The nearest integer; of two equally near ones the lower, as in MXNet."""
    if data.dtype.kind in "iub":
        return data.copy()
    xp = get_array_module(data)
    low, high = xp.floor(data), xp.ceil(data)
    return xp.where(data - low <= high - data, low, high)


def rsqrt(data: Values, **options: Option) -> Values:
    """1 / sqrt(x)."""
    return reciprocal(sqrt(data), **options)


def rcbrt(data: Values, **options: Option) -> Values:
    """1 / cbrt(x)."""
    return reciprocal(cbrt(data), **options)


@operator
def relu(data: Values) -> Values:
    """max(x, 0)."""
    return get_array_module(data).maximum(data, 0)


@operator
def sigmoid(data: Values) -> Values:
    """1 / (1 + exp(-x))."""
    # By tanh, which does not overflow.
    return 0.5 * get_array_module(data).tanh(0.5 * data) + 0.5


@operator
def softmax(data: Values, axis: int = -1, temperature: float = 1.0) -> Values:
    """Exponentials divided by their sum along an axis."""
    xp = get_array_module(data)
    raised = xp.exp((data - data.max(axis, keepdims=True)) / temperature)
    return raised / raised.sum(axis, keepdims=True)


@operator
def log_softmax(data: Values, axis: int = -1, temperature: float = 1.0) -> Values:
    """Logarithm of `softmax`."""
    xp = get_array_module(data)
    shifted = (data - data.max(axis, keepdims=True)) / temperature
    return shifted - xp.log(xp.exp(shifted).sum(axis, keepdims=True))


@operator
def logical_not(data: Values) -> Values:
    """1 where x is 0, else 0; of the dtype of x."""
    return (data == 0).astype(data.dtype)


@operator
def identity(data: Values) -> Values:
    """A copy."""
    return data


BlockGrad = stop_gradient = identity


@operator
def cast(data: Values, dtype: Option) -> Values:
    """The values in another dtype."""
    return data.astype(as_dtype(dtype))


Cast = cast


@operator
def clip(data: Values, a_min: float, a_max: float) -> Values:
    """The values, at least `a_min` and at most `a_max`; of the same dtype."""
    if data.dtype.kind in "iu":  # NumPy refuses limits that the dtype does not have
        limits = np.iinfo(data.dtype)
        a_min, a_max = (min(max(each, limits.min), limits.max) for each in (a_min, a_max))
    return data.clip(a_min, a_max).astype(data.dtype, copy=False)
