"""Ordered mapping in threads."""

import itertools
import threading
from collections.abc import Iterator

import pytest

from gpuio.errors import ArgumentError
from gpuio.tools.parallel import map_ordered


def test_results_come_in_order() -> None:
    """Even if the first item is finished last."""
    others = threading.Barrier(3)

    def square(number: int) -> int:
        if number < 3:
            others.wait(60)
        return number * number

    assert list(map_ordered(3, square, range(20), 5)) == [n * n for n in range(20)]
    assert list(map_ordered(3, square, [], 5)) == []


def test_items_may_be_endless() -> None:
    taken = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    results = map_ordered(2, str, numbers(), 4)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    assert len(taken) == 6
    results.close()


def test_errors_come_at_their_place() -> None:
    results = map_ordered(2, lambda number: 6 // number, [3, 2, 0, 1], 4)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("waits", [False, True])
def test_what_waits_for_other_machines_is_not_waited_for(waits: bool) -> None:
    begun, answered, ended = threading.Event(), threading.Event(), threading.Event()

    def ask(number: int) -> int:
        if number:
            begun.set()
            answered.wait(60)
            ended.set()
        return number

    results = map_ordered(2, ask, [0, 1], 2, waits=waits)
    assert next(results) == 0 and begun.wait(60)
    if not waits:
        answered.set()
    results.close()
    assert ended.is_set() is not waits
    answered.set()


def test_a_refused_thread_is_an_error_that_says_so() -> None:
    before = threading.stack_size(1 << 46)  # more than there is
    try:
        with pytest.raises(ArgumentError, match="refused thread 1 of 2; ask for fewer"):
            list(map_ordered(2, str, range(3), 2))
    finally:
        threading.stack_size(before)
