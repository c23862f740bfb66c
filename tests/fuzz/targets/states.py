"""Damaged states of iterators: they are refused, and the iterator continues as if nothing had been
loaded; or they are states of the same data.
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gpuio as mx
from gpuio.errors import StateError
from tests.fuzz.mutators import Rng, change_value, pick
from tests.fuzz.target import Parts, Refused, Target
from tests.io.conformance import BATCH, ROWS, trace
from tests.io.image_iterators import KINDS, write_images

TABLE = np.random.default_rng(1).integers(-99, 99, (ROWS, 3)) / 4

# Batches before a state, and after it.
STEPS, FOLLOWING = 5, 4


def _rows(folder: Path, **options: Any) -> mx.io.DataIter:
    return mx.io.NDArrayIter(TABLE, np.arange(ROWS), BATCH, shuffle=True, seed=3, **options)


def _csv(folder: Path, **options: Any) -> mx.io.DataIter:
    path = folder / "d.csv"
    if not path.exists():
        np.savetxt(path, TABLE, delimiter=",")
    return mx.io.CSVIter(data_csv=path, data_shape=(3,), batch_size=BATCH, **options)


def _svm(folder: Path) -> mx.io.DataIter:
    path = folder / "d.svm"
    if not path.exists():
        path.write_text("".join(f"{n} 0:{row[0]} 2:{row[2]}\n" for n, row in enumerate(TABLE)))
    return mx.io.LibSVMIter(data_libsvm=path, data_shape=(3,), batch_size=BATCH)


def _mnist(folder: Path) -> mx.io.DataIter:
    image, label = folder / "images", folder / "labels"
    if not image.exists():
        image.write_bytes(struct.pack(">4I", 2051, ROWS, 2, 2) + bytes(range(4 * ROWS)))
        label.write_bytes(struct.pack(">2I", 2049, ROWS) + bytes(range(ROWS)))
    return mx.io.MNISTIter(
        image=image, label=label, batch_size=BATCH, seed=3, reshuffle=True, silent=True
    )


def _sentences(folder: Path) -> mx.io.DataIter:
    sentences = [[n + 1] * (2 + n % 5) for n in range(30)]
    return mx.rnn.BucketSentenceIter(sentences, BATCH, buckets=[4, 6], seed=3)


def _images(name: str, **options: Any) -> Callable[[Path], mx.io.DataIter]:
    def make(folder: Path) -> mx.io.DataIter:
        write_images(folder, ROWS)
        made: mx.io.DataIter = KINDS[name].open(
            folder, preprocess_threads=1, prefetch_buffer=2, **options
        )
        return made

    return make


ITERATORS: dict[str, Callable[[Path], mx.io.DataIter]] = {
    "NDArrayIter": _rows,
    "NDArrayIter, roll over": lambda folder: _rows(folder, last_batch_handle="roll_over"),
    "CSVIter": _csv,
    "CSVIter, roll over": lambda folder: _csv(folder, last_batch_handle="roll_over"),
    "CSVIter, pad": lambda folder: _csv(folder, round_batch=False, prefetch_buffer=0),
    "LibSVMIter": _svm,
    "MNISTIter": _mnist,
    "BucketSentenceIter": _sentences,
    "ImageRecordIter": _images("ImageRecordIter", shuffle=True, verbose=False),
    "ImageDetRecordIter": _images("ImageDetRecordIter", verbose=False),
    "ImageIter": _images("ImageIter of records", shuffle=True),
    "ImageDetIter": _images("ImageDetIter"),
    "PrefetchingIter": lambda folder: mx.io.PrefetchingIter(
        [_rows(folder), _csv(folder, round_batch=False)],
        rename_data=[{"data": "a"}, {"data": "b"}],
        rename_label=[{"softmax_label": "c"}, {"softmax_label": "d"}],
    ),
    "ResizeIter": lambda folder: mx.io.ResizeIter(_rows(folder), 5, reset_internal=False),
}


class Known(NamedTuple):
    """By the number of batches before it, a state and what follows it."""

    states: list[Any]
    following: list[list[str]]


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gpuio-states-")


def open_kind(name: str) -> mx.io.DataIter:
    """Open an iterator of a kind."""
    return ITERATORS[name](Path(_folder().name))


opened = cache(open_kind)  # for all inputs of a process


@cache
def known(name: str) -> Known:
    """What is known of the iterators of a kind."""
    with open_kind(name) as iterator:
        states = []
        for _ in range(STEPS):
            states.append(json.loads(json.dumps(iterator.state_dict())))
            trace(iterator, 1)
        following = []
        for state in states:
            iterator.load_state_dict(state)
            following.append(trace(iterator, FOLLOWING))
    return Known(states, following)


def make(rng: Rng) -> Parts:
    """A kind, the number of batches handed out before, and a damaged state."""
    name = pick(rng, list(ITERATORS))
    state = pick(rng, known(name).states)
    for _ in range(pick(rng, [1, 1, 1, 2])):
        state = change_value(rng, state)
    return name.encode(), bytes([int(rng.integers(STEPS))]), json.dumps(state).encode()


def check(parts: Parts, folder: Path) -> None:
    """Load a damaged state while an iterator is in the middle of its epochs."""
    try:
        name, step, state = parts[0].decode(), parts[1][0] % STEPS, json.loads(parts[2])
    except (ValueError, IndexError):
        return
    if name not in ITERATORS:
        return
    iterator, (states, following) = opened(name), known(name)
    iterator.load_state_dict(states[step])
    before = trace(iterator, 1)
    text = json.dumps(state)
    try:
        iterator.load_state_dict(state)
    except StateError as error:
        found = before + trace(iterator, FOLLOWING - 1)
        assert found == following[step], "a refused state has changed the iterator"
        raise Refused from error
    assert json.dumps(state) == text, "a state was changed by loading it"
    again = iterator.state_dict()
    found = trace(iterator, FOLLOWING)
    if state in states:
        assert found == following[states.index(state)]
    iterator.load_state_dict(again)
    assert trace(iterator, FOLLOWING) == found, "a loaded state is not what is saved again"


TARGETS = [Target("states.loaded", make, check, cost=4)]
