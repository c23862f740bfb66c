"""Threads, processes and held batches of the iterators over images: nothing hangs or leaks."""

import gc
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio.errors import Error
from gpuio.loading.outcome import Outcome
from tests.io.image_iterators import KINDS, open_kind, open_random, runs, write_images
from tests.io.records import EXECUTORS, RUNS, TRAIN, open_iter
from tests.io.threads import eventually, gpuio_threads, no_threads_left, run_in_thread

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 12)
    return folder


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


@pytest.mark.parametrize(("name", "run"), runs())
def test_close_ends_every_thread(name: str, run: str, folder: Path) -> None:
    iterator = open_kind(name, run, folder)
    assert not [each for each in gpuio_threads() if each.name.startswith("gpuio-prefetch")]
    iterator.next()
    assert gpuio_threads()
    iterator.close()
    assert not gpuio_threads()
    iterator.close()
    for use in (iterator.next, iterator.iter_next, lambda: next(iterator)):
        with pytest.raises(Error, match="closed"):
            use()


@pytest.mark.parametrize(("name", "run"), runs())
def test_a_dropped_iterator_leaves_no_thread_and_its_batches(
    name: str, run: str, folder: Path
) -> None:
    iterator = open_random(name, run, folder)
    batches = [iterator.next() for _ in range(2)]
    copies = [batch.data[0].asnumpy().copy() for batch in batches]
    del iterator
    gc.collect()
    assert no_threads_left()
    for batch, copy in zip(batches, copies, strict=True):
        np.testing.assert_array_equal(batch.data[0].asnumpy(), copy)


@pytest.mark.parametrize(("name", "run"), runs())
def test_held_batches_are_never_overwritten(name: str, run: str, folder: Path) -> None:
    with open_random(name, run, folder, prefetch_buffer=1) as iterator:
        held, copies = [], []
        for _ in range(5):
            for batch in iterator:
                held.append(batch)
                copies.append([array.asnumpy().copy() for array in (*batch.data, *batch.label)])
            iterator.reset()
    for batch, expected in zip(held, copies, strict=True):
        for array, copy in zip((*batch.data, *batch.label), expected, strict=True):
            np.testing.assert_array_equal(array.asnumpy(), copy)


def in_new_process(code: str, **values: Any) -> str:
    """Run code in a new process, with values as globals; its output."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"values = {values!r}\n{code}"],
        capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


OPEN_ALL = """
from pathlib import Path
from tests.io.image_iterators import open_kind
iterators = {}
for name in values["names"]:
    options = {"data_shape": (3, 60, 60), "prefetch_buffer": 30, "batch_size": 20,
               "last_batch_handle": "pad"}
    if "one by one" in name:
        options = {}
    iterators[name] = open_kind(name, values["run"], Path(values["folder"]), **options)
    iterators[name].next()
print("bye")
"""


@pytest.mark.parametrize("run", EXECUTORS)
def test_the_interpreter_ends_with_open_iterators(run: str, folder: Path) -> None:
    names = [name for name, kind in KINDS.items() if kind.planned or run != "dali"]
    assert in_new_process(OPEN_ALL, names=names, run=run, folder=str(folder)) == "bye\n"


# Of each kind, what a child process finds: an iterator of its parent, and one of its own.
FORK = """
import json, os, signal, sys, traceback
from pathlib import Path
import gpuio as mx
from tests.io.conformance import trace
from tests.io.image_iterators import open_random

def child(parents, name):
    signal.alarm(60)
    try:
        parents.next()
    except mx.MXNetError as error:
        if "another process" not in str(error):
            return f"the wrong error: {error}"
    else:
        return "no error"
    with open_random(name, values["run"], Path(values["folder"])) as own:
        found = trace(own, 5)
    return "good" if found == expected else "other batches"

