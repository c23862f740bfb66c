"""Record files as data sets of Ray Data.

>>> dataset = gpuio.ray.read_records("train.rec", decode=True)
>>> gpuio.ray.write_records(gpuio.ray.read_records("train.rec").filter(wanted), "kept")

It needs the extra ``ray``, which is Ray 2.50 or later; it is tested with 2.50 and 2.60. For
training, take an iterator of gpuio in each worker of Ray Train. To shuffle, merge, split or filter
whole files, ``gpuio shuffle --on ray`` and the like need no exchange of data.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from gpuio.iterators.arguments import as_int
from gpuio.ray_package import import_ray
from gpuio.storage.local import Path
from gpuio.storage.remote.options import RemoteOptions

__all__ = ["read_records", "write_records"]


def read_records(
    paths: Path | Sequence[Path],
    index_paths: Path | Sequence[Path] | None = None,
    *,
    columns: Sequence[str] = ("key", "label", "payload"),
    decode: bool = False,
    label_width: int | None = 1,
    max_pixels: int | None = None,
    remote: RemoteOptions | None = None,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
) -> Any:
    """Read record files as a data set, in tasks that read equally many bytes each.

    The header and the identity records of face data sets are left out.

    Parameters
    ----------
    paths : one file, several, joined by ";" or as a sequence, or a folder of .rec files; each may
        be a URL, and that of a folder ends with "/"
    index_paths : the index of each; None: FILE.idx of each if all of these exist, else the files
        are scanned, and the keys are 0, 1, 2, …
    columns : which of these the data set has, in this order: "key" (int64), "label" (see
        `label_width`), and "payload" (bytes), the rest of the record, as a rule an image's file
    decode : in place of "payload" there is "image": uint8 (height, width, 3), in RGB
    label_width : 1: the first number of a record's label, as float32; more: an array (label_width,)
        of the first ones; None: an array (n,) of all
    max_pixels : the most pixels of an image. None: what the environment variable GPUIO_MAX_PIXELS
        says, else 2**28
    remote : how remote files are reached and cached; None: by the default options. Secrets in it do
        not travel: workers take them from their environment
    override_num_blocks, concurrency : as in ``ray.data.read_datasource``

    Returns
    -------
    ray.data.Dataset

    Raises
    ------
    MissingPackageError : Ray is not installed, or too old.
    ArgumentError : an argument is invalid.
    RecordFileNotFoundError, RecordError, RemoteError : a file is missing or damaged. What is wrong
        with a record is raised, with its location, when the data set is executed.
    """
    if override_num_blocks is not None:
        override_num_blocks = as_int("override_num_blocks", override_num_blocks, 1)
    source = _records().RecordDatasource(
        paths, index_paths, tuple(columns), decode, label_width, max_pixels, remote
    )
    return import_ray("ray.data").read_datasource(
        source, override_num_blocks=override_num_blocks, concurrency=concurrency
    )


def write_records(
    dataset: Any,
    folder: Path,
    *,
    remote: RemoteOptions | None = None,
    concurrency: int | None = None,
) -> list[str]:
    """Write a data set as record files with indexes, one for each task that writes: ``part-00000``
    and so on, with the extensions .rec and .idx.

    Local files get their names when all of them are complete; if that fails, none is left. In a
    store each appears when it is complete.

    Parameters
    ----------
    dataset : a ray.data.Dataset with the columns "key", "label" and "payload", as `read_records`
        gives them; others are ignored. Records are written in the order of its rows within a task
    folder : a path or a URL; it is created, and must have no .rec files yet. Where the cluster has
        several machines, a local one is in a shared file system
    remote : how a store is reached; None: by the default options. Secrets in it do not travel
    concurrency : the most tasks at once; None: as many as fit

    Returns
    -------
    the record files' paths or URLs

    Raises
    ------
    MissingPackageError : Ray is not installed, or too old.
    ArgumentError : the data set lacks a column, a payload is not bytes, or the folder has record
        files.
    RecordError, RemoteError : a file cannot be written.
    """
    sink = _records().RecordDatasink(folder, remote)
    try:
        dataset.write_datasink(sink, concurrency=concurrency)
    except BaseException:
        sink.remove()
        raise
    written: list[str] = sink.written
    return written


def _records() -> Any:
    """The module whose classes are subclasses of Ray Data's."""
    import_ray("ray.data")
    return importlib.import_module("gpuio.ray_records")
