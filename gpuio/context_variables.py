"""Values that count for a thread while it calls a function."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
V = TypeVar("V")


def call_with(
    variable: contextvars.ContextVar[V], value: V, function: Callable[..., T], *arguments: Any
) -> T:
    """Call a function while a context variable has a value.

    Whatever the function or a signal handler raises, the caller's value is not touched. A ``with``
    statement cannot promise that: the handler may raise between setting and ``try``.
    """
    context = contextvars.copy_context()
    context.run(variable.set, value)
    return context.run(function, *arguments)
