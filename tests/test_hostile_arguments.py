"""Arguments that cannot be are errors of gpuio's, or Python's own, and never another library's.

Every argument of a function or an iterator gets each hostile value in turn, the others being valid.
"""

import inspect
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import Error
from gpuio.recordio import IRHeader, pack
from tests.io.records import GOLDEN

HUGE = 2**62
FEW: list[Any] = [math.inf, math.nan, 2.5, "8", True, 10**30, -(10**30), HUGE, -1, (2**40, 2**40)]
FEW += [1e308, 10**400, "\ud800", "9" * 5000]
HOSTILE = [*FEW, -math.inf, "", 0, None, (), (10**30, 2), (-1, 3), [1e400], object(), {}]

# Wrong types, and rows or records that are not there, are Python's own errors.
ACCEPTED = (Error, TypeError, IndexError, StopIteration)

IMAGE = mx.nd.array(np.arange(90).reshape(6, 5, 3), dtype="uint8")
ARRAY = mx.nd.ones((2, 3))

ITERATORS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ImageRecordIter": (
        mx.io.ImageRecordIter,
        {"path_imgrec": GOLDEN / "img.rec", "path_imgidx": GOLDEN / "img.idx",
         "data_shape": (3, 8, 8), "batch_size": 2},
    ),
    "ImageDetRecordIter": (
        mx.io.ImageDetRecordIter,
        {"path_imgrec": GOLDEN / "det.rec", "path_imgidx": GOLDEN / "det.idx",
         "data_shape": (3, 8, 8), "batch_size": 2},
    ),
    "CSVIter": (
        mx.io.CSVIter, {"data_csv": GOLDEN / "d.csv", "data_shape": (6,), "batch_size": 2}
    ),
    "MNISTIter": (
        mx.io.MNISTIter,
        {"image": GOLDEN / "mnist-images", "label": GOLDEN / "mnist-labels", "batch_size": 2},
    ),
    "NDArrayIter": (
        mx.io.NDArrayIter, {"data": np.ones((6, 2)), "label": np.zeros(6), "batch_size": 2}
    ),
    "BucketSentenceIter": (
        mx.rnn.BucketSentenceIter, {"sentences": [[1, 2, 3]] * 4, "batch_size": 2}
    ),
}  # fmt: skip

# Arguments by name; those that are not named keep their defaults.
FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "zeros": (mx.nd.zeros, {"shape": 2}),
    "ones": (mx.nd.ones, {"shape": 2}),
    "empty": (mx.nd.empty, {"shape": 2}),
    "arange": (mx.nd.arange, {"start": 0, "stop": 3, "step": 1, "repeat": 1}),
    "linspace": (mx.nd.linspace, {"start": 0, "stop": 1, "num": 3}),
    "eye": (mx.nd.eye, {"N": 2, "M": 2, "k": 0}),
    "reshape": (ARRAY.reshape, {"shape": (3, 2)}),
    "sparse.zeros": (lambda shape: mx.nd.sparse.zeros("csr", shape), {"shape": (2, 3)}),
    "tile": (lambda reps: mx.nd.tile(ARRAY, reps), {"reps": (2,)}),
    "split": (lambda n, axis: mx.nd.split(ARRAY, n, axis=axis), {"n": 1, "axis": 1}),
    "sort": (lambda axis: mx.nd.sort(ARRAY, axis=axis), {"axis": 1}),
    "flip": (lambda axis: mx.nd.flip(ARRAY, axis=axis), {"axis": 1}),
    "expand_dims": (lambda axis: mx.nd.expand_dims(ARRAY, axis=axis), {"axis": 1}),
    "uniform": (mx.nd.random.uniform, {"low": 0, "high": 1, "shape": 2}),
    "randint": (mx.nd.random.randint, {"low": 0, "high": 3, "shape": 2}),
    "multinomial": (mx.nd.random.multinomial, {"data": mx.nd.array([0.5, 0.5]), "shape": 2}),
    "imresize": (lambda w, h: mx.image.imresize(IMAGE, w, h), {"w": 3, "h": 3}),
    "resize_short": (lambda size: mx.image.resize_short(IMAGE, size), {"size": 3}),
    "copyMakeBorder": (
        lambda top, right, value, values: mx.image.copyMakeBorder(
            IMAGE, top, 1, 1, right, 0, value, values
        ),
        {"top": 1, "right": 1, "value": 1, "values": ()},
    ),
    "CreateAugmenter": (mx.image.CreateAugmenter, {"data_shape": (3, 4, 4)}),
    "CreateDetAugmenter": (mx.image.CreateDetAugmenter, {"data_shape": (3, 4, 4)}),
    "random_size_crop": (
        lambda area, ratio: mx.image.random_size_crop(IMAGE, (3, 3), area, ratio),
        {"area": (0.5, 1), "ratio": (0.5, 2)},
    ),
    "center_crop": (
        lambda w, h: mx.image.center_crop(IMAGE, (w, h)), {"w": 3, "h": 3}
    ),
    "imrotate": (
        lambda angle: mx.image.imrotate(mx.nd.ones((3, 4, 4)), angle), {"angle": 5}
    ),
    "RandomSampler": (lambda n: list(mx.gluon.data.RandomSampler(n)), {"n": 3}),
    "split_data": (
        lambda n, axis: mx.gluon.utils.split_data(ARRAY, n, axis), {"n": 2, "axis": 0}
    ),
    "pack": (
        lambda flag, label, id, id2: pack(IRHeader(flag, label, id, id2), b"x"),
        {"flag": 0, "label": 1.0, "id": 0, "id2": 0},
    ),
}  # fmt: skip


def assert_own_errors(
    call: Callable[..., Any], valid: dict[str, Any], names: list[str], values: list[Any]
) -> None:
    call(**valid)
    for name in names:
        for value in values:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of NumPy, about what it casts
                    call(**{**valid, name: value})
            except ACCEPTED:
                continue
            except Exception as error:
                pytest.fail(f"{name}={value!r}: {type(error).__name__}: {error}")


def is_numeric(parameter: inspect.Parameter) -> bool:
    return any(word in str(parameter.annotation) for word in ("int", "float", "bool"))


@pytest.mark.parametrize("name", ITERATORS)
def test_iterators(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, valid = ITERATORS[name]
    monkeypatch.chdir(tmp_path)

    def first(**options: Any) -> None:
        with kind(**options) as iterator:
            iterator.next()

    parameters = inspect.signature(kind).parameters.values()
    numeric = [each.name for each in parameters if is_numeric(each)]
    assert "batch_size" in numeric
    numeric = [each for each in numeric if each != "preprocess_threads"]
    assert_own_errors(first, valid, numeric, FEW)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    call, valid = FUNCTIONS[name]
    assert_own_errors(call, valid, list(valid), HOSTILE)


@pytest.mark.parametrize("argument", ["mean_img", "quarantine", "path_imglist"])
def test_a_path_that_is_none_is_named(argument: str) -> None:
    kind, valid = ITERATORS["ImageRecordIter"]
    with pytest.raises(TypeError, match=rf"{argument} must be str or os\.PathLike\[str\], not int"):
        kind(**valid, **{argument: 5})
