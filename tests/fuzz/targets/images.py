"""Damaged images: decoded alone, and in batches of ImageRecordIter and ImageIter between good
ones, whose pixels must remain what they are.
"""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gpuio as mx
from gpuio import native
from gpuio.decoding.header import read_header
from gpuio.decoding.structure import Structure, check_structure
from gpuio.errors import Error
from gpuio.recordio import IRHeader, pack, unpack_img
from tests.fuzz import images
from tests.fuzz.formats import bombs, rare_images
from tests.fuzz.mutators import BYTE_MUTATORS, Rng, mutate, pick
from tests.fuzz.target import Parts, Target, accepting, refusing
from tests.io.image_iterators import SHAPE
from tests.io.records import jpeg, write_records

# Damaged images of a batch; they are at the odd places, and good ones between them.
DAMAGED = 16

# Pixel values of an image that is decoded twice: of a large one, both would take too much memory.
SMALL = 1 << 24

# Mean difference of pixel values between the two executors from which they disagree: that of other
# images, or of images that are turned otherwise.
DIFFERENT = 10


def damaged_image(rng: Rng) -> bytes:
    """A damaged image of any format, mostly of the usual ones; at times one that is not damaged."""
    if rng.integers(3):
        return images.mutated(int(rng.integers(2**31)), 0)[1]
    data = pick(rng, list(rare_images().values()))
    if not rng.integers(12):
        return data
    return mutate(rng, data, [*images.MUTATIONS, *BYTE_MUTATORS])


def bomb(rng: Rng) -> Parts:
    """An image that costs more than it looks, at times changed a little."""
    data = pick(rng, list(bombs().values()))
    return (data if rng.integers(3) else mutate(rng, data),)


def check_alone(parts: Parts, folder: Path) -> None:
    """Decode an image in all ways in which one may be decoded alone."""
    (content,) = parts
    data = np.frombuffer(content, np.uint8)
    check_structure(data)
    for flag, channels in ((1, 3), (0, 1)):
        try:
            found = mx.image.imdecode(content, flag)
        except Error:
            continue
        header = read_header(data).without_orientation()
        assert found.shape == (header.height, header.width, channels)
        if found.size < SMALL:
            again = mx.image.imdecode(content, flag, to_rgb=False).asnumpy()[..., ::-1]
            np.testing.assert_array_equal(found.asnumpy(), again)
    with refusing():
        unpack_img(pack(IRHeader(0, 0.0, 0, 0), content))


class Setting(NamedTuple):
    """How an iterator is opened, and whether its pixels are much the same on both executors."""

    kind: str
    options: dict[str, Any]
    comparable: bool = True


SETTINGS = [
    Setting("ImageRecordIter", {}),
    Setting("ImageRecordIter", {"resize": 40, "rand_crop": True, "rand_mirror": True}),
    Setting("ImageRecordIter", {"random_resized_crop": True, "min_random_area": 0.2,
                                "max_aspect_ratio": 1.5, "min_aspect_ratio": 0.7}),
    Setting("ImageRecordIter", {"data_shape": (1, 24, 28)}),
    Setting("ImageRecordIter", {"max_rotate_angle": 90, "max_shear_ratio": 0.2}),
    Setting("ImageRecordIter", {"min_random_scale": 0.5, "max_random_scale": 2, "pad": 3,
                                "brightness": 0.3, "random_h": 20}, False),
    Setting("ImageRecordIter", {"data_shape": (4, 24, 28)}),
    Setting("ImageIter", {"resize": 30, "rand_crop": True, "rand_mirror": True}),
    Setting("ImageIter", {"rand_resize": True, "rand_crop": True, "brightness": 0.2}, False),
]  # fmt: skip
ITERATORS: dict[str, Any] = {
    "ImageRecordIter": mx.io.ImageRecordIter,
    "ImageIter": mx.image.ImageIter,
}

Samples = dict[int, tuple[np.ndarray, float]]


def good(number: int) -> bytes:
    """A good image at an even place; PNGs with alpha among them, for 4 channels."""
    kind = "PNG RGBA 60 x 50" if number % 4 == 0 else "PNG RGBA 17 x 33"
    return images.good_images()[kind] if number % 8 >= 4 else jpeg(number)


def damaged_batch(rng: Rng) -> Parts:
    """A number of a setting, and damaged images."""
    setting = bytes([int(rng.integers(len(SETTINGS)))])
    return (setting, *(damaged_image(rng) for _ in range(DAMAGED)))


def bomb_in_batch(rng: Rng) -> Parts:
    """A number of a setting, which is not of 4 channels, and one image that costs more than it
    looks.
    """
    usual = [n for n, each in enumerate(SETTINGS) if each.options.get("data_shape", SHAPE)[0] < 4]
    return bytes([pick(rng, usual)]), *bomb(rng)


