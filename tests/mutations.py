"""Remove gpuio's safeguards one at a time, and demand that a test on the simulated device fails.

Run it with ``make test-mutations``. A safeguard is a line that orders work on a GPU, or keeps
memory until that work is done: without it results are wrong only sometimes, and only there. For
each, `MUTATIONS` says what replaces it, and which tests should notice. The tests are run in copies
of the tree; first as it is, since tests that fail anyway prove nothing. The exit status is 1 if a
removal goes unseen.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPIED = ("gpuio", "kernels", "tests", "pyproject.toml")

# pytest's exit status when tests failed, and when all passed.
FAILED, PASSED = 1, 0

# Trees in which tests run at the same time.
PROCESSES = 2

# When work runs, and on which stream. As late as possible; but then an event that is asked for is
# done, which hides what only looks whether it is. So also by chance.
MODES: dict[str, dict[str, str]] = {
    "as late as possible": {},
    "by chance": {"GPUIO_SIMULATION": "random:1", "GPUIO_STREAM": "own"},
}


class Mutation(NamedTuple):
    """A safeguard that is removed.

    Attributes
    ----------
    name : what is removed
    file : where it is, from the root of the tree
    old, new : the text that is replaced, which occurs once, and what replaces it
    tests : files, or tests, that should notice
    also : further (file, old, new), of a safeguard of which each part alone suffices
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    also: tuple[tuple[str, str, str], ...] = ()

    def applied(self, root: Path = ROOT) -> dict[str, str]:
        """The text of each file without the safeguard.

        Raises
        ------
        ValueError : the text to replace is not there exactly once.
        """
        texts = {}
        for file, old, new in ((self.file, self.old, self.new), *self.also):
            text = (root / file).read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise ValueError(f"{file} has {text.count(old)} times: {old!r}")
            texts[file] = text.replace(old, new)
        return texts


# Tests that several safeguards have in common.
LIFETIME = ("tests/io/test_device_lifetime.py",)
MEMORY = ("tests/nd/test_device_memory.py",)
IMAGES = ("tests/execution/test_postprocess.py", *LIFETIME)
TRANSFER = ("tests/loading/test_transfer.py",)
PIPELINE = ("tests/execution/test_dali_pipeline.py",)

