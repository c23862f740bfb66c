"""The loader: order, read-ahead, errors, closing."""

import gc
import threading
import weakref
from typing import Any

import pytest

from gpuio.errors import Error, RecordError
from gpuio.loading.loader import Loader
from gpuio.loading.stream import DirectStream
from gpuio.sampling.order import Order
from tests.io.threads import eventually, run_in_thread
from tests.loading.fakes import HeldExecutor, ReadyExecutor


def drawn(stream: Any, count: int) -> list[Any]:
    found = []
    for _ in range(count):
        found.append(stream.next())
        if found[-1] is None:
            stream.reset()
    return found


@pytest.mark.parametrize("ahead", [1, 2, 7])
@pytest.mark.parametrize("last_batch", ["wrap", "pad", "discard", "roll_over"])
def test_batches_are_those_of_the_order(ahead: int, last_batch: str) -> None:
    order = Order(10, 4, True, 3, last_batch)
    direct = DirectStream(order, lambda at: at.record.tolist())
    loader = Loader(order, ReadyExecutor(), ahead)
    for _ in range(3):
        for _ in range(2):
            assert drawn(loader, 1) == drawn(direct, 1)
            assert (loader.state(), loader.epoch, loader.ended) == (
                direct.state(), direct.epoch, direct.ended,
            )  # fmt: skip
        loader.reset()
        direct.reset()
        state = loader.state()
        following = drawn(loader, 9)
        loader.restore(state)
        assert drawn(loader, 9) == following == drawn(direct, 9)


def test_nothing_runs_before_the_first_batch_is_asked_for() -> None:
    executor = HeldExecutor()
    loader = Loader(Order(10, 2), executor, 3)
    loader.state(), loader.epoch, loader.ended
    assert not executor.submitted
    loader.close()
    assert executor.closed == 1 and not executor.submitted


def test_batches_that_are_ready_are_counted() -> None:
    executor = HeldExecutor()
    loader = Loader(Order(20, 2), executor, 3)
    thread, raised = run_in_thread(loader.next)
    eventually(lambda: len(executor.submitted) == 3)
    assert (loader.asked, loader.ready) == (1, 0)
    executor.finish(0)
    executor.finish(2)
    thread.join(20)
    thread, more = run_in_thread(loader.next)
    eventually(lambda: len(executor.submitted) == 4)
    assert (loader.asked, loader.ready) == (2, 1)
    executor.finish(1)
    thread.join(20)
    loader.next()
    assert (loader.asked, loader.ready) == (3, 2) and not raised and not more


@pytest.mark.parametrize(("ahead", "depth", "expected"), [(3, 1, 3), (1, 4, 4), (1, 1, 1)])
def test_as_many_batches_are_ahead_as_asked_for(ahead: int, depth: int, expected: int) -> None:
    executor = ReadyExecutor(depth)
    loader = Loader(Order(100, 2), executor, ahead)
    for number in range(4):
        loader.next()
        assert len(executor.submitted) == expected + number
    assert [at.next_position for at, _ in executor.submitted] == list(range(2, 2 * expected + 8, 2))


def test_batches_come_in_order_whichever_is_done_first() -> None:
    executor = HeldExecutor()
    loader = Loader(Order(6, 2), executor, 3)
    found: list[Any] = []
    thread, raised = run_in_thread(lambda: found.extend(drawn(loader, 1)))
    assert eventually(lambda: len(executor.submitted) == 3)
    for number in (2, 1, 0):
        executor.finish(number)
    thread.join(20)
    assert found == [[0, 1]] and not raised
    assert loader.position == 2


def test_a_failed_batch_leaves_the_position_and_is_tried_again() -> None:
    executor = ReadyExecutor()
    executor.fail_on = 2
    loader = Loader(Order(6, 2), executor, 3)
    loader.next()
    state = loader.state()
    for _ in range(2):
        with pytest.raises(RecordError, match="record 2"):
            loader.next()
        assert loader.state() == state
    executor.fail_on = None
    assert loader.next() == [2, 3] and loader.next() == [4, 5] and loader.next() is None


def test_moving_drops_what_is_ahead() -> None:
    executor = ReadyExecutor()
    loader = Loader(Order(10, 2), executor, 4)
    loader.next()
    canceled = executor.canceled
    loader.reset()
    assert executor.canceled == canceled + 1
    assert loader.epoch == 1 and loader.next() == [0, 1]
    loader.restore({"position": 4, "start": 0, "ended": False})
    assert executor.canceled == canceled + 2 and loader.next() == [4, 5]


def test_resetting_at_an_end_keeps_what_is_ahead() -> None:
    executor = ReadyExecutor()
    loader = Loader(Order(4, 2), executor, 4)
    canceled = executor.canceled
    drawn(loader, 3)
    assert executor.canceled == canceled and loader.epoch == 1


def test_close_closes_the_executor_once() -> None:
    executor = ReadyExecutor()
    loader = Loader(Order(6, 2), executor, 3)
    loader.next()
    assert not loader.closed
    loader.close()
    loader.close()
    assert loader.closed and executor.closed == 1
    with pytest.raises(Error, match="closed"):
        loader.next()


def test_close_wakes_a_thread_that_waits() -> None:
    executor = HeldExecutor()
    loader = Loader(Order(6, 2), executor, 2)
    thread, raised = run_in_thread(loader.next)
    assert eventually(lambda: len(executor.submitted) == 2)
    loader.close()
    thread.join(20)
    assert not thread.is_alive()
    (error,) = raised
    assert isinstance(error, Error) and "closed" in str(error)


def test_close_while_a_thread_submits_batches_does_not_leave_it_waiting() -> None:
    entered, may_go_on = threading.Event(), threading.Event()

    class Slow(HeldExecutor):
        def submit(self, at: Any) -> Any:
            entered.set()
            assert may_go_on.wait(20)
            return super().submit(at)

    loader = Loader(Order(6, 2), Slow(), 2)
    thread, raised = run_in_thread(loader.next)
    assert entered.wait(20)
    loader.close()
    may_go_on.set()
    thread.join(20)
    assert not thread.is_alive()
    (error,) = raised
    assert isinstance(error, Error) and "closed" in str(error)


def test_a_dropped_loader_closes_its_executor() -> None:
    executor = ReadyExecutor()
    loader = Loader(Order(6, 2), executor, 3)
    loader.next()
    gone = weakref.ref(loader)
    del loader
    gc.collect()
    assert gone() is None and executor.closed == 1


def test_another_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Loader(Order(6, 2), ReadyExecutor(), 3)
    loader.next()
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(Error, match="another process"):
        loader.next()
    monkeypatch.undo()
    assert loader.next() == [2, 3]
