"""Mean images: what MXNet's ``mean_img`` names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuio.context import device_of, on_device
from gpuio.errors import (
    ArgumentError,
    DataFileError,
    DataFileNotFoundError,
    RecordError,
    RecordFileNotFoundError,
)
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.hand_over import hand_over_arrays
from gpuio.loading.loader import Loader
from gpuio.nd.placement import host_array
from gpuio.storage import array_files
from gpuio.storage.local import Path
from gpuio.storage.remote import opening
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import check_creatable
from gpuio.storage.remote.url import shown

# The name of the array in MXNet's files.
NAME = "mean_img"


def exists(path: Path, remote: RemoteOptions | None = None) -> bool:
    """Whether there is a file, to be read and not written."""
    return opening.exists(opening.location(path, "mean_img"), remote)


def read(
    path: Path, shape: tuple[int, ...], remote: RemoteOptions | None = None
) -> NDArray[np.float32]:
    """Read a mean image, as ``nd.save`` or `write` writes it: one array, named or not.

    Parameters
    ----------
    shape : (channels, height, width) that it must have
    remote : how a remote file is reached and cached; None: by the default options

    Returns
    -------
    float32, of that shape

    Raises
    ------
    ArgumentError : the file has several arrays, or one of another shape or kind.
    DataFileError : it is not a file of arrays.
    RemoteError : a remote file cannot be read.
    """
    arrays = array_files.read(path, remote).arrays
    name = shown(opening.location(path))
    if len(arrays) != 1 or arrays[0].csr is not None or arrays[0].values.dtype.kind not in "fiu":
        raise ArgumentError(f"{name} must hold one dense array of numbers, the mean image")
    mean = arrays[0].values
    if mean.shape != shape:
        raise ArgumentError(
            f"the mean image in {name} has the shape {mean.shape}, data_shape is "
            f"{shape}; remove the file to have it computed anew"
        )
    return mean.astype(np.float32)


def check_writable(path: Path) -> None:
    """Check that `write` can write there, before a mean is computed in vain.

    Raises
    ------
    DataFileError, DataFileNotFoundError : it cannot.
    ArgumentError, UnsupportedError : a URL is of no object that can be written.
    """
    try:
        check_creatable(path)
    except RecordFileNotFoundError as error:
        raise DataFileNotFoundError(str(error)) from error
    except RecordError as error:
        raise DataFileError(f"the mean image {error}") from error


def write(path: Path, mean: NDArray[np.float32], remote: RemoteOptions | None = None) -> None:
    """Write a mean image as MXNet does, to a path or a URL. Other processes see the whole file, or
    none.

    Raises
    ------
    DataFileError, DataFileNotFoundError, RemoteError : the file cannot be written.
    """
    array_files.write(path, [array_files.StoredArray(mean)], [NAME], remote)


def compute(loader: Loader[LoadedBatch]) -> NDArray[np.float32]:
    """The mean of all images of a loader's epoch.

    Parameters
    ----------
    loader : of float32 (N, channels, height, width); closed afterwards

    Returns
    -------
    float32 (channels, height, width), on the host

    Raises
    ------
    ArgumentError : there is no image that can be used.
    Error : a record cannot be used, as `on_error` has it.
    """
    total, count = None, 0
    try:
        while (loaded := loader.next()) is not None:
            if not loaded.data:
                continue
            (images,) = hand_over_arrays(loaded.data)
            rows = len(images) - loaded.pad
            with on_device(device_of(images)):
                added = images[:rows].sum(axis=0, dtype=np.float64)
                total = added if total is None else total + added
            count += rows
    finally:
        loader.close()
    if total is None or not count:
        raise ArgumentError("mean_img cannot be computed: there is no image that can be used")
    mean: NDArray[np.float64] = host_array(total)
    return (mean / count).astype(np.float32)
