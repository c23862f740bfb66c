"""The operators of NDArrays, such as ``x + y`` and ``x == y``, on the arrays' own device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpuio.context import on_device
from gpuio.nd.arguments import as_operand
from gpuio.nd.ndarray import NDArray, kept
from gpuio.nd.placement import common_context, on_context, plain
from gpuio.nd.types import DType, Operand, Values

_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul")
_SHIFTS = ("lshift", "rshift")
_LOGICAL = ("and", "or", "xor")
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = ("neg", "pos", "abs")


def _binary(name: str) -> Callable[[NDArray, Operand], Values]:
    title = f"the operator {name}"

    def operate(self: NDArray, other: Operand) -> Values:
        other = as_operand(other)
        ctx = common_context(title, (self, other))
        array = plain(self)
        method = getattr(array, name, None)  # CuPy has no __imatmul__
        if method is None:
            return NotImplemented
        with on_device(ctx):
            result = method(on_context(other, ctx))
        if result is array:  # in place
            self.is_mask = False
            return self
        return _as_ndarray(self, result)

    return operate


def _comparison(name: str) -> Callable[[NDArray, Operand], Values]:
    compare = _binary(name)

    def operate(self: NDArray, other: Operand) -> Values:
        result = compare(self, other)
        if not isinstance(result, NDArray) or self.dtype == np.bool_:
            return result
        # MXNet compares with NDArrays and numbers only; with an array of NumPy or CuPy it is their
        # boolean mask.
        ours = isinstance(other, NDArray) or np.isscalar(other) or not hasattr(other, "dtype")
        return _as_mask(result, self.dtype) if ours else result

    return operate


def _logical(name: str) -> Callable[[NDArray, Operand], Values]:
    """An operator of integers, and of masks."""
    operate_on_integers = _binary(name)

    def operate(self: NDArray, other: Operand) -> Values:
        if not self.is_mask:
            return operate_on_integers(self, other)
        result = getattr(self.astype(np.bool_), name)(_as_bool(other))
        return _as_mask(result, self.dtype) if isinstance(result, NDArray) else result

    return operate


def _invert(self: NDArray) -> NDArray:
    if not self.is_mask:
        return _unary("__invert__")(self)  # type: ignore[no-any-return]
    return _as_mask(self == 0, self.dtype)


def _as_mask(result: NDArray, dtype: DType) -> NDArray:
    """The result of a comparison in MXNet's dtype."""
    mask = result.astype(dtype)
    mask.is_mask = True
    return mask


def _as_bool(other: Operand) -> Operand:
    return other.astype(np.bool_) if getattr(other, "is_mask", False) else other


def _unary(name: str) -> Callable[[NDArray], Values]:
    def operate(self: NDArray) -> Values:
        with on_device(self.context):
            return _as_ndarray(self, getattr(plain(self), name)())

    return operate


def _as_ndarray(array: NDArray, result: Values) -> Values:
    """The result; NumPy's scalars, which it makes of arrays of shape (), as NDArrays."""
    if isinstance(result, np.generic):
        return np.asarray(result).view(type(array))
    return kept(array, result)


def _add_operators() -> None:
    for name in (*_ARITHMETIC, *_SHIFTS):
        for form in (f"__{name}__", f"__r{name}__", f"__i{name}__"):
            if form != "__idivmod__":
                setattr(NDArray, form, _binary(form))
    for name in _LOGICAL:
        for form in (f"__{name}__", f"__r{name}__", f"__i{name}__"):
            setattr(NDArray, form, _logical(form))
    for name in _COMPARISONS:
        setattr(NDArray, f"__{name}__", _comparison(f"__{name}__"))
    for name in _UNARY:
        setattr(NDArray, f"__{name}__", _unary(f"__{name}__"))
    setattr(NDArray, "__invert__", _invert)  # noqa: B010  # not assigned: it has a type already


_add_operators()
