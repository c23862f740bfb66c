"""Ordered mapping in threads."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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

    with ThreadPoolExecutor(3) as pool:
        assert list(map_ordered(pool, square, range(20), 5)) == [n * n for n in range(20)]
        assert list(map_ordered(pool, square, [], 5)) == []


def test_items_may_be_endless() -> None:
    taken = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        results = map_ordered(pool, str, numbers(), 4)
        assert [next(results) for _ in range(3)] == ["0", "1", "2"]
        assert len(taken) == 6
        results.close()


def test_errors_come_at_their_place() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = map_ordered(pool, lambda number: 6 // number, [3, 2, 0, 1], 4)
        assert [next(results), next(results)] == [2, 3]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_a_refused_thread_is_an_error_that_says_so() -> None:
    before = threading.stack_size(1 << 46)  # more than there is
    try:
        with (
            ThreadPoolExecutor(2) as pool,
            pytest.raises(ArgumentError, match="refused a thread; ask for fewer"),
        ):
            list(map_ordered(pool, str, range(3), 2))
    finally:
        threading.stack_size(before)
