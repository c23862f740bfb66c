"""Work ahead of the caller, and streams whose batches are made so."""

import threading
import time
from typing import Any

import pytest

from gpuio.errors import Error
from gpuio.loading.prefetch import PrefetchedStream, Prefetcher
from gpuio.loading.stream import DirectStream
from gpuio.sampling.order import BatchIndices, Order


def counting(limit: int, fail_at: int = -1) -> Any:
    """Gives 1, 2, … up to a limit, then None; or fails."""
    state = {"at": 0}

    def produce() -> int | None:
        state["at"] += 1
        if state["at"] == fail_at:
            raise ValueError("broken")
        return state["at"] if state["at"] <= limit else None

    return produce


@pytest.mark.parametrize("depth", [1, 2, 20])
def test_results_come_in_order(depth: int) -> None:
    prefetcher = Prefetcher(counting(9), depth, "gpuio-test")
    assert [prefetcher.next() for _ in range(12)] == [*range(1, 10), None, None, None]


def test_no_more_is_made_than_asked_for() -> None:
    made: list[int] = []

    def produce() -> int:
        made.append(1)
        return 1

    prefetcher = Prefetcher(produce, 3, "gpuio-test")
    time.sleep(0.1)
    assert len(made) == 3
    prefetcher.next()
    time.sleep(0.1)
    assert len(made) == 4
    prefetcher.stop()


def test_errors_come_where_they_belong() -> None:
    prefetcher = Prefetcher(counting(9, fail_at=3), 5, "gpuio-test")
    assert [prefetcher.next(), prefetcher.next()] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        prefetcher.next()
    assert prefetcher.next() is None


def test_stopping_wakes_who_waits() -> None:
    held = threading.Event()
    prefetcher: Prefetcher[int] = Prefetcher(lambda: held.wait(20) or 1, 1, "gpuio-test")
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            while prefetcher.next() is not None:
                pass
        except Error as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    threading.Timer(0.1, held.set).start()
    prefetcher.stop()
    waiting.join(20)
    assert not waiting.is_alive()
    assert not errors or "closed" in str(errors[0])


class Recorder:
    """Makes the batches of an order: their records; remembers which thread did, and may fail."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.fail_on: int | None = None

    def __call__(self, take: BatchIndices) -> list[int]:
        self.threads.add(threading.current_thread().name)
        found = take.record.tolist()
        if self.fail_on in found:
            self.fail_on = None
            raise ValueError("busy")
        return found


def drawn(stream: Any, count: int) -> list[Any]:
    found = []
    for _ in range(count):
        found.append(stream.next())
        if found[-1] is None:
            stream.reset()
    return found


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("ending", ["wrap", "pad", "discard", "roll_over"])
def test_a_prefetched_stream_gives_what_the_stream_gives(depth: int, ending: str) -> None:
    order = Order(10, 4, True, 3, ending)
    plain = DirectStream(order, Recorder())
    recorder = Recorder()
    ahead = PrefetchedStream(DirectStream(order, recorder), lambda rows: rows, depth, "gpuio-test")
    for _ in range(3):
        for _ in range(2):
            assert drawn(ahead, 1) == drawn(plain, 1)
            assert (ahead.state(), ahead.epoch, ahead.ended) == (
                plain.state(), plain.epoch, plain.ended,
            )  # fmt: skip
        ahead.reset()
        plain.reset()
        assert drawn(ahead, 9) == drawn(plain, 9)
        state = ahead.state()
        following = drawn(ahead, 5)
        ahead.restore(state)
        assert drawn(ahead, 5) == following == drawn(plain, 5)
    assert recorder.threads == {"gpuio-test-0"}
    ahead.close()
    with pytest.raises(Error, match="closed"):
        ahead.next()


def test_a_failure_may_be_tried_again() -> None:
    recorder = Recorder()
    recorder.fail_on = 5
    stream = PrefetchedStream(
        DirectStream(Order(10, 2, False, 0, "pad"), recorder), lambda rows: rows, 3, "gpuio-test"
    )
    assert drawn(stream, 2) == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="busy"):
        stream.next()
    assert drawn(stream, 4) == [[4, 5], [6, 7], [8, 9], None]
    stream.close()
