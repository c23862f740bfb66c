"""Threads that need not be waited for."""

import _thread
import signal
import threading

import pytest

from gpuio.threads import Call, DetachedThread
from tests.io.threads import eventually


def test_a_call_ends_with_what_the_function_returns_or_raises() -> None:
    for expected in (3, None):
        call = Call(lambda expected=expected: expected)
        assert call.wait(60) and call.result() is expected
        assert call.wait(0) and call.result() is expected
    call = Call(lambda: 1 // 0)
    assert call.wait(60)
    with pytest.raises(ZeroDivisionError):
        call.result()


def test_a_call_runs_while_nobody_waits() -> None:
    may_end = threading.Event()
    call = Call(lambda: may_end.wait(60))
    assert not call.wait(0) and not call.wait(0.01)
    may_end.set()
    assert call.wait(60) and call.result()


def test_a_thread_tells_that_it_has_ended() -> None:
    may_end = threading.Event()
    thread = DetachedThread(lambda: may_end.wait(60))
    assert not thread.ended
    may_end.set()
    assert eventually(lambda: thread.ended)


def test_a_thread_that_cannot_begin_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python's where memory is too short even for the call of its function."""
    monkeypatch.setattr(_thread, "start_new_thread", lambda function, arguments: 1)
    thread = DetachedThread(lambda: None)
    assert thread.ended
    call = Call(lambda: 1)
    assert call.wait(60)
    with pytest.raises(MemoryError, match="before it began"):
        call.result()


def test_an_interrupted_wait_may_begin_anew() -> None:
    class InterruptedWaitError(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise InterruptedWaitError

    may_end = threading.Event()
    call = Call(lambda: may_end.wait(60))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(InterruptedWaitError):
            call.wait(60)
    finally:
        signal.signal(signal.SIGALRM, before)
    may_end.set()
    assert call.wait(60) and call.result()


def test_a_refused_thread_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Call(lambda: 1)
