"""A small pool of threads that stops at once.

``concurrent.futures`` finishes what has been queued before it lets the interpreter go; a loader
that is several batches ahead must not.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Task = Callable[[], None]


class Workers:
    """Threads that run tasks in the order in which they were given.

    The threads are daemons and know only the queue, so that an owner that is forgotten can be
    collected and an interpreter that ends is not kept waiting; whoever makes a pool sees to it that
    `stop` is called.

    Parameters
    ----------
    count : number of threads
    name : their names' beginning, as debuggers show it
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
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Run `task` on one of the threads. It must not raise, and should look at `stopped` now and
        then.
        """
        self._tasks.put(task)

    def stop(self) -> None:
        """Drop what has not begun and wait for what has. May be called twice, and from any
        thread.
        """
        self.stopped.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()


def _run(tasks: queue.SimpleQueue[Task | None], stopped: threading.Event) -> None:
    while (task := tasks.get()) is not None:
        if not stopped.is_set():
            task()
        del task  # an idle thread keeps nothing alive
