"""Calls: repetitions, pauses, interrupts."""

import random
import signal
import sys
import threading
import time

import pytest

from gpuio.errors import RemoteError
from gpuio.storage.remote import calls
from gpuio.storage.remote.calls import TransientError, interruptible, repeated
from gpuio.storage.remote.statistics import statistics


class Attempts:
    """Fails some times."""

    def __init__(self, failures: int, most: int | None = None) -> None:
        self.failures, self.most, self.made = failures, most, 0

    def __call__(self) -> str:
        self.made += 1
        if self.made <= self.failures:
            raise TransientError(f"failure {self.made}", self.most, "wait")
        return "done"


@pytest.mark.usefixtures("no_delays")
def test_what_passes_is_repeated() -> None:
    attempts, before = Attempts(3), statistics()
    assert repeated(attempts, 3, "s3://b/a") == "done" and attempts.made == 4
    assert statistics().since(before).failed == 3


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize(
    ("retries", "most", "made"), [(0, None, 1), (5, None, 6), (5, 2, 3), (1, 2, 2)]
)
def test_what_does_not_pass_is_an_error(retries: int, most: int | None, made: int) -> None:
    attempts = Attempts(100, most)
    with pytest.raises(RemoteError, match=rf"s3://b/a: failure {made}; tried .* wait") as raised:
        repeated(attempts, retries, "s3://b/a")
    assert attempts.made == made
    assert raised.value.__cause__ is None and raised.value.__context__ is None


def test_other_errors_are_not_repeated() -> None:
    made = []

    def attempt() -> None:
        made.append(1)
        raise KeyError("a")

    with pytest.raises(KeyError):
        repeated(attempt, 5, "s3://b/a")
    assert len(made) == 1


def test_pauses_grow_and_leave_the_users_generator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(calls.RANDOM, "uniform", lambda *range: asked.append(range) or 0.0)
    state = random.getstate()
    with pytest.raises(RemoteError):
        repeated(Attempts(100), 10, "a")
    longest = [most for least, most in asked if least == 0]
    assert longest == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20, 20]
    assert random.getstate() == state


@pytest.mark.parametrize("paused", [False, True])
def test_an_interrupt_ends_a_call_and_a_pause_at_once(
    paused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LONGEST_DELAY", 1000.0)
    monkeypatch.setattr(calls, "FIRST_DELAY", 1000.0)
    monkeypatch.setattr(calls.RANDOM, "uniform", lambda least, most: most)
    begun, never = threading.Event(), threading.Event()

    def attempt() -> None:
        begun.set()
        if paused:
            raise TransientError("busy")
        never.wait(60)

    thread = threading.Thread(
        target=lambda: (begun.wait(), signal.pthread_kill(main, signal.SIGINT))
    )
    main = threading.get_ident()
    thread.start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        repeated(attempt, 5, "a")
    thread.join()
    never.set()
    assert time.monotonic() - begin < 100


def test_results_and_errors_come_through() -> None:
    here = threading.get_ident()
    assert interruptible(threading.get_ident) != here
    found: list[bool] = []
    thread = threading.Thread(
        target=lambda: found.append(interruptible(threading.get_ident) == threading.get_ident())
    )
    thread.start()
    thread.join()
    assert found == [True]
    with pytest.raises(SystemExit):
        interruptible(sys.exit)


def test_where_no_thread_can_be_started_the_caller_makes_the_call() -> None:
    before = threading.stack_size(1 << 46)  # more than there is
    try:
        assert calls.interruptible(threading.current_thread) is threading.main_thread()
    finally:
        threading.stack_size(before)
