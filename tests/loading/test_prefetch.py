"""Prefetching, and streams whose batches are prefetched."""

import gc
import threading
import weakref
from typing import Any

import pytest

from gpuio.errors import Error
from gpuio.loading.prefetch import PrefetchedStream, Prefetcher
from gpuio.loading.stream import DirectStream
from gpuio.sampling.order import BatchIndices, Order
from tests.io.threads import eventually, gpuio_threads, no_threads_left, run_in_thread


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
    turns = [threading.Event() for _ in range(9)]

    def produce() -> int:
        made.append(1)
        turns[len(made) - 1].set()
        return 1

    prefetcher = Prefetcher(produce, 3, "gpuio-test")
    prefetcher.request(0)
    for number in (3, 4, 5):
        assert turns[number - 1].wait(20)
        assert len(made) == number
        prefetcher.next()
    assert turns[5].wait(20)
    prefetcher.stop()  # what would have been made in addition has begun by now
    assert len(made) == 6


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
    stopping, _ = run_in_thread(prefetcher.stop)
    held.set()  # what runs is awaited
    stopping.join(20)
    waiting.join(20)
    assert not waiting.is_alive() and not stopping.is_alive()
    assert not errors or "closed" in str(errors[0])


def test_a_dropped_prefetcher_ends_its_thread() -> None:
    prefetcher = Prefetcher(counting(9), 2, "gpuio-test")
    prefetcher.next()
    gone = weakref.ref(prefetcher)
    del prefetcher
    gc.collect()
    assert gone() is None and no_threads_left()


def test_stopping_drops_what_waits() -> None:
    prefetcher = Prefetcher(counting(9), 3, "gpuio-test")
    assert prefetcher.next() == 1
    prefetcher.stop()
    prefetcher.stop()
    assert no_threads_left()


def test_another_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    prefetcher = Prefetcher(counting(9), 3, "gpuio-test")
    assert prefetcher.next() == 1
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(Error, match="another process"):
        prefetcher.next()
    monkeypatch.undo()
    assert prefetcher.next() == 2
    prefetcher.stop()


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


def test_nothing_runs_before_the_first_batch_is_asked_for() -> None:
    recorder = Recorder()
    stream = PrefetchedStream(
        DirectStream(Order(10, 2), recorder), lambda rows: rows, 3, "gpuio-test"
    )
    stream.state(), stream.epoch, stream.ended
    stream.reset()
    assert not recorder.threads and no_threads_left()
    stream.close()


def test_an_interruption_before_the_thread_is_started_counts() -> None:
    stream = PrefetchedStream(
        DirectStream(Order(6, 2), Recorder()), lambda rows: rows, 2, "gpuio-test"
    )
    interruptions = {0: "reset by another thread"}
    stream.wake(interruptions)
    with pytest.raises(Error, match="reset by another thread"):
        stream.next()
    interruptions.clear()
    assert stream.next() == [0, 1]
    stream.close()


def test_batches_are_begun_in_the_thread() -> None:
    threads: set[str] = set()

    def begin(rows: list[int]) -> int:
        threads.add(threading.current_thread().name)
        return sum(rows)

    stream = PrefetchedStream(DirectStream(Order(6, 2), Recorder()), begin, 2, "gpuio-test")
    assert drawn(stream, 3) == [1, 5, 9]
    stream.close()
    assert threads == {"gpuio-test-0"} and no_threads_left()
    with pytest.raises(Error, match="closed"):
        stream.next()


def test_a_prefetched_stream_closed_in_the_middle_of_next_leaves_no_thread() -> None:
    """`next` has looked whether the stream is closed; then `close` finds no prefetcher to stop;
    then `next` starts one, before `close` has closed the inner stream.
    """
    entered, stopped, done = threading.Event(), threading.Event(), threading.Event()
    main = threading.current_thread()

    class Paused(PrefetchedStream[Any, Any]):
        pausing = False

        @property
        def ended(self) -> bool:
            if self.pausing and threading.current_thread() is not main:
                entered.set()
                assert stopped.wait(20)
            return False

        @ended.setter
        def ended(self, value: bool) -> None:
            pass

    class Inner(DirectStream[Any]):
        def close(self) -> None:
            stopped.set()
            done.wait(2)
            super().close()

    inner = Inner(Order(6, 2), lambda at: at.record.tolist())
    stream = Paused(inner, lambda rows: rows, 1, "gpuio-test")
    stream.pausing = True

    def draw() -> None:
        try:
            stream.next()
        finally:
            done.set()

    thread, raised = run_in_thread(draw)
    assert entered.wait(20)
    stream.close()
    thread.join(5)
    assert not thread.is_alive()
    assert all("closed" in str(error) for error in raised)
    assert eventually(lambda: not gpuio_threads(), 5), "a thread is left after close()"
