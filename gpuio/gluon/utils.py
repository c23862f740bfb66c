"""MXNet's ``gluon.utils``: batches in parts, one for each device; files that were downloaded."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gpuio import nd
from gpuio.context import Context, as_context, on_device
from gpuio.errors import ArgumentError, DataFileError, UnsupportedError
from gpuio.gluon.missing import missing_name
from gpuio.iterators.arguments import as_int
from gpuio.nd import NDArray
from gpuio.nd.types import Values
from gpuio.storage.local import Path, local_path
from gpuio.storage.remote.url import shown

__all__ = ["check_sha1", "download", "split_and_load", "split_data"]


def split_data(
    data: NDArray, num_slice: int, batch_axis: int = 0, even_split: bool = True
) -> list[NDArray]:
    """Split a batch into parts.

    Parameters
    ----------
    data : the batch
    num_slice : number of parts, at least 1
    batch_axis : the axis to split along
    even_split : raise if the parts do not have the same size; False: the first ones get one row
        more

    Returns
    -------
    The parts, views of `data`; some are empty if there are fewer rows than parts

    Raises
    ------
    ArgumentError : the rows do not divide evenly, or num_slice or batch_axis is out of range.

    Examples
    --------
    >>> [part.shape for part in split_data(mx.nd.ones((5, 2)), 2, even_split=False)]
    [(3, 2), (2, 2)]
    """
    num_slice = as_int("num_slice", num_slice, 1)
    batch_axis = as_int("batch_axis", batch_axis)
    if not -data.ndim <= batch_axis < data.ndim:
        raise ArgumentError(f"batch_axis {batch_axis} is not an axis of an array {data.shape}")
    size = data.shape[batch_axis]
    each, extra = divmod(size, num_slice)
    if even_split and extra:
        raise ArgumentError(
            f"data with shape {data.shape} cannot be evenly split into {num_slice} slices along "
            f"axis {batch_axis}. Use a batch size that's a multiple of {num_slice}, or "
            "even_split=False for parts of different sizes"
        )
    ends = [each * part + min(part, extra) for part in range(num_slice + 1)]
    before = (slice(None),) * (batch_axis % data.ndim)
    with on_device(data.context):
        return [data[(*before, slice(*pair))] for pair in pairwise(ends)]


def split_and_load(
    data: Values,
    ctx_list: Sequence[Context | str],
    batch_axis: int = 0,
    even_split: bool = True,
) -> list[NDArray]:
    """Split a batch into a part for each device, and copy each part there.

    Parameters
    ----------
    data : the batch: an NDArray, or what `nd.array` takes, which becomes float32
    ctx_list : the devices
    batch_axis, even_split : see `split_data`

    Returns
    -------
    The parts; one that is on its device already is a view of `data`

    Raises
    ------
    ArgumentError : ctx_list is empty, or see `split_data`.
    ContextError : a device is not available.

    Examples
    --------
    >>> devices = [mx.cpu()]  # or [mx.gpu(0), mx.gpu(1)]
    >>> for data, label in loader:
    ...     parts = gluon.utils.split_and_load(data, devices, even_split=False)
    """
    devices = [as_context(ctx) for ctx in ctx_list]
    if not devices:
        raise ArgumentError("ctx_list is empty; give a device for each part, such as [mx.cpu()]")
    array = data
    if not isinstance(array, NDArray):
        array = nd.array(array, devices[0])
    if len(devices) == 1:
        return [array.as_in_context(devices[0])]
    parts = split_data(array, len(devices), batch_axis, even_split)
    return [part.as_in_context(ctx) for part, ctx in zip(parts, devices, strict=True)]


def check_sha1(filename: Path, sha1_hash: str) -> bool:
    """Whether a file has a SHA-1 digest, given in hexadecimal digits."""
    digest = hashlib.sha1()
    with open(filename, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == sha1_hash


def download(
    url: str,
    path: Path | None = None,
    overwrite: bool = False,
    sha1_hash: str | None = None,
    retries: int = 5,
    verify_ssl: bool = True,
) -> str:
    """Find a file that has been downloaded before; gpuio downloads nothing.

    Parameters
    ----------
    url : where it comes from
    path : the file, or its folder; None: the current folder
    sha1_hash : its SHA-1 digest; None: do not check it
    overwrite, retries, verify_ssl : without effect

    Returns
    -------
    The path of the file

    Raises
    ------
    UnsupportedError : there is no such file; the message has a command that gets it, without the
        secrets of the URL.
    DataFileError : the file has another digest.
    """
    name = shown(url).rstrip("/").rpartition("/")[2]
    file = name if path is None else os.path.expanduser(local_path(path))
    if os.path.isdir(file):
        file = os.path.join(file, name)
    if not os.path.isfile(file):
        raise UnsupportedError(
            f"there is no {file}, and gpuio downloads nothing; get it yourself, for example "
            f"with: curl -L --create-dirs -o {shlex.quote(file)} {shlex.quote(shown(url))}"
        )
    if sha1_hash and not check_sha1(file, sha1_hash):
        raise DataFileError(f"{file} does not have the SHA-1 digest {sha1_hash}; get it again")
    return file


def __getattr__(name: str) -> Any:
    hint = "gpuio has what data loading uses of MXNet's gluon.utils"
    raise missing_name(__name__, name, hint, __all__)
