"""DALI's own pipeline: it does the same task as ImageRecordIter."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import UnsupportedError
from gpuio.tools.commands.bench.dali_reader import SUPPORTED_OPTIONS, reader_pipeline
from gpuio.tools.tasks import MEAN, STD


def pipeline(rec: str, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "device_id": None,
        "data_shape": (3, 48, 41),
        "batch_size": 6,
        "threads": 2,
        "mean": MEAN,
        "std": STD,
    }
    return reader_pipeline(rec, rec.replace(".rec", ".idx"), **{**arguments, **changes})


@pytest.mark.parametrize("mirror", [False, True])
def test_pixels_are_close_to_those_of_image_record_iter(mirror: bool, rec: str) -> None:
    images, labels = pipeline(rec, resize=56, mirror=mirror, antialias=False).run()
    names = dict(zip("rgb", zip(MEAN, STD, strict=True), strict=True))
    normalize = {
        f"{kind}_{name}": value
        for name, values in names.items()
        for kind, value in zip(("mean", "std"), values, strict=True)
    }
    with mx.io.ImageRecordIter(
        path_imgrec=rec, path_imgidx=rec.replace(".rec", ".idx"), data_shape=(3, 48, 41),
        batch_size=6, resize=56, mirror=mirror, **normalize,
    ) as iterator:  # fmt: skip
        batch = iterator.next()
    np.testing.assert_array_equal(np.ravel(labels.as_array()), batch.label[0].asnumpy())
    ours, theirs = batch.data[0].asnumpy(), images.as_array()
    assert theirs.dtype == np.float32 and theirs.shape == ours.shape
    # In standard deviations of about 58 pixel values: the resamplings round differently.
    assert np.abs(ours - theirs).mean() < 0.05


@pytest.mark.parametrize(
    "changes",
    [
        {"rand_crop": True, "rand_mirror": True, "shuffle": True, "resize": 60},
        {"random_resized_crop": True, "area": (0.3, 1.0), "ratio": (0.75, 1.33)},
        {"data_shape": (1, 48, 41), "mean": [100], "std": [50]},
    ],
)
def test_options(changes: dict[str, Any], rec: str) -> None:
    images, labels = pipeline(rec, **changes).run()
    shape = (6, *changes.get("data_shape", (3, 48, 41)))
    assert images.as_array().shape == shape and np.isfinite(images.as_array()).all()
    assert len(labels) == 6


def test_pad_is_a_black_border_before_a_random_crop(tmp_path: Path) -> None:
    """White images of the output's size: what is black was the border."""
    rec, idx = str(tmp_path / "x.rec"), str(tmp_path / "x.idx")
    white = np.full((48, 41, 3), 255, np.uint8)
    with mx.recordio.MXIndexedRecordIO(idx, rec, "w") as writer:
        for key in range(8):
            header = mx.recordio.IRHeader(0, 0, key, 0)
            writer.write_idx(key, mx.recordio.pack_img(header, white, img_fmt=".png"))
    pipe = pipeline(rec, pad=3, batch_size=8, mean=(0, 0, 0), std=(1, 1, 1))
    shifts = set()
    for image in np.concatenate([pipe.run()[0].as_array() for _ in range(40)])[:, 0]:
        for inside in (image.max(1) > 0, image.max(0) > 0):  # rows, columns
            first, length = int(inside.argmax()), int(inside.sum())
            assert inside[first : first + length].all() and length >= len(inside) - 3
            shifts.add(first if first else length - len(inside))
        assert set(np.unique(image)) <= {0, 255}
    assert shifts == set(range(-3, 4))


def test_four_channels_are_unsupported(rec: str) -> None:
    with pytest.raises(UnsupportedError, match="1 or 3 channels, not 4"):
        pipeline(rec, data_shape=(4, 48, 41))


def test_supported_options_are_those_of_image_record_iter() -> None:
    known = inspect.signature(mx.io.ImageRecordIter.__init__).parameters
    assert known.keys() >= SUPPORTED_OPTIONS - {"device_id"}
    for name in ("layout", "scale", "dtype"):
        assert name in known and name not in SUPPORTED_OPTIONS


def test_what_is_permuted(rec: str) -> None:
    """`shuffle` permutes records, `shuffle_after_epoch` files, of which there is one."""
    count = len(mx.recordio.MXIndexedRecordIO(rec.replace(".rec", ".idx"), rec, "r").keys)

    def epochs(**options: bool) -> list[list[float]]:
        pipe = pipeline(rec, batch_size=count, **options)
        return [np.ravel(pipe.run()[1].as_array()).tolist() for _ in range(3)]

    in_order = epochs()
    assert epochs(shuffle_after_epoch=True) == in_order and in_order[0] == in_order[1]
    for labels in epochs(shuffle=True):
        assert labels != in_order[0] and sorted(labels) == sorted(in_order[0])
