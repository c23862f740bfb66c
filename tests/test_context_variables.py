"""Values that count while a function is called."""

from contextvars import ContextVar

import pytest

from gpuio.context_variables import call_with

NAME: ContextVar[str] = ContextVar("NAME", default="outside")


def test_the_value_counts_inside() -> None:
    def inner(first: int, second: int) -> tuple[int, str, str, str]:
        return first + second, NAME.get(), call_with(NAME, "inner", NAME.get), NAME.get()

    assert call_with(NAME, "outer", inner, 1, 2) == (3, "outer", "inner", "outer")
    assert NAME.get() == "outside"


def test_an_exception_passes_and_leaves_nothing() -> None:
    def fail() -> None:
        raise KeyboardInterrupt(NAME.get())

    with pytest.raises(KeyboardInterrupt, match="inside"):
        call_with(NAME, "inside", fail)
    assert NAME.get() == "outside"
