"""Waiting for threads and for what they do, without sleeping for a fixed time."""

import gc
import threading
import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether a condition holds before the time is over; it is checked again and again."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()  # never set
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.005)
    return True


def gpuio_threads() -> list[threading.Thread]:
    """The running threads of gpuio."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("gpuio-")]


def no_threads_left() -> bool:
    """Whether all threads of gpuio end, once objects without references are collected."""

    def ended() -> bool:
        if gpuio_threads():
            gc.collect()
        return not gpuio_threads()

    return eventually(ended)


def run_in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    """Start a thread; the list receives what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, raised
