"""The thread pool that stops at once."""

import gc
import subprocess
import sys
import threading
import weakref
from functools import partial

import pytest

from gpuio.errors import ArgumentError, DeviceError
from gpuio.loading import workers as workers_module
from gpuio.loading.outcome import Outcome
from gpuio.loading.workers import Workers
from tests.io.threads import eventually


def test_tasks_begin_in_order() -> None:
    workers, done = Workers(1, "gpuio-test"), []
    finished = threading.Event()
    for number in range(20):
        workers.submit(lambda number=number: done.append(number))
    workers.submit(finished.set)
    assert finished.wait(20) and done == list(range(20))
    workers.stop()


@pytest.mark.parametrize("count", [1, 4])
def test_all_threads_work_at_once(count: int) -> None:
    workers, barrier = Workers(count, "gpuio-test"), threading.Barrier(count + 1)
    names: list[str] = []

    def task() -> None:
        names.append(threading.current_thread().name)
        barrier.wait(20)

    for _ in range(count):
        workers.submit(task)
    barrier.wait(20)
    assert sorted(names) == [f"gpuio-test-{number}" for number in range(count)]
    workers.stop()


def test_stop_waits_for_what_runs_and_drops_the_rest() -> None:
    workers = Workers(1, "gpuio-test")
    begun, may_end, ended, stopped = (threading.Event() for _ in range(4))
    late: list[int] = []

    def task() -> None:
        begun.set()
        may_end.wait(20)
        assert workers.stopped.is_set()
        ended.set()

    workers.submit(task)
    workers.submit(lambda: late.append(1))
    assert begun.wait(20) and not workers.stopped.is_set()

    def stop() -> None:
        workers.stop()
        assert ended.is_set()
        stopped.set()

    stopping = threading.Thread(target=stop)
    stopping.start()
    assert eventually(workers.stopped.is_set)
    assert not stopped.is_set()
    may_end.set()
    assert stopped.wait(20)
    stopping.join(20)
    workers.stop()
    workers.submit(lambda: late.append(2))
    assert not late


def test_a_task_may_stop_its_own_pool() -> None:
    workers, done = Workers(2, "gpuio-test"), threading.Event()

    def task() -> None:
        workers.stop()
        done.set()

    workers.submit(task)
    assert done.wait(20)
    assert eventually(
        lambda: not any(each.name.startswith("gpuio-test") for each in threading.enumerate())
    )


def test_an_idle_thread_keeps_no_task_alive() -> None:
    class Held:
        pass

    workers, done = Workers(1, "gpuio-test"), threading.Event()
    held = Held()
    gone = weakref.ref(held)
    workers.submit(lambda held=held: done.set())
    assert done.wait(20)
    del held
    assert eventually(lambda: gc.collect() >= 0 and gone() is None)
    workers.stop()


@pytest.mark.parametrize(("raised", "expected"), [(MemoryError, DeviceError), (OSError, OSError)])
def test_what_a_task_cannot_catch_itself_reaches_who_waits(
    raised: type[Exception], expected: type[Exception]
) -> None:
    workers = Workers(1, "gpuio-test")

    def task() -> None:
        raise raised

    for _ in range(2):  # the thread goes on
        outcome: Outcome[None] = Outcome()
        workers.submit(task, outcome)
        with pytest.raises(expected):
            outcome.result(20)
    workers.stop()


def test_the_interpreter_does_not_wait_for_tasks() -> None:
    code = """
import threading
from gpuio.errors import ArgumentError
from gpuio.loading.workers import Workers
workers, begun = Workers(2, "gpuio-test"), threading.Event()
for _ in range(9):
    workers.submit(lambda: (begun.set(), threading.Event().wait(600)))
begun.wait(60)
print("bye")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "bye\n"), done.stderr


def test_threads_that_the_system_refuses_leave_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = threading.Thread.start, []

    def limited(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(ArgumentError, match="refused thread 4 of 100; ask for fewer"):
        Workers(100, "gpuio-test")
    assert len(started) == 3 and not any(thread.is_alive() for thread in started)


def test_a_thread_that_never_starts_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python does, where memory is short, for one that has ended while it started."""
    start, started, may_end = threading.Thread.start, [], threading.Event()

    def stuck(thread: threading.Thread) -> None:
        if len(started) == 2:
            may_end.wait(60)
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", stuck)
    monkeypatch.setattr(workers_module, "PATIENCE", 0.05)
    with pytest.raises(ArgumentError, match="refused thread 3 of 4; ask for fewer"):
        Workers(4, "gpuio-test")
    assert not any(thread.is_alive() for thread in started)
    may_end.set()


@pytest.mark.parametrize("helpers", [0, 2, 9])
@pytest.mark.parametrize("stopped", [False, True])
def test_tasks_are_shared(helpers: int, stopped: bool) -> None:
    """Each runs once, also by a caller whom no thread helps."""
    workers = Workers(2, "gpuio-test")
    done: list[int] = []
    if stopped:
        workers.stop()
    workers.run([partial(done.append, number) for number in range(50)], helpers)
    assert sorted(done) == list(range(50))
    workers.run([], helpers)
    workers.stop()


def test_threads_help_each_other() -> None:
    """Shared tasks run on all of the pool's threads; one of these may share tasks itself."""
    workers, barrier = Workers(3, "gpuio-test"), threading.Barrier(3)
    names: list[str] = []

    def part() -> None:
        barrier.wait(20)  # until three threads are here
        names.append(threading.current_thread().name)

    finished = threading.Event()

    def share() -> None:
        workers.run([part] * 3, 2)
        finished.set()

    workers.submit(share)
    assert finished.wait(20)
    assert sorted(names) == [f"gpuio-test-{number}" for number in range(3)]
    workers.stop()


def test_an_error_of_a_shared_task_comes_when_all_have_ended() -> None:
    workers = Workers(2, "gpuio-test")
    done: list[int] = []

    def fail() -> None:
        raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"):
        workers.run([fail, *(partial(done.append, number) for number in range(9))], 2)
    assert sorted(done) == list(range(9))
    workers.stop()
