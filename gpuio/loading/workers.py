"""A small thread pool that stops at once.

``concurrent.futures`` finishes queued tasks before the interpreter may exit; a loader that is
several batches ahead must not.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from gpuio.errors import ArgumentError

Task = Callable[[], None]


class Workers:
    """Threads that run tasks in the order in which they were submitted.

    The threads are daemons and reference only the queue, so that an owner without references can be
    garbage-collected and the interpreter can exit. Whoever creates a pool must see to it that
    `stop` is called.

    Parameters
    ----------
    count : number of threads
    name : prefix of their names, as debuggers show them

    Raises
    ------
    ArgumentError : the system does not allow so many threads; none of them is left.
    """

    def __init__(self, count: int, name: str) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.stopped = threading.Event()
        self._threads = [
            threading.Thread(
                target=_run, args=(self._tasks, self.stopped), name=f"{name}-{number}", daemon=True
            )
            for number in range(count)
        ]
        for number, thread in enumerate(self._threads):
            try:
                thread.start()
            except RuntimeError as error:
                del self._threads[number:]
                self.stop()
                raise ArgumentError(
                    f"the system refused thread {number + 1} of {count}; ask for fewer, about one "
                    "for each CPU"
                ) from error

    @property
    def runs_current_thread(self) -> bool:
        """Whether this is called by one of the threads."""
        return threading.current_thread() in self._threads

    def submit(self, task: Task) -> None:
        """Run a task on one of the threads. It must not raise; a long one should check `stopped`
        repeatedly.
        """
        self._tasks.put(task)

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
            if wait and thread is not threading.current_thread():
                thread.join()


def _run(tasks: queue.SimpleQueue[Task | None], stopped: threading.Event) -> None:
    while (task := tasks.get()) is not None:
        if not stopped.is_set():
            task()
        del task  # an idle thread keeps nothing alive
