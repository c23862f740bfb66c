"""MNIST, FashionMNIST, CIFAR10 and CIFAR100, from files on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.errors import DataFileError, DataFileNotFoundError
from gpuio.gluon.data.dataset import Dataset
from gpuio.io.mnist import read_mnist
from gpuio.storage.local import Path, local_path

Transform = Callable[[Any, Any], Any]

CIFAR_SHAPE = (3, 32, 32)


class _FilesDataset(Dataset):
    """Base class: images in memory, uint8 (N, height, width, channels), and labels, int32 (N,).

    Parameters
    ----------
    root : the folder of the files; None: `folder` in ``$MXNET_HOME/datasets``, by default in
        ``~/.mxnet/datasets``, as in MXNet
    train : the training set; False: the test set
    transform : takes image and label, and returns the sample
    """

    _folder = ""
    _source = ""

    def __init__(self, root: Path | None, train: bool, transform: Transform | None) -> None:
        if root is None:
            home = os.environ.get("MXNET_HOME") or os.path.join("~", ".mxnet")
            root = os.path.join(home, "datasets", self._folder)
        self._root = os.path.expanduser(local_path(root))
        self._transform = transform
        self._images, self._labels = self._load(train)

    def _load(self, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, idx: Any) -> Any:
        """An image and its label, or what the transform makes of them."""
        sample = nd.wrap(self._images[idx].copy()), self._labels[idx]
        return sample if self._transform is None else self._transform(*sample)

    def _find(self, names: list[str], subfolder: str = "") -> list[str]:
        """The paths of files in the root or in its subfolder, plain or compressed with gzip."""
        paths = []
        for name in names:
            tried = [
                os.path.join(self._root, folder, name + ending)
                for folder in ("", subfolder)
                for ending in ("", ".gz")
            ]
            found = next(filter(os.path.isfile, tried), None)
            if found is None:
                raise DataFileNotFoundError(
                    f"{type(self).__name__} needs {', '.join(names)} in {self._root}, and there is "
                    f"no {name}; gpuio downloads nothing: get the files from {self._source}, or "
                    "give their folder as root"
                )
            paths.append(found)
        return paths


class MNIST(_FilesDataset):
    """Handwritten digits (LeCun et al., 1998), from files on this machine.

    A sample is ``(image, label)``: uint8 NDArray (28, 28, 1), and the digit, int32.

    Parameters
    ----------
    root : the folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte
        and t10k-labels-idx1-ubyte, plain or compressed (.gz); None:
        ``$MXNET_HOME/datasets/mnist``, by default ``~/.mxnet/datasets/mnist``
    train : the training set; False: the test set
    transform : takes image and label, and returns the sample

    Raises
    ------
    DataFileNotFoundError : a file is missing; nothing is downloaded.
    DataFileError : a file is damaged, or has another format.

    Examples
    --------
    >>> train = MNIST("mnist", train=True).transform_first(transforms.ToTensor())
    """

    _folder = "mnist"
    _source = "https://ossci-datasets.s3.amazonaws.com/mnist/"

    def __init__(
        self, root: Path | None = None, train: bool = True, transform: Transform | None = None
    ) -> None:
        super().__init__(root, train, transform)

    def _load(self, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        prefix = "train" if train else "t10k"
        image, label = self._find([f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"])
        images, labels = read_mnist(image, label)
        return images[..., None], labels.astype(np.int32)


class FashionMNIST(MNIST):
    """Articles of clothing (Xiao et al., 2017), in the format and under the file names of MNIST.

    Parameters
    ----------
    root : the folder of the files; None: ``$MXNET_HOME/datasets/fashion-mnist``, by default
        ``~/.mxnet/datasets/fashion-mnist``
    train, transform : see `MNIST`
    """

    _folder = "fashion-mnist"
    _source = "https://github.com/zalandoresearch/fashion-mnist"


class CIFAR10(_FilesDataset):
    """Small photographs of 10 classes (Krizhevsky, 2009), from files on this machine.

    A sample is ``(image, label)``: uint8 NDArray (32, 32, 3), and the class, int32.

    Parameters
    ----------
    root : the folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin, or with
        cifar-10-batches-bin, the folder of these; None: ``$MXNET_HOME/datasets/cifar10``, by
        default ``~/.mxnet/datasets/cifar10``
    train : the training set; False: the test set
    transform : takes image and label, and returns the sample

    Raises
    ------
    DataFileNotFoundError : a file is missing; nothing is downloaded.
    DataFileError : a file is damaged.
    """

    _folder = "cifar10"
    _source = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    _subfolder = "cifar-10-batches-bin"
    _train_files = [f"data_batch_{number}.bin" for number in range(1, 6)]  # noqa: RUF012
    _test_files = ["test_batch.bin"]  # noqa: RUF012
    _label_bytes = 1

    def __init__(
        self, root: Path | None = None, train: bool = True, transform: Transform | None = None
    ) -> None:
        super().__init__(root, train, transform)

    def _load(self, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        paths = self._find(self._train_files if train else self._test_files, self._subfolder)
        rows = np.concatenate([self._read(path) for path in paths])
        images = rows[:, self._label_bytes :].reshape(-1, *CIFAR_SHAPE).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(images), rows[:, self._label_column()].astype(np.int32)

    def _read(self, path: str) -> NDArray[np.uint8]:
        """The rows of a file: labels and pixels, uint8 (n, bytes of an image)."""
        try:
            content = np.fromfile(path, np.uint8)
        except OSError as error:
            raise DataFileError(f"{path} cannot be read: {error.strerror}") from error
        width = self._label_bytes + int(np.prod(CIFAR_SHAPE))
        if not len(content) or len(content) % width:
            raise DataFileError(
                f"{path} has {len(content)} bytes, not a multiple of {width}, the bytes of an "
                f"image and its label; get it again from {self._source}"
            )
        return content.reshape(-1, width)

    def _label_column(self) -> int:
        return 0


class CIFAR100(CIFAR10):
    """Small photographs of 100 classes in 20 groups (Krizhevsky, 2009), from files on this machine.

    Parameters
    ----------
    root : the folder with train.bin and test.bin, or with cifar-100-binary, the folder of these;
        None: ``$MXNET_HOME/datasets/cifar100``, by default ``~/.mxnet/datasets/cifar100``
    fine_label : the label is the class; False: the group
    train, transform : see `CIFAR10`
    """

    _folder = "cifar100"
    _source = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    _subfolder = "cifar-100-binary"
    _train_files = ["train.bin"]  # noqa: RUF012
    _test_files = ["test.bin"]  # noqa: RUF012
    _label_bytes = 2

    def __init__(
        self,
        root: Path | None = None,
        fine_label: bool = False,
        train: bool = True,
        transform: Transform | None = None,
    ) -> None:
        self._fine = bool(fine_label)
        super().__init__(root, train, transform)

    def _label_column(self) -> int:
        return int(self._fine)
