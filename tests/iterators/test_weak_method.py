"""Methods that threads call without keeping their object alive."""

from __future__ import annotations

import gc
import weakref

import pytest

from gpuio.errors import Error
from gpuio.iterators.weak_method import weak_method


class Adder:
    def __init__(self, start: int) -> None:
        self.start = start

    def add(self, number: int, *, times: int = 1) -> int:
        return self.start + number * times


def test_it_calls_the_method() -> None:
    adder = Adder(5)
    add = weak_method(adder.add)
    adder.start = 6
    assert add(2, times=3) == 12


def test_it_does_not_keep_the_object_alive() -> None:
    adder = Adder(5)
    alive = weakref.ref(adder)
    add = weak_method(adder.add)
    del adder
    gc.collect()
    assert alive() is None
    with pytest.raises(Error, match="garbage-collected"):
        add(2)
