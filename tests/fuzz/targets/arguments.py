"""Arguments of any value: they are refused, or what they ask for works."""

from __future__ import annotations

import inspect
import itertools
import json
import struct
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import gpuio as mx
from tests.fuzz.mutators import VALUES, Rng, change_value, pick
from tests.fuzz.target import Parts, Target, refusing
from tests.io.image_iterators import SHAPE, write_images

ROWS = 6

# Of these, other values than paths are not of interest, and paths might be written to.
PATHS = {"mean_img", "quarantine", "path_root"}


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Files of all kinds; only read."""
    made = tempfile.TemporaryDirectory(prefix="gpuio-arguments-")
    folder = Path(made.name)
    write_images(folder, ROWS)
    np.savetxt(folder / "x.csv", np.arange(3 * ROWS).reshape(ROWS, 3), delimiter=",")
    (folder / "x.svm").write_text("".join(f"{n} 0:{n} 2:1\n" for n in range(ROWS)))
    (folder / "images").write_bytes(struct.pack(">4I", 2051, ROWS, 2, 2) + bytes(4 * ROWS))
    (folder / "labels").write_bytes(struct.pack(">2I", 2049, ROWS) + bytes(ROWS))
    return made


def _files(**names: str) -> dict[str, str]:
    return {argument: f"{_folder().name}/{name}" for argument, name in names.items()}


def _records(name: str) -> Callable[[], dict[str, Any]]:
    return lambda: {
        **_files(path_imgrec=f"{name}.rec", path_imgidx=f"{name}.idx"),
        "data_shape": list(SHAPE),
        "batch_size": 4,
        "preprocess_threads": 1,
    }


def _pixels() -> mx.nd.NDArray:
    return mx.nd.array(np.arange(60).reshape(4, 5, 3) % 256, dtype="uint8")


def _nested(make: Any, **options: Any) -> Any:
    return make(mx.io.NDArrayIter(np.arange(12).reshape(6, 2), batch_size=2), **options)


def _of_pixels(function: Any, **options: Any) -> Any:
    return function(_pixels(), **options)


# What is called, and usual arguments, to which damaged ones are added.
CALLS: dict[str, tuple[Callable[..., Any], Any, Callable[[], dict[str, Any]]]] = {
    "ImageRecordIter": (
        mx.io.ImageRecordIter, mx.io.ImageRecordIter, lambda: {**_records("x")(), "verbose": False}
    ),
    "ImageDetRecordIter": (
        mx.io.ImageDetRecordIter, mx.io.ImageDetRecordIter,
        lambda: {**_records("d")(), "verbose": False},
    ),
    "ImageIter": (mx.image.ImageIter, mx.image.ImageIter, _records("x")),
    "ImageDetIter": (mx.image.ImageDetIter, mx.image.ImageDetIter, _records("d")),
    "CSVIter": (
        mx.io.CSVIter, mx.io.CSVIter,
        lambda: {**_files(data_csv="x.csv"), "data_shape": [3], "batch_size": 4},
    ),
    "LibSVMIter": (
        mx.io.LibSVMIter, mx.io.LibSVMIter,
        lambda: {**_files(data_libsvm="x.svm"), "data_shape": [3], "batch_size": 4},
    ),
    "MNISTIter": (
        mx.io.MNISTIter, mx.io.MNISTIter,
        lambda: {**_files(image="images", label="labels"), "batch_size": 4, "silent": True},
    ),
    "NDArrayIter": (
        mx.io.NDArrayIter, mx.io.NDArrayIter, lambda: {"data": [[1, 2], [3, 4]], "batch_size": 2}
    ),
    "BucketSentenceIter": (
        mx.rnn.BucketSentenceIter, mx.rnn.BucketSentenceIter,
        lambda: {"sentences": [[1, 2, 3]] * 4, "batch_size": 2, "buckets": [4]},
    ),
    "PrefetchingIter": (
        lambda **options: _nested(mx.io.PrefetchingIter, **options), mx.io.PrefetchingIter,
        lambda: {"prefetch_buffer": 1},
    ),
    "ResizeIter": (
        lambda **options: _nested(mx.io.ResizeIter, **options), mx.io.ResizeIter,
        lambda: {"size": 3},
    ),
    **{
        name: (
            partial(_of_pixels, getattr(mx.image, name)), getattr(mx.image, name),
            partial(dict, usual),
        )
        for name, usual in {
            "imresize": {"w": 6, "h": 7},
            "resize_short": {"size": 6},
            "fixed_crop": {"x0": 0, "y0": 0, "w": 2, "h": 2},
            "center_crop": {"size": [2, 2]},
            "random_crop": {"size": [2, 2]},
            "copyMakeBorder": {"top": 1, "bot": 1, "left": 1, "right": 1},
            "imrotate": {"rotation_degrees": 20.0},
        }.items()
        if hasattr(mx.image, name)
    },
    "CreateAugmenter": (
        mx.image.CreateAugmenter, mx.image.CreateAugmenter, lambda: {"data_shape": list(SHAPE)}
    ),
    "CreateDetAugmenter": (
        mx.image.CreateDetAugmenter, mx.image.CreateDetAugmenter,
        lambda: {"data_shape": list(SHAPE)},
    ),
    **{
        f"nd.{name}": (getattr(mx.nd, name), getattr(mx.nd, name), partial(dict, usual))
        for name, usual in {
            "zeros": {"shape": [2, 3]},
            "ones": {"shape": [2, 3]},
            "full": {"shape": [2, 3], "val": 1},
            "empty": {"shape": [2, 3]},
            "arange": {"start": 0, "stop": 3},
        }.items()
        if hasattr(mx.nd, name)
    },
}  # fmt: skip


@cache
def _names(call: str) -> list[str]:
    """The arguments that may be damaged."""
    names = [
        name
        for name, parameter in inspect.signature(CALLS[call][1]).parameters.items()
        if parameter.kind
        in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    ]
    usual = CALLS[call][2]()
    return [
        name
        for name in names
        if name not in PATHS and not isinstance(usual.get(name), str) and name not in (
            "data_iter", "iters", "src", "img", "self", "ctx", "out"
        )
    ]  # fmt: skip


def make(rng: Rng) -> Parts:
    """What is called, and one or two damaged arguments as JSON."""
    call = pick(rng, list(CALLS))
    names, usual = _names(call), CALLS[call][2]()
    damaged = {}
    for _ in range(pick(rng, [1, 1, 2])):
        name = pick(rng, names)
        value = usual.get(name, pick(rng, VALUES))
        damaged[name] = change_value(rng, value) if rng.integers(2) else pick(rng, VALUES)
    return call.encode(), json.dumps(damaged).encode()


def check(parts: Parts, folder: Path) -> None:
    """Call with damaged arguments; an iterator must then give a batch."""
    try:
        call, damaged = parts[0].decode(), json.loads(parts[1])
    except ValueError:
        return
    if call not in CALLS or not isinstance(damaged, dict):
        return
    function, _, usual = CALLS[call]
    # A wrong type is a TypeError in Python; PrefetchingIter raises KeyErrors, as MXNet does.
    with refusing(TypeError, KeyError):
        made = function(**{**usual(), **damaged})
    if isinstance(made, mx.io.DataIter):
        with refusing(StopIteration), made:
            for batch in itertools.islice(made, 2):
                for array in (*batch.data, *batch.label):
                    array.asnumpy()


TARGETS = [Target("arguments.called", make, check, cost=4)]
