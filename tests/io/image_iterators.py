"""All iterators over images, each opened over the same images, for tests that hold for all."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from tests.io.records import RUNS, jpeg, write_records

SHAPE = (3, 24, 28)


def write_images(folder: Path, count: int, broken: dict[int, bytes] | None = None) -> None:
    """Write the images as record files, ``x`` with numbers and ``d`` with boxes as labels, and as
    image files with the list ``x.lst``; keys are 0, 10, 20, …

    Parameters
    ----------
    broken : the contents of some of the images, by number
    """
    if (folder / "x.lst").exists():
        return
    images = [jpeg(number, 60 + 3 * (number % 4), 50 + number % 3) for number in range(count)]
    for number, content in (broken or {}).items():
        images[number] = content
    write_records(folder / "x", images)
    boxes = [[2, 5, *[number, 0.1, 0.1, 0.6, 0.6] * (1 + number % 3)] for number in range(count)]
    write_records(folder / "d", images, boxes)
    lines = []
    for number, image in enumerate(images):
        (folder / f"{number}.jpg").write_bytes(image)
        lines.append(f"{10 * number}\t{number}\t{number}.jpg\n")
    (folder / "x.lst").write_text("".join(lines))


class Dim(mx.image.Augmenter):
    """An augmenter as users write them: with it, samples are made one by one."""

    def __call__(self, src: Any) -> Any:
        return src * 0.5


class DetDim(mx.image.DetAugmenter):
    """The same for images with boxes."""

    def __call__(self, src: Any, label: Any) -> Any:
        return src * 0.5, label


class Decodes(mx.image.ImageIter):
    """An iterator with a method of its own, which threads call."""

    def imdecode(self, s: Any) -> Any:
        return super().imdecode(s)


OWN = [mx.image.RandomCropAug((28, 24)), mx.image.HorizontalFlipAug(0.5), Dim()]
DET_OWN = [*mx.image.CreateDetAugmenter(SHAPE, rand_crop=0.7, rand_mirror=True), DetDim()]


def _record_iter(make: Any, name: str, folder: Path, **options: Any) -> mx.io.DataIter:
    files = {"path_imgrec": folder / f"{name}.rec", "path_imgidx": folder / f"{name}.idx"}
    return make(**{**files, "data_shape": SHAPE, "batch_size": 4, **options})


def _list_iter(make: Any, folder: Path, **options: Any) -> mx.io.DataIter:
    files = {"path_imglist": folder / "x.lst", "path_root": folder}
    return make(**{**files, "data_shape": SHAPE, "batch_size": 4, **options})


@dataclass(frozen=True)
class Kind:
    """One kind of iterator.

    Attributes
    ----------
    open : opens one over the images in a folder, with further options
    random : options with which samples are augmented at random
    planned : whether both executors run it
    boxes : whether labels are boxes
    """

    open: Callable[..., Any]
    random: dict[str, Any] = field(default_factory=dict)
    planned: bool = True
    boxes: bool = False


CROPS: dict[str, Any] = {
    "random_resized_crop": True, "min_random_area": 0.3, "min_aspect_ratio": 3 / 4,
    "max_aspect_ratio": 4 / 3, "rand_mirror": True,
}  # fmt: skip
COLORS: dict[str, Any] = {
    "rand_mirror": True, "brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.2,
    "pca_noise": 0.1, "rand_gray": 0.2, "mean": True, "std": True, "inter_method": 1,
}  # fmt: skip
AUGMENT = {**COLORS, "rand_crop": True, "rand_resize": True}
DET_AUGMENT = {**COLORS, "rand_crop": 0.7, "rand_pad": 0.7}
DET_RECORD: dict[str, Any] = {
    "rand_crop_prob": 0.7, "min_crop_scales": 0.3, "rand_pad_prob": 0.7, "max_pad_scale": 2,
    "rand_mirror_prob": 0.5, "max_random_hue": 20, "random_hue_prob": 0.5,
    "max_random_contrast": 0.3, "random_contrast_prob": 0.5,
}  # fmt: skip

KINDS: dict[str, Kind] = {
    "ImageRecordIter": Kind(partial(_record_iter, mx.io.ImageRecordIter, "x"), CROPS),
    "ImageRecordUInt8Iter": Kind(partial(_record_iter, mx.io.ImageRecordUInt8Iter, "x"), CROPS),
    "ImageRecordInt8Iter": Kind(partial(_record_iter, mx.io.ImageRecordInt8Iter, "x"), CROPS),
    "ImageDetRecordIter": Kind(
        partial(_record_iter, mx.io.ImageDetRecordIter, "d"), DET_RECORD, boxes=True
    ),
    "ImageIter of records": Kind(partial(_record_iter, mx.image.ImageIter, "x"), AUGMENT),
    "ImageIter of a list": Kind(partial(_list_iter, mx.image.ImageIter), AUGMENT),
    "ImageIter one by one": Kind(
        partial(_record_iter, mx.image.ImageIter, "x", aug_list=OWN), planned=False
    ),
    "ImageIter of a list, one by one": Kind(partial(_list_iter, Decodes), AUGMENT, planned=False),
    "ImageDetIter": Kind(
        partial(_record_iter, mx.image.ImageDetIter, "d"), DET_AUGMENT, boxes=True
    ),
    "ImageDetIter one by one": Kind(
        partial(_record_iter, mx.image.ImageDetIter, "d", aug_list=DET_OWN),
        planned=False,
        boxes=True,
    ),
}  # fmt: skip


def runs(kinds: dict[str, Kind] = KINDS) -> list[Any]:
    """Parameters (kind, run), for each way in RUNS to run each kind."""
    found = []
    for name, kind in kinds.items():
        for run in RUNS:
            if run == "host":
                found.append((name, run))
            elif kind.planned or run == "gpu":  # what is not planned is copied to the GPU
                marks = [pytest.mark.gpu] if run == "gpu" else []
                found.append(pytest.param(name, run, marks=marks))
    return found


def open_kind(name: str, run: str, folder: Path, **options: Any) -> Any:
    """Open an iterator of a kind, to be run in one of RUNS."""
    way = {} if run == "host" and not KINDS[name].planned else RUNS[run]
    return KINDS[name].open(folder, **{**way, **options})


def open_random(name: str, run: str, folder: Path, **options: Any) -> Any:
    """The same, shuffled and augmented at random, in epochs that begin with their first image."""
    usual = {"shuffle": True, "seed": 5, "last_batch_handle": "pad", "preprocess_threads": 2}
    return open_kind(name, run, folder, **{**usual, **KINDS[name].random, **options})


Samples = dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]


def samples_of(iterator: Any, epochs: int = 1) -> Samples:
    """Pixels and label of each sample, by epoch and key, without the rows that only fill a batch;
    no sample may occur twice.
    """
    found: Samples = {}
    for epoch in range(epochs):
        for batch in iterator:
            count = iterator.batch_size - batch.pad
            rows = batch.data[0].asnumpy(), batch.label[0].asnumpy()
            for row, key in enumerate(batch.index[:count].tolist()):
                assert (epoch, key) not in found
                found[epoch, key] = rows[0][row].copy(), rows[1][row].copy()
        iterator.reset()
    return found


def assert_equal_samples(found: Samples, expected: Samples) -> None:
    """Fail unless both have the same samples, bit for bit."""
    assert found.keys() == expected.keys()
    for key, (pixels, label) in expected.items():
        np.testing.assert_array_equal(found[key][0], pixels)
        np.testing.assert_array_equal(found[key][1], label)
