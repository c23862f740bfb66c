"""MNISTIter: batches of images in MNIST's file format."""

from __future__ import annotations

import gzip
import inspect
import logging
import math
import os
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.context import Context, as_context, cpu, on_device, require
from gpuio.errors import DataFileError, DataFileNotFoundError
from gpuio.io.array_sources import ArraySource, fingerprint, gather
from gpuio.io.rows_iter import OrderedRowsIter
from gpuio.iterators.arguments import (
    NoEffect,
    accept_without_effect,
    as_batch_size,
    as_bool,
    as_int,
    check_call,
)
from gpuio.iterators.desc import DataDesc
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.stream import State
from gpuio.sampling.order import BatchIndices, Order
from gpuio.sampling.permutation import permute
from gpuio.sampling.sharding import resolve_shard
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.sequential import SequentialFile
from gpuio.storage.remote.url import shown

# The first four bytes of an idx file: two zeros, the type (8: unsigned byte), the number of axes.
IMAGES, LABELS = 2051, 2049

GZIP_MAGIC = b"\x1f\x8b"

# A file that is compressed further than this (MNIST's are to a half or a fifth), and takes more
# than so many bytes unpacked, is not read: a file of a few bytes could fill the memory.
MAX_RATIO, UNPACKED_BYTES = 100, 64 << 20

# MXNet's options that have no effect here.
NO_EFFECT = {
    "data_shape": NoEffect("because the file has the shape of the images"),
    "input_shape": NoEffect("because the file has the shape of the images"),
    "prefetch_buffer": NoEffect("because all images are in memory"),
    "preprocess_threads": NoEffect("because all images are in memory"),
    "round_batch": NoEffect("because an incomplete last batch is dropped"),
    "dtype": NoEffect("because images and labels are float32", (None, "float32", np.float32)),
    "verbose": NoEffect("because silent takes its place"),
}

log = logging.getLogger("gpuio")


