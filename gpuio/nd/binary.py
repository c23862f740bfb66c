"""Functions of two arrays that broadcast, or of an array and a number."""

from __future__ import annotations

import operator as python
from collections.abc import Callable

import numpy as np

from gpuio.context import device_of, get_array_module
from gpuio.errors import ArgumentError
from gpuio.nd.ndarray import NDArray, wrap
from gpuio.nd.operator import operator, write
from gpuio.nd.types import Operand, Values

__all__ = [
    "ElementWiseSum",
    "add",
    "add_n",
    "broadcast_add",
    "broadcast_div",
    "broadcast_equal",
    "broadcast_greater",
    "broadcast_greater_equal",
    "broadcast_hypot",
    "broadcast_lesser",
    "broadcast_lesser_equal",
    "broadcast_logical_and",
    "broadcast_logical_or",
    "broadcast_logical_xor",
    "broadcast_maximum",
    "broadcast_minimum",
    "broadcast_minus",
    "broadcast_mod",
    "broadcast_mul",
    "broadcast_not_equal",
    "broadcast_plus",
    "broadcast_power",
    "broadcast_sub",
    "divide",
    "elemwise_add",
    "elemwise_div",
    "elemwise_mul",
    "elemwise_sub",
    "equal",
    "greater",
    "greater_equal",
    "lesser",
    "lesser_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "modulo",
    "multiply",
    "not_equal",
    "power",
    "subtract",
    "true_divide",
]


def _binary(
    name: str, function: Callable[[Operand, Operand], Values], summary: str
) -> Callable[..., Values]:
    """A function of operands of which at least one is an array, for all of MXNet's names."""

    def call(
        lhs: Operand, rhs: Operand, out: NDArray | None = None, name: str | None = None
    ) -> Values:
        result = function(_as_operand(lhs), _as_operand(rhs))
        if isinstance(result, (bool, np.generic)):  # of two numbers
            return int(result) if isinstance(result, (bool, np.bool_)) else result.item()
        return result if out is None else write(out, result)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = summary
    return call


def _as_operand(value: Operand) -> Operand:
    """An operand with the operators of NDArrays."""
    on_device = device_of(value).device_type == "gpu"
    return wrap(value) if isinstance(value, np.ndarray) or on_device else value


def _of_library(name: str) -> Callable[[Operand, Operand], Values]:
    """A function of NumPy or CuPy of two operands, the result of which has the arrays' dtype."""

    @operator
    def call(lhs: Operand, rhs: Operand) -> Values:
        xp = get_array_module(lhs if hasattr(lhs, "shape") else rhs)
        return getattr(xp, name)(lhs, rhs)

    def function(lhs: Operand, rhs: Operand) -> Values:
        if not (isinstance(lhs, NDArray) or isinstance(rhs, NDArray)):
            return getattr(np, name)(lhs, rhs)
        numbers = (each.item() if isinstance(each, np.generic) else each for each in (lhs, rhs))
        return call(*numbers)

    return function


def _logical(name: str) -> Callable[[Operand, Operand], Values]:
    function = _of_library(name)

    def call(lhs: Operand, rhs: Operand) -> Values:
        dtype = next((each.dtype for each in (lhs, rhs) if isinstance(each, NDArray)), np.float32)
        return function(lhs, rhs).astype(dtype)

    return call


add = _binary("add", python.add, "lhs + rhs.")
subtract = _binary("subtract", python.sub, "lhs - rhs.")
multiply = _binary("multiply", python.mul, "lhs * rhs.")
divide = _binary("divide", python.truediv, "lhs / rhs.")
modulo = _binary("modulo", python.mod, "lhs % rhs, with the sign of rhs.")
power = _binary("power", python.pow, "base ** exp.")
maximum = _binary("maximum", _of_library("maximum"), "The greater of each pair.")
minimum = _binary("minimum", _of_library("minimum"), "The lesser of each pair.")
hypot = _binary("hypot", _of_library("hypot"), "Length of the hypotenuse.")
equal = _binary("equal", python.eq, "1 where lhs == rhs, else 0; of the dtype of lhs.")
not_equal = _binary("not_equal", python.ne, "1 where lhs != rhs, else 0; of the dtype of lhs.")
greater = _binary("greater", python.gt, "1 where lhs > rhs, else 0; of the dtype of lhs.")
greater_equal = _binary("greater_equal", python.ge, "1 where lhs >= rhs, else 0; of lhs's dtype.")
lesser = _binary("lesser", python.lt, "1 where lhs < rhs, else 0; of the dtype of lhs.")
lesser_equal = _binary("lesser_equal", python.le, "1 where lhs <= rhs, else 0; of lhs's dtype.")
logical_and = _binary("logical_and", _logical("logical_and"), "1 where both are non-zero, else 0.")
logical_or = _binary("logical_or", _logical("logical_or"), "1 where one is non-zero, else 0.")
logical_xor = _binary(
    "logical_xor", _logical("logical_xor"), "1 where just one is non-zero, else 0."
)

true_divide = divide
broadcast_add = broadcast_plus = add
broadcast_sub = broadcast_minus = subtract
broadcast_mul = multiply
broadcast_div = divide
broadcast_mod = modulo
broadcast_power = power
broadcast_maximum = maximum
broadcast_minimum = minimum
broadcast_hypot = hypot
broadcast_equal = equal
broadcast_not_equal = not_equal
broadcast_greater = greater
broadcast_greater_equal = greater_equal
broadcast_lesser = lesser
broadcast_lesser_equal = lesser_equal
broadcast_logical_and = logical_and
broadcast_logical_or = logical_or
broadcast_logical_xor = logical_xor


def _same_shape(name: str, function: Callable[..., Values], summary: str) -> Callable[..., Values]:
    def call(
        lhs: NDArray, rhs: NDArray, out: NDArray | None = None, name: str | None = None
    ) -> Values:
        if lhs.shape != rhs.shape:
            raise ArgumentError(
                f"{call.__name__} takes arrays of one shape, not {lhs.shape} and {rhs.shape}; "
                f"{call.__name__.replace('elemwise', 'broadcast')} broadcasts"
            )
        return function(lhs, rhs, out)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = summary
    return call


elemwise_add = _same_shape("elemwise_add", add, "lhs + rhs, of one shape.")
elemwise_sub = _same_shape("elemwise_sub", subtract, "lhs - rhs, of one shape.")
elemwise_mul = _same_shape("elemwise_mul", multiply, "lhs * rhs, of one shape.")
elemwise_div = _same_shape("elemwise_div", divide, "lhs / rhs, of one shape.")


def add_n(*args: NDArray, out: NDArray | None = None, name: str | None = None) -> Values:
    """The sum of arrays of one shape."""
    if not args or len({each.shape for each in args}) > 1:
        got = ", ".join(str(each.shape) for each in args) or "none"
        raise ArgumentError(f"add_n takes arrays of one shape, and got {got}")
    total = wrap(args[0]).copy()
    for each in args[1:]:
        total = total + each
    return total if out is None else write(out, total)


ElementWiseSum = add_n
