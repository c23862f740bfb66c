"""Threads that the system refuses: none is left behind, and the next call tries again."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.io.image_iterators import write_images

# Each thread reserves a stack, for which the address space has to suffice: also that which starts
# the others.
PREPARE = """
import resource, sys, threading
import numpy as np
import gpuio as mx
from gpuio.errors import ArgumentError

STACK = 1 << 30
threading.stack_size(STACK)
folder = sys.argv[1]

class Counts(mx.io.DataIter):
    provide_data, provide_label = [("data", (2,))], []
    def __init__(self):
        super().__init__(2)
        self.at = 0
    def reset(self):
        self.at = 0
    def next(self):
        self.at += 1
        return mx.io.DataBatch([mx.nd.array([self.at] * 2)], [], 0)

class Rows(mx.io.IndexedIter):
    def load(self, rows):
        return rows

def allow(threads):
    pages = int(open("/proc/self/statm").read().split()[0])
    size = pages * resource.getpagesize() + STACK * threads + STACK // 2
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))

def refused(call, threads):
    before = threading.active_count()
    allow(threads)
    try:
        call()
    except ArgumentError as error:
        assert "the system refused thread" in str(error), error
    else:
        raise AssertionError("it was not refused")
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while threading.active_count() > before:  # one that was told to end
        pass
"""

PAIRS = """
pairs = mx.io.PrefetchingIter([Counts(), Counts()])
refused(pairs.next, 2)  # the second
for number in (1, 2, 3):
    assert [array.asnumpy()[0] for array in pairs.next().data] == [number, number]
pairs.close()
"""

ROWS = """
rows = Rows(8, 2, prefetch_buffer=2)
refused(rows.next, 0)
assert [batch.data[0].asnumpy().tolist() for batch in rows] == [[0, 1], [2, 3], [4, 5], [6, 7]]
rows.close()
"""

TEXT = """
with open(folder + "/d.csv", "w") as file:
    file.write("".join(f"{row}\\n" for row in range(8)))
text = mx.io.CSVIter(data_csv=folder + "/d.csv", data_shape=1, batch_size=2)
refused(text.next, 0)
assert [int(batch.data[0][0, 0].asscalar()) for batch in text] == [0, 2, 4, 6]
text.close()
"""

FILES = """
files = dict(path_imgrec=folder + "/x.rec", path_imgidx=folder + "/x.idx", data_shape=(3, 24, 28))
"""

HOST = (
    FILES
    + """
refused(lambda: mx.io.ImageRecordIter(**files, batch_size=2, preprocess_threads=3), 2)
"""
)

DALI = (
    FILES
    + """
def opened():
    return mx.io.ImageRecordIter(
        **files, batch_size=2, preprocess_threads=1, executor="dali", round_batch=False
    )

threading.stack_size(0)  # of DALI's threads nothing is known
with opened() as other:
    other.next()
iterator = opened()
threading.stack_size(STACK)
refused(iterator.next, 2)
assert [batch.index.tolist() for batch in iterator] == [[0, 10], [20, 30], [40, 50], [60, 70]]
iterator.close()
"""
)

LOADER = """
from gpuio.gluon.data import ArrayDataset, DataLoader
loader = DataLoader(ArrayDataset(np.arange(8)), 2, num_workers=3)
refused(loader.__iter__, 3)
assert [batch.asnumpy().tolist() for batch in loader] == [[0, 1], [2, 3], [4, 5], [6, 7]]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it limits the address space")
@pytest.mark.parametrize(
    "code",
    [PAIRS, ROWS, TEXT, HOST, DALI, LOADER],
    ids=["pairs", "rows", "text", "host", "dali", "loader"],
)
def test_refused_threads_leave_none_behind(code: str, tmp_path: Path) -> None:
    if code is DALI:
        pytest.importorskip("nvidia.dali", reason="DALI is not installed")
    write_images(tmp_path, 8)
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + code, str(tmp_path)],
        capture_output=True, text=True, timeout=100, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