MEMORY_PY, IN_FLIGHT_PY = "gpuio/nd/device_memory.py", "gpuio/in_flight.py"
TRANSFER_PY, PLACEMENT_PY = "gpuio/loading/transfer.py", "gpuio/nd/placement.py"
POSTPROCESS_PY, NDARRAY_PY = "gpuio/execution/postprocess.py", "gpuio/nd/ndarray.py"
PIPELINE_PY, SOURCES_PY = "gpuio/execution/dali_pipeline.py", "gpuio/io/array_sources.py"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "a stream's wait for the array that it gets",
        MEMORY_PY,
        "                stream.wait_event(ready)\n",
        "                pass\n",
        MEMORY,
    ),
    Mutation(
        "the note of which streams use an array",
        MEMORY_PY,
        "        self._streams[stream.ptr] = stream, ready\n",
        "",
        MEMORY,
    ),
    Mutation(
        "keeping memory that nothing references",
        MEMORY_PY,
        "            keep_until(self.device_id, events, array)\n",
        "            pass\n",
        MEMORY,
    ),
    Mutation(
        "the stream that drops the last reference",
        MEMORY_PY,
        "streams = {current.ptr: current}",
        "streams = {}",
        MEMORY,
    ),
    Mutation(
        "work that is on no known stream",
        MEMORY_PY,
        "                events += [record() for record in self._others]\n",
        "",
        (*MEMORY, "tests/test_jax.py", "tests/test_tensor_loader.py", *LIFETIME),
    ),
    Mutation(
        "the work that makes an array, when it is dropped unused",
        MEMORY_PY,
        "return events if self.ready is None else [self.ready, *events]",
        "return events",
        MEMORY,
    ),
    Mutation(
        "the look whether events are done",
        IN_FLIGHT_PY,
        "all(event.done for event in events)",
        "True",
        ("tests/test_in_flight.py",),
    ),
    Mutation(
        "keeping what has no events until the GPU is synchronized",
        IN_FLIGHT_PY,
        "events is not None and all",
        "events is None or all",
        ("tests/test_in_flight.py",),
    ),
    Mutation(
        "the wait for work that is not queued yet",
        IN_FLIGHT_PY,
        "                event.synchronize()  # other",
        "                pass  # other",
        ("tests/test_in_flight.py",),
    ),
    Mutation(
        "keeping a stream until its work is done",
        IN_FLIGHT_PY,
        "    keep_until(device_id, events, stream)\n",
        "",
        ("tests/test_in_flight.py", *TRANSFER),
    ),
    Mutation(
        "keeping the stream of copies",
        TRANSFER_PY,
        "weakref.finalize(self, retire_stream, ctx.device_id, self._stream).atexit = False\n",
        "pass\n",
        TRANSFER,
    ),
    Mutation(
        "the copies' wait for what is on the GPU already",
        TRANSFER_PY,
        "self._stream.wait_event(self._cupy.cuda.get_current_stream().record())",
        "pass",
        TRANSFER + LIFETIME,
    ),
    Mutation(
        "the event behind the copies",
        TRANSFER_PY,
        "                self._stream.record(copied)\n",
        "                pass\n",
        TRANSFER,
    ),
    Mutation(
        "keeping pinned memory until the copies are done",
        TRANSFER_PY,
        "                keep_until(self._ctx.device_id, [copied], pinned)\n",
        "",
        TRANSFER,
    ),
    Mutation(
        "the caller's wait for the copies",
        TRANSFER_PY,
        "share_arrays(copies, copied)",
        "share_arrays(copies, self._cupy.cuda.Event())",
        TRANSFER,
    ),
    Mutation(
        "handing over batches to the caller",
        "gpuio/iterators/stream_iter.py",
        "found: DataBatch = change_arrays(batch, hand_over_arrays)",
        "found = batch",
        LIFETIME,
    ),
    Mutation(
        "the event behind batches that a user's iterator makes in a thread",
        "gpuio/io/joined_stream.py",
        "_Prefetched(change_arrays(batch, share_arrays), ",
        "_Prefetched(batch, ",
        LIFETIME,
    ),
    Mutation(
        "handing over batches of a user's iterator to another library",
        "gpuio/tensor_loader.py",
        "change_arrays(as_batch(batch), hand_over_arrays)",
        "as_batch(batch)",
        LIFETIME,
    ),
    Mutation(
        "keeping copies for another library",
        "gpuio/tensor_loader.py",
        "hand_over_arrays([array.copy()])",
        "[array.copy()]",
        ("tests/test_tensor_loader.py",),
    ),
    Mutation(
        "the caller's streams in a prefetching thread",
        "gpuio/loading/prefetch.py",
        "            use_streams()\n",
        "",
        LIFETIME,
    ),
    Mutation(
        "the caller's streams in DataLoader's threads",
        "gpuio/gluon/data/dataloader.py",
        "        use_streams()\n",
        "",
        ("tests/gluon/data/test_dataloader.py",),
    ),
    Mutation(
        "handing over matrices to the stream of each operation",
        "gpuio/nd/sparse.py",
        "            _hand_over(self, *args)\n",
        "",
        ("tests/nd/test_sparse.py",),
    ),
    Mutation(
        "handing over matrices to the stream that checks them",
        "gpuio/nd/sparse.py",
        "            _hand_over(self)\n",
        "",
        ("tests/nd/test_sparse.py",),
    ),
    Mutation(
        "each thread's default stream on its own",
        MEMORY_PY,
        " and stream.ptr != _PER_THREAD_STREAM",
        "",
        MEMORY,
    ),
    Mutation(
        "the event behind rows that are selected in a thread",
        "gpuio/io/rows_iter.py",
        "batch._replace(data=share_arrays(batch.data), label=share_arrays(batch.label))",
        "batch",
        LIFETIME,
    ),
    Mutation(
        "handing over the rows' array to the stream that selects",
        SOURCES_PY,
        "            hand_over(self._plain)  # to the stream that selects\n",
        "            pass\n",
        LIFETIME,
    ),
    Mutation(
        "the wait for an array that is copied to a GPU once",
        SOURCES_PY,
        "values.wait_to_read()  # CuPy copies pinned memory later, and the user may change it\n",
        "pass\n",
        ("tests/io/test_ndarray.py",),
    ),
    Mutation(
        "the event behind batches of DataLoader's threads",
        "gpuio/gluon/data/dataloader.py",
        "    return _changed(batch, share_arrays)\n",
        "    return batch\n",
        LIFETIME,
    ),
    Mutation(
        "handing over batches of DataLoader",
        "gpuio/gluon/data/dataloader.py",
        "    return _changed(batch, hand_over_arrays)\n",
        "    return batch\n",
        LIFETIME,
    ),
    Mutation(
        "handing over arrays to the stream of each operation",
        PLACEMENT_PY,
        "    hand_over(values)\n    return values.view",
        "    return values.view",
        LIFETIME,
    ),
    Mutation(
        "a copy's wait for the other GPU",
        PLACEMENT_PY,
        "        stream.wait_event(computed)\n",
        "",
        ("tests/nd/test_placement.py",),
    ),
    Mutation(
        "the other GPU's wait for a copy",
        PLACEMENT_PY,
        "        cupy.cuda.get_current_stream().wait_event(copied)\n",
        "        pass\n",
        ("tests/nd/test_placement.py",),
    ),
    Mutation(
        "copies to the host on the array's own device",
        PLACEMENT_PY,
        "    with on_device(ctx):  # CuPy takes the current device's stream\n        return",
        "    if True:\n        return",
        ("tests/nd/test_placement.py",),
    ),
    Mutation(
        "the stream that a DLPack export names",
        NDARRAY_PY,
        "                        usage.note_external(handle)\n",
        "                        pass\n",
        MEMORY + LIFETIME,
    ),
    Mutation(
        "PyTorch's stream while its loader draws a batch",
        "gpuio/torch.py",
        "    stack.enter_context(as_stream(stream))\n",
        "",
        ("tests/test_torch.py",),
    ),
    Mutation(
        "the event behind a batch of images",
        POSTPROCESS_PY,
        "        return share(batch, ready)\n",
        "        return share(batch, None)\n",
        IMAGES,
    ),
    Mutation(
        "keeping DALI's output until the kernels are done",
        POSTPROCESS_PY,
        "        keep_until(self._ctx.device_id, [done], tensors)\n",
        "",
        IMAGES,
    ),
    Mutation(
        "keeping the stream of the kernels",
        POSTPROCESS_PY,
        "weakref.finalize(self, retire_stream, ctx.device_id, self.stream).atexit = False\n",
        "pass\n",
        IMAGES,
    ),
    Mutation(
        "the wait for DALI, by DALI and by the exchange of its tensors",
        PIPELINE_PY,
        "self._pipe.share_outputs(stream)",
        "self._pipe.share_outputs(0)",
        IMAGES,
        ((POSTPROCESS_PY, "self._cupy.from_dlpack(tensors", "self._cupy.asarray(tensors"),),
    ),
    Mutation(
        "the wait for copies of nvImageCodec's images",
        "gpuio/decoding/nvimagecodec.py",
        "            # nvImageCodec may free its memory on another stream, so the copies must be "
        "complete.\n            wait_for(ctx)\n",
        "",
        ("tests/image/test_codec.py", "tests/decoding/test_nvimagecodec.py"),
    ),
    Mutation(
        "a new graph after an exception",
        PIPELINE_PY,
        "        except BaseException:\n            self.broken = True\n            raise\n",
        "        except BaseException:\n            raise\n",
        PIPELINE,
    ),
    Mutation(
        "the comparison of a batch's number",
        PIPELINE_PY,
        "if found != number:",
        "if False:",
        PIPELINE,
    ),
)


