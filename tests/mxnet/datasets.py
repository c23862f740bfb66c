"""Synthetic stand-ins for the data that MXNet's tests download: the same names, sizes, labels."""

import io
import struct
import tarfile
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


def test_images(folder: Path) -> list[Path]:
    """Write 16 JPEG files to ``folder/test_images``."""
    rng = np.random.default_rng(0)
    paths = []
    for number, (width, height) in enumerate(IMAGE_SIZES):
        path = folder / "test_images" / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(rng, width, height))
        paths.append(path)
    return paths


def test_images_archive(path: Path) -> None:
    """Write ``test_images.tar.gz``."""
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number, (width, height) in enumerate(IMAGE_SIZES):
            content = jpeg(rng, width, height)
            member = tarfile.TarInfo(f"test_images/{number:02d}.jpg")
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
