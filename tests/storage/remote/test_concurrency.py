"""The number of requests at once, for stores of different kinds."""

import pytest

from gpuio.storage.remote.concurrency import LEAST, MOST, START, Concurrency


def run(concurrency: Concurrency, seconds: float, latency: float, most: float) -> None:
    """Requests of 100 kB to a store that takes `latency` each, and gives `most` bytes a second."""
    now = 0.0
    while now < seconds:
        for _ in range(concurrency.limit):
            concurrency.completed(100_000, now, True)
        now += max(latency, concurrency.limit * 100_000 / most)


def test_latency_asks_for_more() -> None:
    concurrency = Concurrency()
    assert concurrency.limit == START
    run(concurrency, 20, latency=0.02, most=1e12)
    assert concurrency.limit == MOST


def test_a_slow_link_does_not() -> None:
    concurrency = Concurrency()
    run(concurrency, 20, latency=0.001, most=1e8)
    assert START <= concurrency.limit < 2 * START


@pytest.mark.parametrize("factor", [10, 100])
def test_a_store_that_slows_down_gets_fewer(factor: float) -> None:
    concurrency = Concurrency()
    run(concurrency, 20, latency=0.02, most=1e12)
    for step in range(1, 5):
        run(concurrency, 20 * factor**step, latency=0.02 * factor**step, most=1e12)
    assert LEAST <= concurrency.limit < MOST


def test_a_reader_that_asks_for_little_changes_nothing() -> None:
    concurrency = Concurrency()
    for number in range(10_000):
        concurrency.completed(100_000, number / 10, False)
    assert concurrency.limit == START
