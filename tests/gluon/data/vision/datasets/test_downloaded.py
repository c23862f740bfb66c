"""MNIST and CIFAR from files on this machine."""

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import DataFileError, DataFileNotFoundError
from gpuio.gluon.data import DataLoader
from gpuio.gluon.data.vision import CIFAR10, CIFAR100, MNIST, FashionMNIST, transforms

RNG = np.random.default_rng(5)


def write_mnist(folder: Path, prefix: str, count: int, compressed: bool = False) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    images = RNG.integers(0, 256, (count, 28, 28), np.uint8)
    contents = {
        "images-idx3": struct.pack(">4I", 2051, count, 28, 28) + images.tobytes(),
        "labels-idx1": struct.pack(">2I", 2049, count) + bytes(range(count)),
    }
    for name, content in contents.items():
        path = folder / f"{prefix}-{name}-ubyte"
        if compressed:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
        else:
            path.write_bytes(content)
    return images


def write_cifar(path: Path, count: int, labels: int) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = RNG.integers(0, 256, (count, labels + 3072), np.uint8)
    path.write_bytes(rows.tobytes())
    return rows


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
@pytest.mark.parametrize("compressed", [False, True])
def test_mnist(tmp_path: Path, kind: type[MNIST], compressed: bool) -> None:
    train = write_mnist(tmp_path, "train", 5, compressed)
    test = write_mnist(tmp_path, "t10k", 3, compressed)
    for dataset, images in ((kind(tmp_path), train), (kind(str(tmp_path), train=False), test)):
        assert len(dataset) == len(images)
        image, label = dataset[2]
        assert isinstance(image, mx.nd.NDArray) and image.dtype == np.uint8
        np.testing.assert_array_equal(image, images[2][..., None])
        assert label == 2 and label.dtype == np.int32


def test_cifar10(tmp_path: Path) -> None:
    rows = [write_cifar(tmp_path / f"data_batch_{number}.bin", 2, 1) for number in range(1, 6)]
    test = write_cifar(tmp_path / "cifar-10-batches-bin" / "test_batch.bin", 3, 1)
    dataset = CIFAR10(tmp_path)
    assert len(dataset) == 10
    image, label = dataset[3]
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image.transpose(2, 0, 1).reshape(-1), rows[1][1, 1:])
    assert label == rows[1][1, 0] and label.dtype == np.int32
    assert CIFAR10(tmp_path, train=False)[2][1] == test[2, 0]


def test_cifar100(tmp_path: Path) -> None:
    rows = write_cifar(tmp_path / "train.bin", 4, 2)
    write_cifar(tmp_path / "test.bin", 2, 2)
    coarse, fine = CIFAR100(tmp_path), CIFAR100(tmp_path, fine_label=True)
    assert coarse[1][1] == rows[1, 0] and fine[1][1] == rows[1, 1]
    np.testing.assert_array_equal(fine[1][0].transpose(2, 0, 1).reshape(-1), rows[1, 2:])
    assert len(CIFAR100(tmp_path, True, False)) == 2


def test_samples_are_copies_and_slices_work(tmp_path: Path) -> None:
    images = write_mnist(tmp_path, "train", 4)
    dataset = MNIST(tmp_path)
    dataset[0][0][:] = 0
    np.testing.assert_array_equal(dataset[0][0][..., 0], images[0])
    several, labels = dataset[1:3]
    assert several.shape == (2, 28, 28, 1) and labels.tolist() == [1, 2]
    assert len(pickle.loads(pickle.dumps(dataset))) == 4


def test_transforms_and_loader(tmp_path: Path) -> None:
    write_mnist(tmp_path, "train", 5)
    dataset = MNIST(tmp_path, transform=lambda image, label: (image.astype("float32"), label))
    data, label = next(iter(DataLoader(dataset, 2)))
    assert data.shape == (2, 28, 28, 1) and data.dtype == np.float32 and label.dtype == np.int32
    tensors = MNIST(tmp_path).transform_first(transforms.ToTensor())
    assert next(iter(DataLoader(tensors, 2, num_workers=2)))[0].shape == (2, 1, 28, 28)


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        (MNIST, "mnist"),
        (FashionMNIST, "fashion-mnist"),
        (CIFAR10, "cifar10"),
        (CIFAR100, "cifar100"),
    ],
)
def test_where_the_files_are_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, folder: str
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    expected = rf"{kind.__name__} needs .* in {tmp_path}/datasets/{folder}, .*downloads nothing.*"
    with pytest.raises(DataFileNotFoundError, match=expected + "https://"):
        kind()
    assert list(tmp_path.iterdir()) == []  # MXNet creates the folder
    monkeypatch.delenv("MXNET_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(DataFileNotFoundError, match=rf"home/\.mxnet/datasets/{folder}"):
        kind()
    if folder == "mnist":
        write_mnist(tmp_path / "home" / ".mxnet" / "datasets" / "mnist", "train", 2)
        assert len(MNIST()) == len(MNIST("~/.mxnet/datasets/mnist")) == 2


def test_damaged_files(tmp_path: Path) -> None:
    write_mnist(tmp_path, "train", 5)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(struct.pack(">2I", 2049, 4) + bytes(4))
    with pytest.raises(DataFileError, match=r"5 images, but .* 4 labels"):
        MNIST(tmp_path)
    labels.write_bytes(labels.read_bytes()[:-1])
    with pytest.raises(DataFileError, match="declares"):
        MNIST(tmp_path)
    for content in (b"", bytes(3072)):
        (tmp_path / "train.bin").write_bytes(content)
        with pytest.raises(DataFileError, match=r"train\.bin has \d+ bytes, not a multiple"):
            CIFAR100(tmp_path)