results = {}
for name in values["names"]:
    with open_random(name, values["run"], Path(values["folder"])) as iterator:
        expected = trace(iterator, 5)
    with open_random(name, values["run"], Path(values["folder"])) as iterator:
        first = trace(iterator, 1)
        read, write = os.pipe()
        process = os.fork()
        if not process:
            try:
                result = child(iterator, name)
            except BaseException:
                result = traceback.format_exc()
            os.write(write, result.encode())
            os._exit(0)
        os.close(write)
        with open(read) as file:
            results[name] = file.read() or "the process was killed"
        os.waitpid(process, 0)
        if first + trace(iterator, 4) != expected:
            results[name] = "the parent's iterator was disturbed"
print(json.dumps(results))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_process_gets_an_error_and_may_open_its_own(folder: Path) -> None:
    found = json.loads(in_new_process(FORK, names=list(KINDS), run="host", folder=str(folder)))
    assert found == dict.fromkeys(KINDS, "good")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("run", EXECUTORS[1:])
def test_a_child_process_gets_an_error(run: str, folder: Path) -> None:
    """DALI cannot be used in a process that was forked from one that uses it."""
    names = [name for name, kind in KINDS.items() if kind.planned]
    opening = """    with open_random(name, values["run"], Path(values["folder"])) as own:
        found = trace(own, 5)
"""
    code = FORK.replace(opening, "    found = expected\n")
    assert code != FORK
    found = json.loads(in_new_process(code, names=names, run=run, folder=str(folder)))
    assert found == dict.fromkeys(names, "good")


def is_waiting(thread: threading.Thread) -> bool:
    """Whether a thread waits for the outcome of another's work."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is Outcome.wait.__code__


@pytest.mark.parametrize(("name", "run"), runs())
def test_close_wakes_a_thread_that_waits_for_a_batch(name: str, run: str, folder: Path) -> None:
    options: dict[str, Any] = {"batch_size": 1500}
    if KINDS[name].planned:
        options = {"batch_size": 400, "data_shape": (3, 500, 500)}
    iterator = open_kind(name, run, folder, **options, last_batch_handle="pad", prefetch_buffer=1)

    def draw() -> None:
        while True:
            list(iterator)
            iterator.reset()

    thread, raised = run_in_thread(draw)
    assert eventually(lambda: is_waiting(thread), 60)
    iterator.close()
    thread.join(60)
    assert not thread.is_alive()
    (error,) = raised
    assert isinstance(error, Error) and "closed" in str(error)
    assert no_threads_left()


@pytest.mark.parametrize(("name", "run"), runs())
def test_two_at_once_and_a_reset_while_batches_are_ahead(name: str, run: str, folder: Path) -> None:
    with open_random(name, run, folder) as left, open_random(name, run, folder) as right:
        for _ in range(6):
            np.testing.assert_array_equal(
                left.next().data[0].asnumpy(), right.next().data[0].asnumpy()
            )
            left.reset()
            right.reset()


def test_two_iterators_at_once_and_a_reset_while_batches_are_ahead() -> None:
    with open_iter(**TRAIN) as left, open_iter(**TRAIN) as right:
        for _ in range(6):
            np.testing.assert_array_equal(
                left.next().data[0].asnumpy(), right.next().data[0].asnumpy()
            )
            left.reset()
            right.reset()


@pytest.mark.parametrize(("name", "run"), runs())
def test_an_error_does_not_end_the_iterator(name: str, run: str, tmp_path: Path) -> None:
    write_images(tmp_path, 12, {4: b"not an image"})
    with open_kind(name, run, tmp_path, batch_size=3, last_batch_handle="pad") as iterator:
        assert iterator.next().index.tolist() == [0, 10, 20]
        state = iterator.state_dict()
        for _ in range(2):  # the second call tries again
            with pytest.raises(Error, match=r"key 40.*on_error='skip' or 'substitute'"):
                iterator.next()
            assert iterator.state_dict() == state
        beyond = {**state, "position": 6}
        iterator.load_state_dict(beyond)
        assert [batch.index.tolist() for batch in iterator] == [[60, 70, 80], [90, 100, 110]]
        iterator.reset()
        assert iterator.next().index.tolist() == [0, 10, 20]
        with pytest.raises(Error, match="key 40"):
            iterator.next()
        iterator.reset()
        assert iterator.epoch == 2 and iterator.next().index.tolist() == [0, 10, 20]
