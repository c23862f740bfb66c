"""A small thread pool that stops at once.

``concurrent.futures`` finishes queued tasks before the interpreter may exit; a loader that is
several batches ahead must not.
"""

from __future__ import annotations

import collections
import queue
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gpuio.errors import ArgumentError
from gpuio.loading.outcome import Flag, Outcome
from gpuio.memory import explain_memory_error
from gpuio.threads import REFUSED, Call

Task = Callable[[], None]

_Queue = queue.SimpleQueue[tuple[Task, Outcome[Any] | None] | None]

# Seconds in which at least one more thread starts: where memory is short, Python waits for ever for
# one that has ended while it started.
PATIENCE = 5.0

# More threads cost memory and help nobody, whatever the machine.
MOST_THREADS = 1 << 12


class Workers:
    """Threads that run tasks in the order in which they were submitted.

    The threads are daemons and reference only the queue, so that an owner without references can be
    garbage-collected and the interpreter can exit. They end with the pool at the latest; whoever
    creates one and wants them to be awaited must see to it that `stop` is called.

    Parameters
    ----------
    count : number of threads
    name : prefix of their names, as debuggers show them

    Raises
    ------
    ArgumentError : the system does not allow so many threads; none of them is left.
    """

    def __init__(self, count: int, name: str) -> None:
        self._tasks: _Queue = queue.SimpleQueue()
        self.stopped = Flag()
        self._threads = [
            threading.Thread(
                target=_run, args=(self._tasks, self.stopped), name=f"{name}-{number}", daemon=True
            )
            for number in range(count)
        ]
        # Also where a signal handler raises before anybody else can stop them.
        self._end = weakref.finalize(self, _end, self._tasks, self.stopped, count)
        self._end.atexit = False
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if not isinstance(error, MemoryError) and str(error) not in REFUSED:
                raise
            raise ArgumentError(
                f"the system refused thread {self._started + 1} of {count}; ask for fewer, about "
                "one for each CPU"
            ) from error

    def _start(self) -> None:
        """Start the threads, on a thread of its own: ``Thread.start`` is not made for exceptions of
        signal handlers, which the main thread runs.
        """
        call = Call(partial(_start_each, self._threads))
        before = -1
        while not call.wait(PATIENCE):
            if before == (before := self._started):
                raise RuntimeError(REFUSED[0])
        call.result()

    @property
    def _started(self) -> int:
        """How many threads have started."""
        return sum(thread.ident is not None for thread in self._threads)

    @property
    def runs_current_thread(self) -> bool:
        """Whether this is called by one of the threads."""
        return threading.current_thread() in self._threads

    def submit(self, task: Task, outcome: Outcome[Any] | None = None) -> None:
        """Run a task on one of the threads. A long one should check `stopped` repeatedly.

        Parameters
        ----------
        outcome : what the task sets. The task catches whatever it can; where memory is so short
            that it cannot even do that, and raises, this is set to what it raised. None: it must
            not raise
        """
        self._tasks.put((task, outcome))

    def run(self, tasks: Sequence[Task], helpers: int) -> None:
        """Run tasks, on the calling thread and those of the threads that are idle, and wait for
        them. As the caller goes on without those that are not, it may be one of the threads itself,
        and the pool may be stopped meanwhile.

        Parameters
        ----------
        helpers : the most threads that help
        """
        left = collections.deque((task, Outcome[None]()) for task in tasks)
        outcomes = [outcome for _, outcome in left]
        for _ in range(min(helpers, len(tasks) - 1)):
            self.submit(partial(_run_each, left))
        _run_each(left)
        for outcome in outcomes:
            outcome.result()

    def stop(self, wait: bool = True, drop: bool = True) -> None:
        """Drop the tasks that have not begun and wait for those that have. May be called twice, and
        from any thread.

        Parameters
        ----------
        wait : False: do not wait, as one of the tasks may never end
        drop : False: run the tasks that have not begun
        """
        if drop:
            self.stopped.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            if wait and thread.is_alive() and thread is not threading.current_thread():
                thread.join()
        self._end.detach()


def _start_each(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()


def _run_each(left: collections.deque[tuple[Task, Outcome[None]]]) -> None:
    """Run tasks until none is left that nobody has begun."""
    while left:
        try:
            task, outcome = left.popleft()
        except IndexError:  # another thread was faster
            return
        try:
            task()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)


def _run(tasks: _Queue, stopped: Flag) -> None:
    while (submitted := tasks.get()) is not None:
        if not stopped.is_set():
            task, outcome = submitted
            try:
                task()
            except BaseException as error:
                if outcome is None:
                    raise
                _fail(outcome, error)
            del task, outcome
        del submitted  # an idle thread keeps nothing alive


def _fail(outcome: Outcome[Any], error: BaseException) -> None:
    error.__traceback__ = None  # its frames hold memory
    try:
        outcome.set_exception(explain_memory_error(error))
    except MemoryError:
        outcome.set_exception(error)


def _end(tasks: _Queue, stopped: Flag, count: int) -> None:
    """Let the threads end without waiting for them."""
    stopped.set()
    for _ in range(count):
        tasks.put(None)
