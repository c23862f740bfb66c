"""Several threads that use one iterator."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import Error
from gpuio.iterators.stream_iter import StreamIter
from gpuio.iterators.turns import Turns
from tests.io.threads import eventually, no_threads_left, run_in_thread

WAIT = 20


class Gated(mx.io.IndexedIter):
    """Loading a batch waits for a gate; `begun` is set when it has begun."""

    def __init__(self, size: int, batch_size: int, prefetch_buffer: int = 1) -> None:
        self.gate, self.begun = threading.Event(), threading.Event()
        super().__init__(size, batch_size, prefetch_buffer=prefetch_buffer)

    def load(self, rows: np.ndarray) -> Any:
        self.begun.set()
        assert self.gate.wait(WAIT)
        return rows.astype(np.float32)


def first_row(batch: mx.io.DataBatch) -> int:
    return int(batch.data[0].asnumpy().flat[0])


def waiting(iterator: Any, count: int) -> list[tuple[threading.Thread, list[BaseException]]]:
    """Threads in `next`."""
    threads = [run_in_thread(iterator.next) for _ in range(count)]
    assert iterator.begun.wait(WAIT)
    assert eventually(lambda: all(is_in_next(thread) for thread, _ in threads))
    return threads


def is_in_next(thread: threading.Thread) -> bool:
    """Whether a thread waits in `StreamIter.next` for its turn or a batch."""
    assert thread.ident is not None
    frame = sys._current_frames().get(thread.ident)
    while frame is not None:
        if frame.f_code is StreamIter.next.__code__ and "changes" in frame.f_locals:
            return True
        frame = frame.f_back
    return False


def raised_by(threads: list[tuple[threading.Thread, list[BaseException]]]) -> list[str]:
    """What each has raised, once all have ended."""
    for thread, _ in threads:
        thread.join(WAIT)
        assert not thread.is_alive()
    return [str(error) for _, errors in threads for error in errors]


def test_a_thread_may_take_its_turn_again() -> None:
    turns = Turns()
    with turns.lock, turns.lock:
        turns.check(turns.changes)
    turns.interruptions[threading.get_ident()] = "its own"
    turns.check(turns.changes)


def test_who_waited_for_its_turn_is_told_of_a_change() -> None:
    turns = Turns()
    before = turns.changes
    with turns.lock:
        turns.note_change("moved")
    with pytest.raises(Error, match="moved"):
        turns.check(before)
    turns.check(turns.changes)
    turns.interruptions[-1] = "another thread moves"
    with pytest.raises(Error, match="another thread moves"):
        turns.check(turns.changes)


CHANGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "reset": (lambda iterator: iterator.reset(), "was reset while a batch was awaited"),
    "load": (
        lambda iterator: iterator.load_state_dict(iterator.state_dict()),
        "a state was loaded while a batch was awaited",
    ),
    "close": (lambda iterator: iterator.close(), "closed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_waits_for_a_batch_is_woken_at_once(change: str) -> None:
    iterator = Gated(8, 2)
    threads = waiting(iterator, 1)
    act, said = CHANGES[change]
    changing = run_in_thread(lambda: act(iterator))
    (told,) = raised_by(threads)
    assert said in told and changing[0].is_alive()  # the gate is still closed
    iterator.gate.set()
    assert raised_by([changing]) == []
    if change != "close":
        assert [first_row(batch) for batch in iterator] == [0, 2, 4, 6]
    iterator.close()
    assert no_threads_left()


@pytest.mark.parametrize("change", CHANGES)
def test_all_who_wait_are_told_of_a_change(change: str) -> None:
    iterator = Gated(8, 2)
    threads = waiting(iterator, 4)
    act, said = CHANGES[change]
    changing = run_in_thread(lambda: act(iterator))
    assert eventually(lambda: not all(thread.is_alive() for thread, _ in threads))
    iterator.gate.set()
    assert raised_by([changing]) == []
    told = raised_by(threads)
    assert len(told) == 4 and all(said in each for each in told)
    if change != "close":
        assert [first_row(batch) for batch in iterator] == [0, 2, 4, 6]
    iterator.close()
    assert no_threads_left()


def test_two_threads_may_reset_at_once() -> None:
    iterator = Gated(8, 2)
    threads = waiting(iterator, 2)
    resetting = [run_in_thread(iterator.reset) for _ in range(2)]
    assert eventually(lambda: len([thread for thread, _ in threads if thread.is_alive()]) < 2)
    iterator.gate.set()
    assert raised_by(resetting) == []
    assert len(raised_by(threads)) == 2
    assert [first_row(batch) for batch in iterator] == [0, 2, 4, 6]
    iterator.close()


@pytest.mark.parametrize("change", ["reset", "load"])
def test_closing_during_another_change(change: str) -> None:
    iterator = Gated(8, 2)
    threads = waiting(iterator, 1)
    changing = run_in_thread(lambda: CHANGES[change][0](iterator))
    assert len(raised_by(threads)) == 1
    closing = run_in_thread(iterator.close)
    iterator.gate.set()
    raised_by([changing, closing])
    with pytest.raises(Error, match="closed"):
        iterator.next()
    assert no_threads_left()


def test_a_pool_of_threads_maps_over_an_iterator() -> None:
    with mx.io.NDArrayIter(np.arange(400), batch_size=2) as iterator:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: first_row(iterator.next()), range(200)))
        assert sorted(found) == list(range(0, 400, 2))


def test_methods_of_a_subclass_may_call_others() -> None:
    class Own(mx.io.NDArrayIter):
        def next(self) -> Any:
            self.state_dict()
            return super().next()

        def getdata(self) -> Any:
            return [array + self.getpad() * 0 + self.epoch for array in super().getdata()]

        def reset(self) -> None:
            super().reset()
            self.peeked = self.state_dict()

    with Own(np.arange(8), batch_size=2) as iterator:
        for epoch in range(2):
            found = [first_row(batch) for batch in iterator]
            assert found == [epoch, 2 + epoch, 4 + epoch, 6 + epoch]
            iterator.reset()


def test_the_batch_of_a_thread_is_not_that_of_another() -> None:
    """Of a subclass that makes it of pieces, which another thread's batch could replace."""

    class Pieces(mx.io.NDArrayIter):
        def getdata(self) -> Any:
            return super().getdata()

    with Pieces(np.arange(2000), np.arange(2000), batch_size=2) as iterator:
        pairs: list[tuple[int, int]] = []
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)

        def draw() -> None:
            for batch in iterator:
                pairs.append((first_row(batch), int(batch.label[0].asnumpy()[0])))

        try:
            assert raised_by([run_in_thread(draw) for _ in range(4)]) == []
        finally:
            sys.setswitchinterval(interval)
        assert sorted(pairs) == [(row, row) for row in range(0, 2000, 2)]


