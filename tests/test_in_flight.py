"""Objects that are kept until the work that is queued on a GPU is done."""

import gc
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio import in_flight

# The number of a GPU that no machine has: the queue alone needs none.
NOWHERE = 999


@dataclass
class Work:
    """What an event tells of it."""

    done: bool = False


class Held:
    """What a weak reference can refer to."""


def keep(*events: Work, device_id: int = NOWHERE) -> "weakref.ref[Held]":
    held = Held()
    in_flight.keep_until(device_id, events, held)
    return weakref.ref(held)


@pytest.fixture(autouse=True)
def empty() -> None:
    """The tests' GPU keeps nothing of the test before."""
    while in_flight.kept_count(NOWHERE):
        in_flight.release_done(NOWHERE)


def test_an_object_is_kept_until_all_its_events_are_done() -> None:
    first, second = Work(), Work()
    held = keep(first, second)
    first.done = True
    in_flight.release_done(NOWHERE)
    assert held() is not None
    second.done = True
    in_flight.release_done(NOWHERE)
    assert held() is None and in_flight.kept_count(NOWHERE) == 0


def test_unfinished_work_does_not_hold_up_what_is_done() -> None:
    first, second = Work(), Work(done=True)
    kept, gone = keep(first), keep(second)
    in_flight.release_done(NOWHERE)
    assert kept() is not None and gone() is None
    first.done = True


def test_each_gpu_has_its_own() -> None:
    work = Work()
    held = keep(work, device_id=NOWHERE + 1)
    work.done = True
    in_flight.release_done(NOWHERE)
    assert held() is not None
    in_flight.release_done(NOWHERE + 1)
    assert held() is None


def test_a_great_many_are_released_a_few_at_a_time() -> None:
    """Each call that adds one looks at several, so that their number falls."""
    work = Work()
    held = [keep(work) for _ in range(1000)]
    work.done = True
    calls = 0
    while in_flight.kept_count(NOWHERE):
        in_flight.release_done(NOWHERE)
        calls += 1
    assert 10 < calls < 1000 and not any(each() for each in held)


def test_a_gpu_that_has_failed_raises_nothing_and_releases_nothing() -> None:
    class Lost:
        fails = True

        @property
        def done(self) -> bool:
            if self.fails:
                raise RuntimeError("cudaErrorIllegalAddress")
            return True

    work = Lost()
    in_flight.keep_until(NOWHERE, [work], held := Held())
    gone = weakref.ref(held)
    del held
    in_flight.release_done(NOWHERE)
    assert gone() is not None
    Lost.fails = False
    in_flight.release_done(NOWHERE)
    assert gone() is None


def test_finalizers_may_keep_and_release_while_others_do() -> None:
    """As they do when the garbage collector interrupts: here, an event that asks again itself."""

    class Nested(Work):
        def __getattribute__(self, name: str) -> object:
            if name == "done":
                keep(Work(done=True))
                in_flight.release_done(NOWHERE)
                gc.collect()
            return super().__getattribute__(name)

    held = keep(Nested(done=True))
    in_flight.release_done(NOWHERE)
    assert held() is None
    in_flight.release_done(NOWHERE)
    assert in_flight.kept_count(NOWHERE) == 0


def test_threads_lose_nothing_and_release_nothing_too_early() -> None:
    wrong: list[str] = []

    def work() -> None:
        for _ in range(200):
            events = [Work() for _ in range(3)]
            held = [keep(event) for event in events]
            for event, each in zip(events, held, strict=True):
                in_flight.release_done(NOWHERE)
                if each() is None:
                    wrong.append("released before its work was done")
                event.done = True

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while in_flight.kept_count(NOWHERE):
        in_flight.release_done(NOWHERE)
    assert wrong == []


def busy_stream() -> tuple[Any, Any]:
    """A stream of the first GPU with work that takes a while, and the array of 50 that it makes."""
    import cupy

    with cupy.cuda.Device(0), cupy.cuda.Stream(non_blocking=True) as stream:
        total = cupy.zeros(1 << 20, np.float32)
        for _ in range(50):
            total += 1
    return stream, total


@pytest.mark.gpu
def test_emptying_the_cache_waits_for_all_work() -> None:
    import cupy

    stream, _total = busy_stream()
    with cupy.cuda.Device(0):
        in_flight.keep_until(0, None, held := Held())
        gone = weakref.ref(held)
        del held
        in_flight.release_done(0)
        assert gone() is not None  # nobody knows when
        mx.gpu(0).empty_cache()
        assert gone() is None and stream.done and in_flight.kept_count(0) == 0


@pytest.mark.gpu
def test_a_retired_stream_stays_until_its_work_is_done() -> None:
    stream, total = busy_stream()
    gone = weakref.ref(stream)
    in_flight.retire_stream(0, stream)
    del stream
    assert gone() is not None
    mx.gpu(0).empty_cache()
    assert gone() is None
    assert (total.get() == 50).all()


@pytest.mark.gpu
def test_releasing_all_waits_for_work_that_no_stream_has_yet() -> None:
    """As JAX's, which a thread of its own may queue later."""
    held = Held()
    alive: list[bool] = []

    class Unqueued(Work):
        def synchronize(self) -> None:
            alive.append(reference() is not None)

    reference = weakref.ref(held)
    in_flight.keep_until(0, [Unqueued()], held)
    del held
    in_flight.release_all(0)
    assert alive == [True] and reference() is None
