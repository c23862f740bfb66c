"""The functions of ``mx.nd`` that are also methods of NDArrays: ``x.sum()`` is ``nd.sum(x)``.

Some have the name of a method of NumPy's and CuPy's arrays, which libraries call with arguments
that MXNet does not have, such as ``dtype`` and ``out``: such a call gets the library's own method.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from gpuio.nd import indexing, joining, reductions, shaping, sorting, unary
from gpuio.nd.ndarray import NDArray, library_method
from gpuio.nd.placement import plain
from gpuio.nd.types import Option, Values

_FUNCTIONS = {
    unary: """abs arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil clip cos cosh degrees
        exp expm1 fix floor log log10 log1p log2 log_softmax radians rcbrt reciprocal relu rint
        round rsqrt sigmoid sign sin sinh softmax sqrt square tan tanh trunc""",
    indexing: "one_hot pick take",
    joining: "split split_v2",
    reductions: "argmax argmax_channel argmin max mean min nanprod nansum norm prod sum",
    shaping: """broadcast_axes broadcast_like broadcast_to diag expand_dims flatten flip ones_like
        pad repeat reshape_like shape_array size_array slice slice_axis slice_like squeeze swapaxes
        tile zeros_like""",
    sorting: "argsort sort topk",
}


def _method(function: Callable[..., Values]) -> Callable[..., Values]:
    parameters = list(inspect.signature(function).parameters)[1:]
    name = function.__name__

    @functools.wraps(function)
    def method(self: NDArray, *args: Option, **options: Option) -> Values:
        of_library = len(args) > len(parameters) or not options.keys() <= set(parameters)
        # CuPy's take passes its argument out in place of MXNet's mode.
        of_library = of_library or (name == "take" and args[2:] == (None,))
        if of_library and hasattr(plain(self), name):
            return library_method(self, name, *args, **options)
        return function(self, *args, **options)

    return method


def _transpose(self: NDArray, *order: Option, axes: Option = None) -> Values:
    """The axes in another order, by default reversed: as one tuple or one by one."""
    if len(order) == 1 and not isinstance(order[0], int):
        order = order[0]
    return shaping.transpose(self, axes or order)


def _add_methods() -> None:
    for module, names in _FUNCTIONS.items():
        for name in names.split():
            setattr(NDArray, name, _method(getattr(module, name)))
    setattr(NDArray, "transpose", _transpose)  # noqa: B010  # not assigned: it has a type already
    setattr(NDArray, "T", property(_transpose))  # noqa: B010


_add_methods()