FORKED = """
import os, threading
import numpy as np
import gpuio as mx

class Held(mx.io.NDArrayIter):
    def getdata(self):
        if threading.current_thread() is not threading.main_thread():
            entered.set()
            leave.wait(60)
        return super().getdata()

entered, leave = threading.Event(), threading.Event()
iterator = Held(np.arange(8), batch_size=2)
thread = threading.Thread(target=iterator.next)
thread.start()
assert entered.wait(60)
child = os.fork()
if not child:  # the thread that draws is not copied
    iterator.next()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
leave.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_while_another_thread_draws() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    subprocess.run(command, check=True, timeout=100, cwd=Path(__file__).parents[2])


def test_a_change_waits_for_no_batch_that_is_ready() -> None:
    iterator = mx.io.NDArrayIter(np.arange(80), batch_size=2)
    drawn: list[int] = []

    def draw() -> None:
        while True:
            try:
                drawn.append(first_row(iterator.next()))
            except StopIteration:
                iterator.reset()
            except Error as error:
                if "closed" in str(error):
                    raise

    threads = [run_in_thread(draw) for _ in range(3)]
    assert eventually(lambda: len(drawn) > 100)
    for _ in range(20):
        iterator.reset()
        iterator.load_state_dict(iterator.state_dict())
    iterator.close()
    assert all("closed" in said for said in raised_by(threads))