class MNISTIter(OrderedRowsIter):
    """Batches of images in MNIST's file format, plain or compressed with gzip.

    All images are kept as bytes on the device; those of a batch are divided by 256, as in MXNet. An
    incomplete last batch is dropped. Names, defaults and meanings are MXNet's.

    Parameters
    ----------
    image, label : the files (idx3-ubyte, idx1-ubyte), or their URLs
    batch_size : images in a batch
    shuffle : shuffle the images once, so that all epochs have the same order
    flat : flatten images
    seed : determines the order
    silent : do not log what was opened
    num_parts, part_index : read part `part_index` of `num_parts` equal parts. ``num_parts="auto"``
        takes both from the launcher's environment variables, and gives each rank its slice of every
        global batch
    ctx : the device; None: the current context
    reshuffle : with `shuffle`, a new order of all images each epoch
    data_name, label_name : the arrays' names
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : for remote files, as in
        ImageRecordIter
    options : data_shape, input_shape and other options of MXNet's iterators that have no effect
        here, which is logged

    Attributes
    ----------
    provide_data : one DataDesc: float32 (batch_size, 1, height, width), or (batch_size, height *
        width) with `flat`; values 0 to 255/256
    provide_label : one DataDesc: float32 (batch_size,)

    Raises
    ------
    DataFileError, DataFileNotFoundError : a file is missing, has another format, is truncated, or
        the numbers of images and labels differ.
    TypeError : there is no such argument.
    ArgumentError : a value is out of range, or there are fewer images than one batch holds.
    ContextError : the device is not available.
    """

    _gives_single_arrays = True

    @check_call
    def __init__(
        self,
        *,
        image: Path = "./train-images-idx3-ubyte",
        label: Path = "./train-labels-idx1-ubyte",
        batch_size: int = 128,
        shuffle: bool = True,
        flat: bool = False,
        seed: int = 0,
        silent: bool = False,
        num_parts: int | str = 1,
        part_index: int = 0,
        ctx: Context | str | None = None,
        reshuffle: bool = False,
        data_name: str = "data",
        label_name: str = "softmax_label",
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
        **options: Any,
    ) -> None:
        known = inspect.signature(MNISTIter.__init__).parameters
        accept_without_effect(options, NO_EFFECT, known, type(self).__name__)
        super().__init__(as_batch_size(batch_size))
        self._shard = shard = resolve_shard(num_parts, part_index, None)
        shuffle, reshuffle = as_bool("shuffle", shuffle), as_bool("reshuffle", reshuffle)
        seed = as_int("seed", seed)
        ctx = as_context(ctx)
        require(ctx)
        remote = self._as_remote(
            cache_dir, cache_limit, storage_options, retries, timeout, readahead
        )
        images, labels = read_mnist(image, label, remote)
        count, height, width = images.shape
        shape = (height * width,) if as_bool("flat", flat) else (1, height, width)
        if shard.mode == "contiguous":
            first, last = (
                int(count / shard.count * number) for number in (shard.index, shard.index + 1)
            )
            images, labels = images[first:last], labels[first:last]
        order = Order(
            len(images),
            self.batch_size,
            shuffle and reshuffle,
            seed,
            "discard",
            *shard.rank_and_size,
        )
        if shuffle and not reshuffle:
            rows = permute(np.arange(len(images)), len(images), seed, 0)
            images, labels = images[rows], labels[rows]
        self._path = shown(os.fspath(image))
        self._shuffled = {"shuffle": shuffle, "reshuffle": reshuffle}
        pixels = ArraySource(data_name, nd.wrap(images.reshape(-1, *shape)), 0).to(ctx)
        numbers = ArraySource(label_name, nd.array(labels, cpu()), 0).to(ctx)
        self._set_ordered_stream(
            order,
            _load_scaled(pixels, numbers),
            ctx,
            [DataDesc(data_name, (self.batch_size, *shape), np.float32)],
            [DataDesc(label_name, (self.batch_size,), np.float32)],
            fingerprint=fingerprint([pixels, numbers]),
            on_device=True,
        )
        if not as_bool("silent", silent):
            log.info(
                "%s: %d images of shape %s, %d in this part, on %s",
                self._path,
                count,
                shape,
                len(images),
                ctx,
            )

    def _source_name(self) -> str:
        return f"{self._path}, {super()._source_name()}"

    def _identity(self) -> State:
        return {**super()._identity(), **self._shuffled, "part": self._shard.identity}


def _load_scaled(pixels: ArraySource, labels: ArraySource) -> Callable[[BatchIndices], LoadedBatch]:
    """A function that makes batches of float32 pixel values, 0 to 255/256, and their labels."""
    load_bytes = gather([pixels], [labels])

    def load(indices: BatchIndices) -> LoadedBatch:
        batch = load_bytes(indices)
        (image,) = batch.data
        with on_device(pixels.context):
            return batch._replace(data=[image.astype(np.float32) * np.float32(1 / 256)])

    return load


