"""Ordered mapping in threads."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

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
