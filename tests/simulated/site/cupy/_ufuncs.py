"""CuPy's ufuncs: NumPy's of the same name, on simulated devices."""

import numpy as np

from cupy._kernels import check, host_of, quietly, store
from cupy._ndarray import ndarray

# fmt: off
NAMES = (
    "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "bitwise_and", "bitwise_or", "bitwise_xor", "cbrt", "ceil", "conj",
    "conjugate", "copysign", "cos", "cosh", "deg2rad", "degrees", "divide", "equal", "exp", "exp2",
    "expm1", "fabs", "floor", "floor_divide", "fmax", "fmin", "fmod", "greater", "greater_equal",
    "hypot", "invert", "isfinite", "isinf", "isnan", "left_shift", "less", "less_equal", "log",
    "log10", "log1p", "log2", "logical_and", "logical_not", "logical_or", "logical_xor",
    "maximum", "minimum", "mod", "multiply", "negative", "nextafter", "not_equal", "positive",
    "power", "rad2deg", "radians", "reciprocal", "remainder", "right_shift", "rint", "sign",
    "signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "true_divide", "trunc",
)
# fmt: on


class ufunc:
    """A function of each value.

    The class of the result is that of the first argument of a subclass, as in CuPy.
    """

    def __init__(self, function, name=None):
        self._function = function
        self.name = f"cupy_{name or function.__name__}"
        self.__name__ = name or function.__name__
        self.nin, self.nout = function.nin, 1
        self.nargs = self.nin + 1

    def __repr__(self):
        return f"<ufunc '{self.name}'>"

    def __call__(self, *args, out=None, dtype=None, casting="same_kind"):
        if len(args) not in (self.nin, self.nargs):
            raise TypeError(f"{self.name} takes {self.nin} positional arguments")
        if len(args) == self.nargs:
            if out is not None:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            args, out = args[: self.nin], args[-1]
        out = out[0] if isinstance(out, tuple) else out
        check([*args, *(() if out is None else [out])])
        small = quietly(self._function, *map(_one, args), dtype=dtype)
        shape = np.broadcast_shapes(*(np.shape(host_of(each)) for each in args))
        if out is not None:
            if not np.can_cast(small.dtype, out.dtype, casting):
                raise TypeError(
                    f"output (typecode '{small.dtype.char}') could not be coerced to provided "
                    f"output parameter (typecode '{out.dtype.char}') according to the casting "
                    f'rule "{casting}"'
                )
            if np.broadcast_shapes(shape, out.shape) != out.shape:
                raise ValueError("Output array has too small a shape")
            shape = out.shape
        like = next((x for x in args if isinstance(x, ndarray) and type(x) is not ndarray), None)

        def work(*values):
            return np.broadcast_to(self._function(*values, dtype=dtype), shape)

        work.__name__ = self.__name__
        return store(work, args, shape, small.dtype, out, like)

    def outer(self, A, B, **kwargs):
        from cupy import array

        A, B = array(A), array(B)
        return self(
            A.reshape(A.shape + (1,) * B.ndim), B.reshape((1,) * A.ndim + B.shape), **kwargs
        )

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        if self.__name__ == "add":
            return array.sum(axis, dtype, out, keepdims)
        if self.__name__ == "multiply":
            return array.prod(axis, dtype, out, keepdims)
        raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")

    def accumulate(self, array, axis=0, dtype=None, out=None):
        if self.__name__ == "add":
            return array.cumsum(axis, dtype, out)
        if self.__name__ == "multiply":
            return array.cumprod(axis, dtype, out)
        raise NotImplementedError(f"`{self.name}.accumulate` is not supported yet")


def _one(value):
    """An argument's dtype, and its being an array or a number, in one value."""
    host = host_of(value)
    return np.ones((1,) * host.ndim, host.dtype) if isinstance(host, np.ndarray) else host


class _Clip:
    """numpy.clip as a ufunc."""

    nin = 3
    __name__ = "clip"

    def __call__(self, a, low, high, dtype=None):
        return np.clip(a, low, high, dtype=dtype)


class _Where:
    nin = 3
    __name__ = "where"

    def __call__(self, condition, x, y, dtype=None):
        return np.where(condition, x, y)


class _Round:
    nin = 2
    __name__ = "round"

    def __call__(self, a, decimals, dtype=None):
        return np.round(a, decimals)


functions = {name: ufunc(getattr(np, name), name) for name in NAMES}
_clip, _where, _round = ufunc(_Clip()), ufunc(_Where()), ufunc(_Round())
globals().update(functions)


def divmod(x1, x2):
    return functions["floor_divide"](x1, x2), functions["remainder"](x1, x2)


def clip(a, a_min, a_max, out=None):
    return a.clip(a_min, a_max, out=out)


def where(condition, x=None, y=None):
    if (x is None) != (y is None):
        raise ValueError("Must provide both 'x' and 'y' or neither.")
    if x is None:
        return condition.nonzero()
    return _where(condition.astype(bool, copy=False), x, y)


def around(a, decimals=0, out=None):
    return a.round(decimals, out=out)


round = around