def read_mnist(
    image: Path, label: Path, remote: RemoteOptions | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read two files of MNIST's format, compressed with gzip or not.

    Parameters
    ----------
    image, label : the files, or their URLs
    remote : how remote files are reached and cached; None: by the default options

    Returns
    -------
    Images, uint8 (N, height, width), and labels, uint8 (N,)

    Raises
    ------
    DataFileError, DataFileNotFoundError : a file is missing, has another format, is truncated, or
        the numbers of images and labels differ.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed meanwhile.
    """
    images, labels = read_idx(image, IMAGES, remote), read_idx(label, LABELS, remote)
    if len(images) != len(labels):
        raise DataFileError(
            f"{shown(os.fspath(image))} has {len(images)} images, but {shown(os.fspath(label))} "
            f"has {len(labels)} labels"
        )
    return images, labels


def read_idx(path: Path, magic: int, remote: RemoteOptions | None = None) -> NDArray[np.uint8]:
    """The contents of an idx file of bytes: (N,), or (N, height, width).

    Parameters
    ----------
    path : the file, plain or compressed with gzip, or its URL
    magic : IMAGES or LABELS
    remote : how a remote file is reached and cached; None: by the default options

    Raises
    ------
    DataFileError, DataFileNotFoundError : the file is missing, has another format, or has more or
        fewer bytes than its header declares.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed meanwhile.
    """
    name = shown(location(path, "image" if magic == IMAGES else "label"))
    try:
        with closing(SequentialFile(path, remote)) as opened, opened.open() as file:
            return _read_idx(file, name, magic, opened.size())
    except FileNotFoundError as error:
        raise DataFileNotFoundError(
            f"{name} does not exist; MNIST's files are train-images-idx3-ubyte, "
            "train-labels-idx1-ubyte and so on, compressed with gzip or not"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataFileError(f"{name} cannot be read: {error}") from error


def _read_idx(file: IO[bytes], name: str, magic: int, size: int) -> NDArray[np.uint8]:
    """The contents of an idx file of `size` bytes; see `read_idx`."""
    if file.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
        file.seek(0)
        shape = _read_shape(file, name, magic, size)
        _check_size(name, shape, size - _header_bytes(shape))
        return _fill(file, name, shape)
    file.seek(0)
    with gzip.open(file) as unpacked:
        shape = _read_shape(unpacked, name, magic, size)
        return _unpack(unpacked, name, shape, size)


def _read_shape(file: IO[bytes] | gzip.GzipFile, name: str, magic: int, size: int) -> list[int]:
    """The shape that an idx file's header declares."""
    axes = magic & 0xFF
    header = file.read(4 * (axes + 1))
    numbers: list[int] = np.frombuffer(header, ">u4", len(header) // 4).tolist()
    if not numbers or numbers[0] != magic:
        found = f"0x{numbers[0]:08x}" if numbers else "nothing"
        kind = "images (idx3-ubyte)" if magic == IMAGES else "labels (idx1-ubyte)"
        raise DataFileError(
            f"{name} begins with {found}, expected 0x{magic:08x}: it does not contain {kind}"
        )
    if len(numbers) <= axes:
        raise DataFileError(
            f"{name} has {len(header)} bytes, too few for the header, of {4 * (axes + 1)}"
        )
    if 0 in numbers[2:]:
        raise DataFileError(
            f"{name}: its header declares images without pixels, of {numbers[2]} x {numbers[3]}"
        )
    return numbers[1:]


def _header_bytes(shape: list[int]) -> int:
    return 4 * (len(shape) + 1)


def _check_size(name: str, shape: list[int], found: int, more: bool = False) -> None:
    """Raise unless `found` bytes, or at least as many, follow the header of a shape."""
    if more or found != math.prod(shape):
        begin = _header_bytes(shape)
        raise DataFileError(
            f"{name} has {'more than ' * more}{begin + found} bytes, but its header declares "
            f"{' x '.join(map(str, shape))} bytes after the first {begin}"
        )


def _unpack(file: gzip.GzipFile, name: str, shape: list[int], packed: int) -> NDArray[np.uint8]:
    """The values of an idx file compressed to `packed` bytes, whose header has been read."""
    count = math.prod(shape)
    most = max(UNPACKED_BYTES, MAX_RATIO * packed)
    if count > most:
        raise DataFileError(
            f"{name} has {packed} bytes, and its header declares {' x '.join(map(str, shape))} "
            f"bytes: more than {most} are not unpacked of so few; decompress the file, if it is "
            "intact"
        )
    return _fill(file, name, shape)


def _fill(file: IO[bytes] | gzip.GzipFile, name: str, shape: list[int]) -> NDArray[np.uint8]:
    """The values that follow the header, to the file's end."""
    values = np.empty(math.prod(shape), np.uint8)
    found = 0
    while found < len(values) and (read := file.readinto(memoryview(values)[found:])):  # type: ignore[union-attr]
        found += read
    # The first byte behind the values; or none, for which gzip compares the checksum.
    _check_size(name, shape, found, more=bool(file.read(1)))
    return values.reshape(shape)
