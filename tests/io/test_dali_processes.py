"""Processes that use the DALI executor: none hangs or dies, each has a time limit."""

import os
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.io.records import jpeg, write_records
from tests.processes import run_process

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record file of images that take long to decode."""
    coarse = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    images = [
        cv2.imencode(".jpg", cv2.resize(coarse, (2000, 1500)) // (1 + number))[1].tobytes()
        for number in range(12)
    ]
    return write_records(tmp_path_factory.mktemp("large") / "large", images)["path_imgrec"]


REWRITE = """
import sys
from pathlib import Path
from tests.io.records import open_iter
path = Path(sys.argv[1])
content = path.read_bytes()
for _ in range(2):
    iterator = open_iter(path_imgrec=path, path_imgidx=None, executor="dali", batch_size=4,
                         data_shape=(3, 224, 224), prefetch_buffer=4, preprocess_threads=2)
    iterator.next()
    iterator.close()
    with open(path, "r+b") as file:
        file.truncate(0)  # who still read the file would fail
        print(str(path) in Path("/proc/self/maps").read_text())
        file.write(content)
print("alive")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux to list what is mapped")
def test_a_closed_iterator_s_file_may_be_rewritten(large: Path) -> None:
    # DALI has also let go of what it was fed.
    assert run_process(REWRITE, large).split() == ["False", "False", "alive"]


INTERRUPT = """
import signal, sys
from tests.io.records import open_iter
def interrupt(*arguments):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
options = dict(path_imgrec=sys.argv[1], path_imgidx=None, executor="dali", batch_size=3,
               data_shape=(3, 200, 200), preprocess_threads=2)
with open_iter(**options) as iterator:
    expected = [batch.data[0].asnumpy() for batch in iterator]
found, interrupted = [], 0
with open_iter(**options) as iterator:
    while len(found) < len(expected):
        state = iterator.state_dict()
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001 * 4 ** (interrupted % 4))
            batch = iterator.next()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
            iterator.load_state_dict(state)  # the batch may just have been handed out
            batch = iterator.next()
        found.append(batch.data[0].asnumpy())
assert interrupted
for left, right in zip(found, expected):
    assert (left == right).all()
print("the same batches")
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_an_interrupted_caller_goes_on(large: Path) -> None:
    assert run_process(INTERRUPT, large) == "the same batches\n"


EXIT = """
import sys, weakref
if sys.argv[2] == "early":  # Python's own clean-up then comes after DALI's
    weakref.finalize(sys, print, "cleaned up")
from tests.io.records import open_iter
iterators = [
    open_iter(path_imgrec=sys.argv[1], path_imgidx=None, executor="dali", batch_size=3,
              data_shape=(3, 200, 200), prefetch_buffer=30, preprocess_threads=2)
    for _ in range(3)
]
iterators[0].next()
print("bye")
"""


@pytest.mark.parametrize("order", ["early", "late"])
def test_python_ends_while_batches_are_in_the_graph(order: str, large: Path) -> None:
    lines = run_process(EXIT, large, order).splitlines()
    assert lines == ["bye", "cleaned up"][: 2 if order == "early" else 1]


FORK = """
import gc, os, signal, sys
from tests.io.records import open_iter
iterator = open_iter(executor="dali")
first = [] if sys.argv[1] == "before the first batch" else [iterator.next().index.tolist()]
for _ in range(3):
    process = os.fork()
    if not process:
        signal.alarm(30)
        if sys.argv[1] == "dropped":
            del iterator
            gc.collect()
        elif sys.argv[1] == "closed":
            iterator.close()
        sys.exit(3)
    status = os.waitpid(process, 0)[1]
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 3, status
first += [iterator.next().index.tolist() for _ in range(2 - len(first))]
assert first == [[0, 10, 20, 30, 40], [50, 60, 70, 80, 90]], first
print("the parent goes on")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("then", ["kept", "dropped", "closed", "before the first batch"])
def test_a_child_process_exits(then: str) -> None:
    assert run_process(FORK, then) == "the parent goes on\n"


MEMORY = """
import resource, sys
import gpuio as mx
from tests.io.records import open_iter
iterator = open_iter(path_imgrec=sys.argv[1], path_imgidx=None, executor=sys.argv[2], batch_size=2,
                     on_error="skip", prefetch_buffer=1, preprocess_threads=1)
for _ in range(4):
    iterator.next()
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), limits[1]))
for _ in range(2):
    iterator.next()
state = iterator.state_dict()
for _ in range(2):
    try:
        iterator.next()
    except mx.MXNetError as error:
        print(type(error).__name__)
    assert iterator.state_dict() == state
resource.setrlimit(resource.RLIMIT_AS, limits)
print(iterator.next().index.tolist(), iterator.bad_records)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux to limit memory")
@pytest.mark.parametrize("executor", ["host", "dali"])
def test_a_lack_of_memory_is_no_bad_record(executor: str, tmp_path: Path) -> None:
    """A PNG of 192 MB in 100 MB; with more memory it is used."""
    image = cv2.imencode(".png", np.zeros((8000, 8000, 3), np.uint8))[1].tobytes()
    payloads = [*(jpeg(number) for number in range(13)), image]
    files = write_records(tmp_path / "memory", payloads)
    lines = run_process(MEMORY, files["path_imgrec"], executor).splitlines()
    assert lines == ["DeviceError", "DeviceError", "[12, 13] []"]
