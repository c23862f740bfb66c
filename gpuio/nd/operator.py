"""Turns functions of NumPy's or CuPy's arrays into functions of MXNet's ``mx.nd``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from gpuio.context import on_device
from gpuio.errors import ArgumentError, Error
from gpuio.nd.ndarray import NDArray, wrap
from gpuio.nd.nested import arrays_in
from gpuio.nd.placement import common_context, on_context, plain
from gpuio.nd.types import Array, Values

P = ParamSpec("P")


def operator(function: Callable[P, Values]) -> Callable[..., Values]:
    """Turn a function of plain arrays into a function of MXNet.

    The result takes NDArrays (and NumPy's and CuPy's arrays) instead, runs on their device, and
    returns NDArrays, which never share memory with an argument: MXNet's functions copy. It has two
    more arguments: ``out``, an array that the result is written into and that is returned, and
    MXNet's ``name``, which has no effect.

    Parameters
    ----------
    function : its positional arguments are arrays, or lists of them, and options; it returns an
        array, or a list of them
    """
    title = function.__name__

    @functools.wraps(function)
    def call(
        *args: Values, out: Values = None, name: str | None = None, **options: Values
    ) -> Values:
        given = [*args, *options.values()]
        arrays = list(arrays_in(given))
        ctx = common_context(title, arrays)
        if not arrays and given and isinstance(given[0], (list, tuple)):
            raise ArgumentError(
                f"{title} takes NDArrays, not a {type(given[0]).__name__}; nd.array makes one"
            )
        plain_args, plain_options = on_context((args, options), ctx)
        with on_device(ctx):
            try:
                result = function(*plain_args, **plain_options)
            except Error:
                raise
            except (AttributeError, TypeError) as error:
                if arrays:
                    raise
                raise ArgumentError(f"{title} takes NDArrays: {error}") from error
            except (ValueError, LookupError, ArithmeticError, MemoryError) as error:
                # NumPy's AxisError is both of the first; a number that is too large for NumPy, or a
                # division by zero, is the third.
                shapes = ", ".join(str(each.shape) for each in arrays)
                raise ArgumentError(f"{title} of {shapes}: {error}") from error
            return _finish(title, result, arrays, out)

    return call


def _finish(title: str, result: Values, arrays: list[Array], out: Values) -> Values:
    if isinstance(result, (list, tuple)):
        outs = [None] * len(result) if out is None else out
        if len(outs) != len(result):
            raise ArgumentError(
                f"{title} has {len(result)} results, but out has {len(outs)} arrays"
            )
        pairs = zip(result, outs, strict=True)
        return [_finish(title, each, arrays, target) for each, target in pairs]
    if out is not None:
        return write(out, result, f"{title}: ")
    if any(_owner(result) is _owner(plain(each)) for each in arrays):
        result = result.copy()  # C-contiguous
    return wrap(result)


def write(out: Values, result: Values, where: str = "") -> NDArray:
    """Write a result into `out`, and return that.

    Parameters
    ----------
    where : begins the error's message

    Raises
    ------
    ArgumentError : out is not an NDArray, or has another shape.
    """
    if not isinstance(out, NDArray) or out.shape != result.shape:
        what = f"of shape {out.shape}" if isinstance(out, NDArray) else type(out).__name__
        raise ArgumentError(f"{where}out must be an NDArray of shape {result.shape}, not {what}")
    out[...] = result
    return out


def _owner(array: Values) -> Values:
    """The array that owns the memory."""
    while hasattr(array.base, "dtype"):
        array = array.base
    return array
