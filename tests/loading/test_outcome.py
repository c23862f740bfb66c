"""Results of other threads' work, and waiting for them."""

import threading
import time
from typing import Any

import pytest

from gpuio.errors import Error
from gpuio.loading.outcome import Flag, Outcome, Waiter, check_interruptions
from tests.io.threads import eventually, run_in_thread


def test_a_flag_stays_set() -> None:
    flag = Flag()
    assert not flag.is_set()
    flag.set()
    flag.set()
    assert flag.is_set()


def test_the_first_result_counts() -> None:
    outcome: Outcome[int] = Outcome()
    assert not outcome.done()
    outcome.set_result(1)
    outcome.set_exception(Error("late"))
    outcome.set_result(2)
    assert outcome.done() and outcome.error is None
    assert outcome.result() == outcome.result(0) == 1


def test_an_exception_takes_the_place_of_the_result() -> None:
    outcome: Outcome[int] = Outcome()
    raised = ValueError("no")
    outcome.set_exception(raised)
    assert outcome.error is raised
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            outcome.result()


def test_a_result_that_takes_too_long() -> None:
    with pytest.raises(TimeoutError, match="after 0 seconds"):
        Outcome().result(0)


def test_waking_ends_a_wait() -> None:
    outcome: Outcome[int] = Outcome()
    outcome.wake()
    outcome.wait()
    outcome.wait(0)
    assert not outcome.done()


def waited(waiter: Waiter, outcome: Outcome[Any]) -> tuple[threading.Thread, list[BaseException]]:
    return run_in_thread(lambda: waiter.wait_for(outcome))


def test_a_waiter_waits_for_the_result() -> None:
    waiter, outcome = Waiter(), Outcome[int]()
    thread, raised = waited(waiter, outcome)
    outcome.wake()  # for nothing
    outcome.set_result(1)
    thread.join(20)
    assert not thread.is_alive() and not raised
    assert waiter.wait_for(outcome) is True


@pytest.mark.parametrize("early", [False, True])
def test_a_waiter_can_be_interrupted_and_wait_again(early: bool) -> None:
    waiter, outcome = Waiter(), Outcome[int]()
    interruptions = {-1: "moved"}
    if early:
        waiter.wake(interruptions)
    thread, raised = waited(waiter, outcome)
    if not early:
        assert eventually(lambda: waiter.wake(interruptions) or not thread.is_alive())
    thread.join(20)
    assert not thread.is_alive() and [str(error) for error in raised] == ["moved"]
    interruptions.clear()
    outcome.set_result(1)
    assert waiter.wait_for(outcome)


def test_a_closed_waiter_waits_no_more() -> None:
    waiter, outcome = Waiter(), Outcome[int]()
    thread, raised = waited(waiter, outcome)
    waiter.close()
    thread.join(20)
    assert not thread.is_alive() and len(raised) == 1 and "closed" in str(raised[0])
    with pytest.raises(Error, match="closed"):
        waiter.wait_for(outcome)
    outcome.set_result(1)
    assert waiter.wait_for(outcome)  # what is there may be taken


def test_a_deadline() -> None:
    waiter, outcome = Waiter(), Outcome[int]()
    assert not waiter.wait_for(outcome, time.monotonic())
    outcome.set_result(1)
    assert waiter.wait_for(outcome, time.monotonic())


def test_a_thread_does_not_interrupt_itself() -> None:
    check_interruptions({})
    check_interruptions({threading.get_ident(): "moved"})
    with pytest.raises(Error, match="moved"):
        check_interruptions({-1: "moved"})
