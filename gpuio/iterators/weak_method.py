"""Methods that threads call without keeping their object alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from gpuio.errors import Error

P = ParamSpec("P")
R = TypeVar("R")


def weak_method(method: Callable[P, R]) -> Callable[P, R]:
    """A method as a function that does not keep the method's object alive: a thread that calls it
    must not outlive the object that owns the thread.

    Raises
    ------
    Error : (when called) the object has been garbage-collected.
    """
    reference = weakref.WeakMethod(method)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = reference()
        if bound is None:
            raise Error("the iterator has been garbage-collected")
        return bound(*args, **kwargs)

    return call
