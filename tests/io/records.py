"""What the tests share: JPEGs, record files, and an iterator over the golden images."""

import io
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import gpuio as mx
from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack

GOLDEN = Path(__file__).parents[1] / "golden" / "data"
TRAIN = dict(
    random_resized_crop=True,
    min_random_area=0.3,
    max_random_area=1.0,
    min_aspect_ratio=3 / 4,
    max_aspect_ratio=4 / 3,
    rand_mirror=True,
    shuffle=True,
    seed=5,
)
# The three ways to run an iterator, with the arguments that choose them: the host's threads, DALI's
# CPU operators, and the GPU.
RUNS: dict[str, dict[str, Any]] = {
    "host": {"executor": "host"},
    "dali": {"executor": "dali"},
    "gpu": {"ctx": "gpu:0"},
}
EXECUTORS = ["host", "dali", pytest.param("gpu", marks=pytest.mark.gpu)]


def open_iter(**changes: Any) -> mx.io.ImageRecordIter:
    """An iterator over the 12 golden images, 5 at a time."""
    values = dict(
        path_imgrec=GOLDEN / "img.rec",
        path_imgidx=GOLDEN / "img.idx",
        data_shape=(3, 24, 28),
        batch_size=5,
        preprocess_threads=2,
    )
    return mx.io.ImageRecordIter(**{**values, **changes})


def write_records(
    path: Path, payloads: list[bytes], labels: list[Any] | None = None
) -> dict[str, Path]:
    """A record file and its index; keys are 0, 10, 20, … so that they cannot be taken for
    positions."""
    files = {"path_imgrec": path.with_suffix(".rec"), "path_imgidx": path.with_suffix(".idx")}
    with MXIndexedRecordIO(files["path_imgidx"], files["path_imgrec"], "w") as writer:
        for number, payload in enumerate(payloads):
            label = float(number) if labels is None else labels[number]
            writer.write_idx(number * 10, pack(IRHeader(0, label, number * 10, 0), payload))
    return files


@cache
def jpeg(seed: int, width: int = 60, height: int = 50, **options: Any) -> bytes:
    """A smooth random image as a JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    image.convert(options.pop("mode", "RGB")).save(file, "JPEG", quality=92, **options)
    return file.getvalue()


def samples(iterator: mx.io.ImageRecordIter, epochs: int = 1) -> dict[tuple[int, int], np.ndarray]:
    """Pixels by (epoch, key), without the rows that only fill a batch; every occurrence must be the
    same."""
    found: dict[tuple[int, int], np.ndarray] = {}
    for epoch in range(epochs):
        for batch in iterator:
            count = iterator.batch_size - batch.pad
            for key, pixels in zip(
                batch.index[:count].tolist(), batch.data[0].asnumpy(), strict=False
            ):
                assert (epoch, key) not in found
                found[epoch, key] = pixels
        iterator.reset()
    return found


def assert_same_samples(found: dict[Any, np.ndarray], expected: dict[Any, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for key, pixels in expected.items():
        np.testing.assert_array_equal(found[key], pixels)
