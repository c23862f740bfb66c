"""Synthetic stand-ins for the data that MXNet's tests download: the same names, sizes, labels."""

import io
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from gpuio import recordio

# Sizes (width, height) of the images; MXNet's set has 16 too.
IMAGE_SIZES = [(500, 375), (375, 500), (320, 240), (333, 500)] * 4


def photograph(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A smooth image with a few sharp shapes, BGR, uint8 (height, width, 3)."""
    coarse = rng.uniform(30, 226, (6, 6, 3)).astype(np.float32)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
    for _ in range(3):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        color = [int(value) for value in rng.integers(0, 256, 3)]
        cv2.circle(image, center, max(2, min(width, height) // 6), color, -1, cv2.LINE_AA)
    return image


def jpeg(rng: np.random.Generator, width: int, height: int) -> bytes:
    """An encoded `photograph`."""
    return cv2.imencode(".jpg", photograph(rng, width, height))[1].tobytes()


def _test_images() -> Iterator[tuple[str, bytes]]:
    """16 JPEG files by their path."""
    rng = np.random.default_rng(0)
    for number, (width, height) in enumerate(IMAGE_SIZES):
        yield f"test_images/{number:02d}.jpg", jpeg(rng, width, height)


def test_images(folder: Path) -> None:
    """Write 16 JPEG files to ``folder/test_images``."""
    for name, content in _test_images():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_images_archive(path: Path) -> None:
    """Write ``test_images.tar.gz``."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in _test_images():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def idx_file(path: Path, array: np.ndarray) -> None:
    """Write a uint8 array in MNIST's format."""
    magic = 0x0800 | array.ndim
    header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def mnist(folder: Path, train: int = 60000, test: int = 10000) -> None:
    """Write MNIST's four files, not compressed."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        idx_file(folder / f"{name}-images-idx3-ubyte", images)
        idx_file(folder / f"{name}-labels-idx1-ubyte", rng.integers(0, 10, count))


def cifar10(folder: Path, count: int = 50000) -> None:
    """Write ``cifar/train.rec`` and ``test.rec`` of 32 x 32 images: each label equally often."""
    rng = np.random.default_rng(0)
    images = [jpeg(rng, 32, 32) for _ in range(100)]
    target = folder / "cifar"
    target.mkdir(parents=True, exist_ok=True)
    for name, records in (("train", count), ("test", count // 5)):
        with recordio.MXRecordIO(str(target / f"{name}.rec"), "w") as writer:
            for number in range(records):
                header = recordio.IRHeader(0, number % 10, number, 0)
                writer.write(recordio.pack(header, images[number % len(images)]))


def news20(path: Path, rows: int = 3993, columns: int = 62061) -> None:
    """Write a LibSVM file of `rows` rows with labels 1 to 20."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        for row in range(rows):
            indices = np.unique(rng.integers(0, columns, 80))
            pairs = " ".join(f"{index}:{rng.random():.4f}" for index in indices)
            file.write(f"{row % 20 + 1} {pairs}\n")


def _zeros(path: Path, count: int, header: bytes = b"") -> None:
    """A file of zeros, which takes no space on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + count)


def gluon(folder: Path) -> None:
    """Write what the tests of gluon.data would download: images, and data sets of zeros."""
    test_images(folder / "test_images")
    for name in ("mnist", "fashion-mnist"):
        for part, count in (("train", 60000), ("t10k", 10000)):
            header = struct.pack(">4I", 0x0803, count, 28, 28)
            _zeros(folder / name / f"{part}-images-idx3-ubyte", count * 28 * 28, header)
            header = struct.pack(">2I", 0x0801, count)
            _zeros(folder / name / f"{part}-labels-idx1-ubyte", count, header)
    for part in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        _zeros(folder / "cifar10" / f"{part}.bin", 10000 * 3073)
    for part, count in (("train", 50000), ("test", 10000)):
        _zeros(folder / "cifar100" / f"{part}.bin", count * 3074)
