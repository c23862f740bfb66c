"""MXNet's ``mx.test_utils``, as far as data scripts import it: downloads, MNIST, comparisons."""

from __future__ import annotations

import logging
import os
import shutil
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuio.context import Context, current_context, num_gpus
from gpuio.errors import ArgumentError, DataFileError, DataFileNotFoundError, RecordError
from gpuio.nd.placement import host_array
from gpuio.nd.types import HostArray, Values
from gpuio.storage.writing import replacing, write_file

if TYPE_CHECKING:
    from gpuio.io.mnist import MNISTIter

__all__ = [
    "almost_equal",
    "assert_almost_equal",
    "default_context",
    "download",
    "get_mnist",
    "get_mnist_iterator",
    "get_mnist_ubyte",
    "list_gpus",
    "same",
]

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_IMAGES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")
_LABELS = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")

log = logging.getLogger(__name__)


def list_gpus() -> list[int]:
    """The numbers of the GPUs that gpuio can use."""
    return list(range(num_gpus()))


def default_context() -> Context:
    """The current context."""
    return current_context()


def same(a: Values, b: Values) -> bool:
    """Whether two arrays have the same shape and values."""
    return np.array_equal(host_array(a), host_array(b))


def almost_equal(
    a: Values,
    b: Values,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
) -> bool:
    """Whether two arrays have the same values up to a tolerance.

    Parameters
    ----------
    rtol, atol : relative and absolute tolerance; None: 1e-5 and 1e-20, as in MXNet 1.9.1 for
        float32
    """
    rtol, atol = 1e-5 if rtol is None else rtol, 1e-20 if atol is None else atol
    return np.allclose(host_array(a), host_array(b), rtol, atol, equal_nan)


def assert_almost_equal(
    a: Values,
    b: Values,
    rtol: float | None = None,
    atol: float | None = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
) -> None:
    """Raise an AssertionError unless `almost_equal`; see there."""
    np.testing.assert_allclose(
        host_array(a),
        host_array(b),
        1e-5 if rtol is None else rtol,
        1e-20 if atol is None else atol,
        equal_nan,
        f"{names[0]} and {names[1]} differ",
    )


def download(
    url: str,
    fname: str | None = None,
    dirname: str | None = None,
    overwrite: bool = False,
    retries: int = 5,
) -> str:
    """Download a file, unless it exists.

    Parameters
    ----------
    fname : path of the file; None: the last part of the URL
    dirname : directory of the file, which is created
    overwrite : download it again
    retries : how often to try

    Returns
    -------
    path of the file

    Raises
    ------
    DataFileError : it could not be downloaded.
    """
    if retries < 1:
        raise ArgumentError(f"download: retries must be at least 1, not {retries}")
    path = fname or url.rsplit("/", maxsplit=1)[-1]
    if dirname is not None:
        path = os.path.join(dirname, path)
    if os.path.exists(path) and not overwrite:
        log.info("%s exists, skipping download", path)
        return path
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    for left in reversed(range(retries)):
        try:
            with urllib.request.urlopen(url) as source, replacing(path) as target:
                shutil.copyfileobj(source, target)
            break
        except (OSError, ValueError, RecordError) as error:  # URLError is an OSError
            if not left or not isinstance(error, urllib.error.URLError):
                raise DataFileError(f"{url} cannot be downloaded: {error}") from error
            log.warning("%s: %s; %d more attempts", url, error, left)
            time.sleep(1)
    log.info("downloaded %s to %s", url, path)
    return path


def get_mnist(path: str = "data") -> dict[str, HostArray]:
    """MNIST as arrays; its four files are downloaded to a directory unless they are there.

    Returns
    -------
    ``train_data`` and ``test_data``, float32 (N, 1, 28, 28), 0 to 1; ``train_label`` and
    ``test_label``, int8 (N,)

    Raises
    ------
    DataFileError : a file is damaged, or could not be downloaded; the message says where to put it.
    """
    from gpuio.io.mnist import IMAGES, LABELS

    made = {}
    for part, image, label in zip(("train", "test"), _IMAGES, _LABELS, strict=True):
        pixels = _downloaded(path, image, IMAGES)[:, None]
        made[f"{part}_data"] = pixels.astype(np.float32) / 255
        made[f"{part}_label"] = _downloaded(path, label, LABELS).astype(np.int8)
    return made


def get_mnist_ubyte(path: str = "data") -> None:
    """MNIST's four files, uncompressed, in a directory; downloaded unless they are there.

    Raises
    ------
    DataFileError : a file is damaged, or could not be downloaded; the message says where to put it.
    """
    from gpuio.io.mnist import IMAGES, LABELS

    for name in (*_IMAGES, *_LABELS):
        target = os.path.join(path, name)
        if not os.path.exists(target):
            magic = IMAGES if name in _IMAGES else LABELS
            values = _downloaded(path, name, magic)
            header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
            try:
                write_file(target, header + values.tobytes())
            except RecordError as error:
                raise DataFileError(str(error)) from error


def get_mnist_iterator(
    batch_size: int,
    input_shape: Sequence[int],
    num_parts: int = 1,
    part_index: int = 0,
    path: str = "data",
) -> tuple[MNISTIter, MNISTIter]:
    """Iterators over MNIST's images for training and for validation; see `get_mnist_ubyte`.

    Parameters
    ----------
    input_shape : (784,) or (1, 28, 28)
    """
    from gpuio.io.mnist import MNISTIter

    get_mnist_ubyte(path)
    train, validation = (
        MNISTIter(
            image=os.path.join(path, image),
            label=os.path.join(path, label),
            batch_size=batch_size,
            shuffle=shuffle,
            flat=len(input_shape) == 1,
            num_parts=num_parts,
            part_index=part_index,
        )
        for image, label, shuffle in zip(_IMAGES, _LABELS, (True, False), strict=True)
    )
    return train, validation


def _downloaded(path: str, name: str, magic: int) -> HostArray:
    """The values of one of MNIST's files, uint8, which is downloaded unless it is there."""
    from gpuio.io.mnist import read_idx

    where = os.path.join(path, f"{name}.gz")
    try:
        download(f"{MNIST_URL}{name}.gz", dirname=path)
    except DataFileError as error:
        raise DataFileNotFoundError(f"{error}; or put the file there yourself: {where}") from error
    try:
        values = read_idx(where, magic)
    except DataFileError as error:
        raise DataFileError(
            f"{where} is damaged: {error}; delete it to download it again"
        ) from error
    if values.shape[1:] not in ((), (28, 28)):
        raise DataFileError(
            f"{where} has images of {values.shape[1:]} pixels, not MNIST's (28, 28)"
        )
    return values


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"gpuio has no mx.test_utils.{name}: it is MXNet's data part, with {', '.join(__all__)}"
    )