def run_tests(tree: Path, tests: Sequence[str], mode: str) -> tuple[int, str]:
    """Run tests on the simulated device until one fails.

    Parameters
    ----------
    mode : see `MODES`

    Returns
    -------
    pytest's exit status, and the test that failed, or what pytest said last
    """
    environment = {
        **os.environ, "GPUIO_DEVICE": "simulated", "PYTHONPATH": str(tree), **MODES[mode]
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *tests], cwd=tree, env=environment, capture_output=True, text=True, timeout=900
    )
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return done.returncode, found[1] if found else (done.stdout + done.stderr)[-300:]


class Found(NamedTuple):
    """What noticed that a safeguard was missing.

    Attributes
    ----------
    mode : see `MODES`; None: nothing did
    test : the test that failed, or what pytest said last
    """

    mode: str | None
    test: str


def try_without(mutation: Mutation, tree: Path) -> Found:
    """Run the tests without a safeguard, in each mode until one fails."""
    for file, text in mutation.applied(tree).items():
        (tree / file).write_text(text, encoding="utf-8")
    try:
        for mode in MODES:
            status, said = run_tests(tree, mutation.tests, mode)
            if status == FAILED:
                return Found(mode, said)
            if status != PASSED:
                raise RuntimeError(f"without {mutation.name}, pytest could not run: {said}")
        return Found(None, said)
    finally:
        for file in mutation.applied():
            shutil.copy(ROOT / file, tree / file)


def check(mutations: Sequence[Mutation]) -> list[Found]:
    """Run the tests without each of the safeguards, and print a table.

    Raises
    ------
    RuntimeError : the tests fail with all safeguards in place, or cannot be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        trees = [Path(folder) / str(number) for number in range(PROCESSES)]
        for tree in trees:
            tree.mkdir()
            for name in COPIED:
                place = ROOT / name
                copy = shutil.copytree if place.is_dir() else shutil.copy
                copy(place, tree / name)
        wanted = sorted({test for mutation in mutations for test in mutation.tests})
        free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for tree in trees:
            free.put(tree)

        def try_in_a_tree(mutation: Mutation) -> Found:
            tree = free.get()
            try:
                return try_without(mutation, tree)
            finally:
                free.put(tree)

        with ThreadPoolExecutor(PROCESSES) as pool:
            for status, said in pool.map(partial(run_tests, trees[0], wanted), MODES):
                if status != PASSED:
                    raise RuntimeError(f"the tests do not pass as they are: {said}")
            print("| without | fails | when work runs |\n| --- | --- | --- |")
            results = []
            for mutation, found in zip(mutations, pool.map(try_in_a_tree, mutations), strict=True):
                shown = f"`{found.test}`" if found.mode else "NOTHING"
                print(f"| {mutation.name} | {shown} | {found.mode or 'UNSEEN'} |", flush=True)
                results.append(found)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Print a table of the safeguards, and the first test that fails without each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="of the safeguards, those with this in the name")
    options = parser.parse_args(arguments)
    mutations = [each for each in MUTATIONS if options.only in each.name]
    if not mutations:
        parser.error(f"no safeguard has {options.only!r} in its name")
    found = check(mutations)
    seen = sum(each.mode is not None for each in found)
    print(f"\n{seen} of {len(found)} removals were found")
    return 0 if seen == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
