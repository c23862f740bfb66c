"""mx.test_utils, as far as data scripts import it; downloads are from files here."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio import test_utils
from gpuio.errors import ArgumentError, DataFileError, DataFileNotFoundError

NAMES = {
    "train-images-idx3-ubyte": (0x803, 6),
    "t10k-images-idx3-ubyte": (0x803, 4),
    "train-labels-idx1-ubyte": (0x801, 6),
    "t10k-labels-idx1-ubyte": (0x801, 4),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with small files in MNIST's format, in place of the web."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name, (magic, count) in NAMES.items():
        if magic == 0x803:
            data = struct.pack(">4i", magic, count, 28, 28) + bytes(range(count)) * 784
        else:
            data = struct.pack(">2i", magic, count) + bytes(range(count))
        (folder / f"{name}.gz").write_bytes(gzip.compress(data))
    monkeypatch.setattr(test_utils, "MNIST_URL", f"{folder.as_uri()}/")
    return folder


def test_comparisons() -> None:
    a, b = mx.nd.array([1, 2]), mx.nd.array([1, 2.1])
    assert test_utils.same(a, a) and not test_utils.same(a, b)
    assert test_utils.almost_equal(a, b, rtol=0.1) and not test_utils.almost_equal(a, b)
    test_utils.assert_almost_equal(a, np.array([1, 2]))
    with pytest.raises(AssertionError, match="x and y differ"):
        test_utils.assert_almost_equal(a, b, names=("x", "y"))


def test_devices() -> None:
    assert test_utils.list_gpus() == list(range(mx.num_gpus()))
    assert test_utils.default_context() == mx.current_context()


def test_download(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "x.txt").write_text("one")
    url = (site / "x.txt").as_uri()
    monkeypatch.chdir(tmp_path)
    assert test_utils.download(url) == "x.txt" and Path("x.txt").read_text() == "one"
    (site / "x.txt").write_text("two")
    test_utils.download(url)
    assert Path("x.txt").read_text() == "one"
    test_utils.download(url, overwrite=True)
    assert Path("x.txt").read_text() == "two"
    path = test_utils.download(url, "y.txt", dirname="a/b")
    assert path == "a/b/y.txt" and Path(path).read_text() == "two"
    with pytest.raises(DataFileError, match=r"none\.txt cannot be downloaded"):
        test_utils.download((site / "none.txt").as_uri(), retries=1)
    assert not Path("none.txt").exists()
    with pytest.raises(ArgumentError, match="retries"):
        test_utils.download(url, retries=0)
    with pytest.raises(DataFileError, match="cannot be downloaded"):
        test_utils.download("nothing/z", retries=1)


def test_mnist(site: Path, tmp_path: Path) -> None:
    mnist = test_utils.get_mnist(str(tmp_path / "data"))
    assert mnist["train_data"].shape == (6, 1, 28, 28) and mnist["test_data"].shape[0] == 4
    assert mnist["train_data"].dtype == np.float32 and mnist["train_data"].max() <= 5 / 255
    assert mnist["train_label"].tolist() == [0, 1, 2, 3, 4, 5]
    train, validation = test_utils.get_mnist_iterator(2, (784,), path=str(tmp_path / "data"))
    assert train.next().data[0].shape == (2, 784) and len(list(validation)) == 2
    train, _ = test_utils.get_mnist_iterator(2, (1, 28, 28), path=str(tmp_path / "data"))
    assert train.next().data[0].shape == (2, 1, 28, 28)


def test_mnist_that_is_not_there(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_utils, "MNIST_URL", "unknown/")
    with pytest.raises(DataFileNotFoundError, match=r"put the file there yourself: .*images-idx3"):
        test_utils.get_mnist(str(tmp_path / "new"))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(DataFileError, match="is damaged"):
        test_utils.get_mnist(str(tmp_path))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"short"))
    with pytest.raises(DataFileError, match=r"is damaged: .* begins with 0x"):
        test_utils.get_mnist(str(tmp_path))
    small = struct.pack(">4I", 0x803, 1, 2, 2) + bytes(4)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(small))
    with pytest.raises(DataFileError, match=r"images of \(2, 2\) pixels"):
        test_utils.get_mnist(str(tmp_path))


def test_what_is_missing() -> None:
    with pytest.raises(AttributeError, match=r"gpuio has no mx\.test_utils\.check_speed"):
        test_utils.check_speed  # noqa: B018
