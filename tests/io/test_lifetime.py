"""Threads and processes: nothing hangs, nothing leaks."""

import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from gpuio.errors import (
    Error,
)
from tests.io.records import (
    EXECUTORS,
    GOLDEN,
    RUNS,
    TRAIN,
    gpuio_threads,
    open_iter,
)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_close_ends_every_thread_and_may_be_called_twice(executor: str) -> None:
    iterator = open_iter(**RUNS[executor])
    iterator.next()
    assert gpuio_threads()
    iterator.close()
    assert not gpuio_threads()
    iterator.close()
    with pytest.raises(Error, match="closed"):
        iterator.next()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_forgotten_iterator_leaves_no_thread(executor: str) -> None:
    iterator = open_iter(**RUNS[executor])
    iterator.next()
    del iterator
    gc.collect()
    deadline = time.monotonic() + 20
    while gpuio_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not gpuio_threads()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_interpreter_ends_with_an_open_iterator(executor: str) -> None:
    code = f"""
import gpuio as mx
iterator = mx.io.ImageRecordIter(
    path_imgrec={str(GOLDEN / "img.rec")!r}, data_shape=(3, 200, 200), batch_size=200,
    prefetch_buffer=50, round_batch=False, **{RUNS[executor]!r},
)
iterator.next()
print("bye")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout) == (0, "bye\n"), done.stderr


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
def test_another_process_is_told_so() -> None:
    code = f"""
import os, sys
import gpuio as mx
path = {str(GOLDEN / "img.rec")!r}
iterator = mx.io.ImageRecordIter(path_imgrec=path, data_shape=(3, 8, 8), batch_size=2)
iterator.next()
child = os.fork()
if not child:
    try:
        iterator.next()
    except mx.MXNetError as error:
        os._exit(7 if "another process" in str(error) else 1)
    os._exit(2)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
iterator.next()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "7\n", done.stderr


@pytest.mark.parametrize("executor", EXECUTORS)
def test_close_wakes_who_waits_for_a_batch(executor: str) -> None:
    size = {"data_shape": (3, 900, 900), "batch_size": 200, "round_batch": False}
    iterator = open_iter(**size, **RUNS[executor])
    found: list[BaseException] = []

    def wait() -> None:
        try:
            while True:
                list(iterator)
                iterator.reset()
        except Error as error:
            found.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    iterator.close()
    thread.join(60)
    assert not thread.is_alive() and "closed" in str(found[0])


def test_two_iterators_at_once_and_a_reset_while_batches_are_ahead() -> None:
    with open_iter(**TRAIN) as left, open_iter(**TRAIN) as right:
        for _ in range(6):
            np.testing.assert_array_equal(
                left.next().data[0].asnumpy(), right.next().data[0].asnumpy()
            )
            left.reset()
            right.reset()