def _samples(setting: Setting, executor: str, damaged: Parts, folder: Path) -> Samples:
    """The samples that an iterator hands out, by their keys."""
    payloads = []
    for number, content in enumerate(damaged):
        payloads += [good(2 * number), content]
    path = folder / f"{executor}"
    files = write_records(path, payloads)
    options = {
        "data_shape": SHAPE, "batch_size": 8, "last_batch_handle": "pad", "on_error": "skip",
        "executor": executor, "seed": 3, **setting.options,
        "preprocess_threads": 1,  # the limit on memory is that of one image at a time
    }  # fmt: skip
    if setting.kind == "ImageRecordIter":
        options["verbose"] = False
    found: Samples = {}
    with ITERATORS[setting.kind](**files, **options) as iterator:
        for batch in iterator:
            count = iterator.batch_size - batch.pad
            pixels, labels = batch.data[0].asnumpy(), batch.label[0].asnumpy()
            for row, key in enumerate(batch.index[:count].tolist()):
                assert key not in found, f"record {key} came twice"
                found[key] = pixels[row].copy(), float(labels[row])
    return found


@cache
def _expected(which: int, executor: str, count: int, folder: Path) -> Samples:
    """The samples of good images only."""
    folder.mkdir(exist_ok=True)
    with accepting():
        return _samples(SETTINGS[which], executor, tuple(good(2) for _ in range(count)), folder)


def check_batches(executor: str, parts: Parts, folder: Path) -> Samples:
    """Load damaged images between good ones; the samples."""
    which = (parts[0][0] if parts[0] else 0) % len(SETTINGS)
    name = f"{which} {executor} {len(parts)}"
    expected = _expected(which, executor, len(parts) - 1, folder.parent / name)
    found = _samples(SETTINGS[which], executor, parts[1:], folder)
    for key, (pixels, label) in expected.items():
        if key % 20 == 0:
            assert key in found, f"the good record {key} is missing"
            np.testing.assert_array_equal(found[key][0], pixels, f"pixels of record {key}")
            assert found[key][1] == label, f"label of record {key}"
    for key, (pixels, label) in found.items():
        assert label == key // 10
        assert np.isfinite(pixels).all()
    return found


def check_on_host(parts: Parts, folder: Path) -> None:
    """Batches of the host's executor, which are the same with and without the native module."""
    found = check_batches("host", parts, folder)
    if native.state()[0]:
        which = (parts[0][0] if parts[0] else 0) % len(SETTINGS)
        os.environ[native.VARIABLE] = "0"
        try:
            expected = _samples(SETTINGS[which], "host", parts[1:], folder)
        finally:
            del os.environ[native.VARIABLE]
        assert found.keys() == expected.keys()
        for key, (pixels, _) in expected.items():
            np.testing.assert_array_equal(found[key][0], pixels, f"native pixels of record {key}")


def host_may_refuse(parts: Parts, key: int) -> bool:
    """Whether the host may refuse an image that DALI decodes: a truncated JPEG with a mistake in
    its header, which simplejpeg leaves to OpenCV, and OpenCV does not decode what is truncated.
    """
    data = np.frombuffer(parts[1 + key // 20], np.uint8)
    return key % 20 == 10 and check_structure(data) == Structure.UNTERMINATED


def check_both(parts: Parts, folder: Path) -> None:
    """Batches of DALI's executor, which must have the same samples as the host's, and nearly the
    same pixels.
    """
    found = check_batches("dali", parts, folder)
    expected = check_batches("host", parts, folder)
    missing = {key for key in found.keys() - expected.keys() if not host_may_refuse(parts, key)}
    assert not missing, f"only DALI decodes the records {sorted(missing)}"
    assert found.keys() >= expected.keys(), (
        f"only the host decodes the records {sorted(expected.keys() - found.keys())}"
    )
    which = (parts[0][0] if parts[0] else 0) % len(SETTINGS)
    if SETTINGS[which].comparable:
        for key, (pixels, _) in expected.items():
            difference = np.abs(found[key][0] - pixels).mean()
            assert difference < DIFFERENT, f"record {key} differs by {difference:.0f} levels"


TARGETS = [
    Target("images.alone", lambda rng: (damaged_image(rng),), check_alone, cost=0.5),
    Target("images.bomb", bomb, check_alone, cost=100),
    Target("images.host", damaged_batch, check_on_host, DAMAGED, cost=DAMAGED / 2),
    Target("images.dali", damaged_batch, check_both, DAMAGED, cost=DAMAGED),
    Target("images.host_bomb", bomb_in_batch, check_on_host, cost=200),
    Target("images.dali_bomb", bomb_in_batch, partial(check_batches, "dali"), cost=200),
]
