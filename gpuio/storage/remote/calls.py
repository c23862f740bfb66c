"""Calls of remote stores: they are repeated where that may help, and Ctrl-C ends them at once."""

from __future__ import annotations

import itertools
import math
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from gpuio.errors import Error, RemoteError
from gpuio.storage.remote.statistics import count
from gpuio.threads import Call

T = TypeVar("T")

# Seconds before the first repetition, twice as many before each further one, and at most.
FIRST_DELAY = 0.1
LONGEST_DELAY = 20.0

# Seconds of one wait of the main thread: a signal that comes between the last check for one and the
# wait's beginning does not end the wait.
SLICE = 0.5

# Repetitions after an answer that is wrong, or none within the timeout: more would help less often
# than keep somebody waiting.
FEW = 3

NO_ANSWER = "the server does not answer in time"

# Not the generator of `random`, whose seed is the user's; and not the same in forked processes.
RANDOM = random.SystemRandom()


class TransientError(Exception):
    """A request failed that may succeed when it is repeated.

    Parameters
    ----------
    reason : what happened, without secrets
    most : the most repetitions that make sense; None: as many as the options allow
    advice : what to do if it keeps failing
    """

    def __init__(self, reason: str, most: int | None = None, advice: str = "") -> None:
        super().__init__(reason)
        self.most = most
        self.advice = advice


def interruptible(function: Callable[[], T], timeout: float | None = None) -> T:
    """Call a function that may block in a client's own code, where no signal handler runs.

    Handlers run on the main thread only, so that is where another thread makes the call while this
    one waits. If a handler raises, the call goes on, and nobody learns of its end.

    Parameters
    ----------
    timeout : seconds to wait, on any thread, for a client that knows no timeouts; None: no limit

    Raises
    ------
    TransientError : the time is over; else whatever `function` raises.
    """
    if timeout is None and threading.current_thread() is not threading.main_thread():
        return function()
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    try:
        call = Call(function)
    except RuntimeError:  # refused, or the interpreter ends
        return function()
    while not call.wait(min(max(deadline - time.monotonic(), 0), SLICE)):
        if time.monotonic() > deadline:
            raise TransientError(NO_ANSWER, FEW, "or timeout is too short")
    return call.result()


def pause(seconds: float) -> None:
    """Sleep, in parts."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, SLICE))


def translated(
    attempt: Callable[[], T], explain: Callable[[Exception], Error | TransientError]
) -> T:
    """Call a function of a client, with the exceptions that `explain` gives for the client's.

    These have no context: the client's message may hold a signature.
    """
    try:
        return attempt()
    except (Error, TransientError):
        raise
    except Exception as error:
        failure = explain(error)
    raise failure


def repeated(attempt: Callable[[], T], retries: int, name: str, timeout: float | None = None) -> T:
    """Call a function until it succeeds, with growing pauses of random length.

    Parameters
    ----------
    attempt : raises `TransientError` where it makes sense to call it again
    retries : the most repetitions
    name : the URL, without secrets, for the message
    timeout : see `interruptible`

    Raises
    ------
    RemoteError : it failed each time; else whatever `attempt` raises.
    """
    begin = time.monotonic()
    for number in itertools.count():
        try:
            return interruptible(attempt, timeout)
        except TransientError as error:
            failed = error
        if number >= min(retries, retries if failed.most is None else failed.most):
            break
        count(failed=1)
        pause(RANDOM.uniform(0, min(LONGEST_DELAY, FIRST_DELAY * 2**number)))
    times = "once" if number == 0 else f"{number + 1} times"
    advice = f"; {failed.advice}" if failed.advice else ""
    raise RemoteError(
        f"{name}: {failed}; tried {times} in {time.monotonic() - begin:.1f} s{advice}"
    )
