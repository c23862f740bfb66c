"""Damaged labels of objects' boxes, and of classes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import gpuio as mx
from gpuio.recordio import IRHeader, pack
from tests.fuzz.mutators import INTERESTING, Rng, pick
from tests.fuzz.target import Parts, Target, accepting, refusing
from tests.fuzz.targets.records import record_file
from tests.io.records import jpeg

# Records with damaged labels; each is between good ones.
DAMAGED = 4

GOOD = [2, 5, 1, 0.1, 0.2, 0.6, 0.7, 3, 0.3, 0.1, 0.9, 0.5]
NUMBERS = [
    0, -1, 1, 2, 2.5, 3, 4, 5, 6, 7, 100, 0.5, -0.5, 1.0001, 1e6, 1e30, -1e30, 3e38, np.inf,
    -np.inf, np.nan, 2**24, 2**31, 2**32, 2**63, 1e-45,
]  # fmt: skip

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ImageDetRecordIter": (mx.io.ImageDetRecordIter, {"verbose": False}),
    "ImageDetRecordIter, cropped": (
        mx.io.ImageDetRecordIter,
        {"verbose": False, "rand_crop_prob": 1, "min_crop_scales": 0.3, "rand_pad_prob": 0.5,
         "max_pad_scale": 2, "rand_mirror_prob": 0.5},
    ),
    "ImageDetRecordIter, dali": (mx.io.ImageDetRecordIter, {"verbose": False, "executor": "dali"}),
    "ImageDetIter": (mx.image.ImageDetIter, {}),
    "ImageDetIter, cropped": (
        mx.image.ImageDetIter, {"rand_crop": 0.7, "rand_pad": 0.7, "rand_mirror": True}
    ),
    "ImageRecordIter": (mx.io.ImageRecordIter, {"verbose": False, "label_width": 12}),
}  # fmt: skip


def damaged_label(rng: Rng) -> bytes:
    """A label as float32."""
    label = [*GOOD[:2], *GOOD[2:] * int(rng.integers(3)), *GOOD[2:7] * int(rng.integers(2))]
    for _ in range(pick(rng, [1, 1, 2, 3, 5])):
        kind = int(rng.integers(6))
        at = int(rng.integers(min(len(label), pick(rng, [2, 99])))) if label else 0
        if kind == 0 and label:
            del label[at]
        elif kind == 1:
            label.insert(at, pick(rng, NUMBERS))
        elif kind == 2:
            label = label[:at] + label[at:] * pick(rng, [1, 2, 60])
        elif label:
            label[at] = pick(rng, NUMBERS) if rng.integers(4) else float(pick(rng, INTERESTING))
    with np.errstate(over="ignore"):
        return np.array(label, np.float32).tobytes()


def make(rng: Rng) -> Parts:
    """The number of a kind of iterator, and damaged labels."""
    kind = bytes([int(rng.integers(len(KINDS)))])
    return (kind, *(damaged_label(rng) for _ in range(DAMAGED)))


def _labels(which: int, damaged: tuple[bytes, ...], folder: Path) -> dict[int, np.ndarray]:
    payloads = []
    for number, label in enumerate(damaged):
        numbers = np.frombuffer(label[: len(label) // 4 * 4], "<f4")
        payloads += [
            pack(IRHeader(0, GOOD, 0, 0), jpeg(number)),
            pack(IRHeader(0, numbers, 0, 0), jpeg(number)),
        ]
    content, index = record_file(payloads)
    (folder / "x.rec").write_bytes(content)
    (folder / "x.idx").write_bytes(index)
    opened, options = list(KINDS.values())[which]
    found = {}
    with opened(
        path_imgrec=folder / "x.rec", path_imgidx=folder / "x.idx", data_shape=(3, 20, 24),
        batch_size=3, on_error="skip", last_batch_handle="pad", preprocess_threads=2, **options,
    ) as iterator:  # fmt: skip
        for batch in iterator:
            labels = batch.label[0].asnumpy()
            for row, key in enumerate(batch.index[: 3 - batch.pad].tolist()):
                found[key] = labels[row].copy()
    return found


@cache
def _expected(which: int, count: int, folder: Path) -> dict[int, np.ndarray]:
    folder.mkdir(exist_ok=True)
    with accepting():
        return _labels(which, (np.array(GOOD, np.float32).tobytes(),) * count, folder)


def check(parts: Parts, folder: Path) -> None:
    """Load records with damaged labels between good ones, whose labels must remain what they are
    but for the padding.
    """
    which = (parts[0][0] if parts[0] else 0) % len(KINDS)
    count = len(parts) - 1
    expected = _expected(which, count, folder.parent / f"labels {which} {count}")
    with refusing():
        found = _labels(which, parts[1:], folder)
    for key in range(0, 2 * count, 2):
        assert key in found, f"the good record {key} is missing"
        np.testing.assert_array_equal(_unpadded(found[key]), _unpadded(expected[key]))


def _unpadded(label: np.ndarray) -> np.ndarray:
    """The numbers of a label before its padding of -1; boxes in rows are one after another."""
    flat = np.ravel(label)
    return flat[: len(flat) - int(np.argmax(flat[::-1] != -1))]


TARGETS = [Target("labels.boxes", make, check, DAMAGED, cost=DAMAGED * 1.5)]
