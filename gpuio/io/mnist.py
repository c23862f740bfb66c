"""MNISTIter: batches of images in MNIST's file format."""

from __future__ import annotations

import gzip
import logging
import math
import os
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.context import Context, as_context, on_device, require
from gpuio.errors import DataFileError, DataFileNotFoundError
from gpuio.io.array_sources import ArraySource, fingerprint, gather
from gpuio.io.rows_iter import OrderedRowsIter
from gpuio.iterators.arguments import as_bool, as_int
from gpuio.iterators.desc import DataDesc
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.stream import State
from gpuio.sampling.order import BatchIndices, Order
from gpuio.sampling.sharding import resolve_shard
from gpuio.storage.local import Path

# The first four bytes of an idx file: two zeros, the type (8: unsigned byte), the number of axes.
IMAGES, LABELS = 2051, 2049

GZIP_MAGIC = b"\x1f\x8b"

log = logging.getLogger("gpuio")


class MNISTIter(OrderedRowsIter):
    """Batches of images in MNIST's file format, plain or compressed with gzip.

    All images are kept as bytes on the device; those of a batch are divided by 256, as in MXNet. An
    incomplete last batch is dropped. Names, defaults and meanings are MXNet's, but with `shuffle`
    each epoch has its own order.

    Parameters
    ----------
    image, label : the files (idx3-ubyte, idx1-ubyte)
    batch_size : images in a batch
    shuffle : a new order of all images each epoch
    flat : flatten images
    seed : determines the order
    silent : do not log what was opened
    num_parts, part_index : read part `part_index` of `num_parts` equal parts. ``num_parts="auto"``
        takes both from the launcher's environment variables, and gives each rank its slice of every
        global batch
    ctx : the device; None: the current context
    data_name, label_name : the arrays' names

    Attributes
    ----------
    provide_data : one DataDesc: float32 (batch_size, 1, height, width), or (batch_size, height *
        width) with `flat`; values 0 to 255/256
    provide_label : one DataDesc: float32 (batch_size,)

    Raises
    ------
    DataFileError, DataFileNotFoundError : a file is missing, has another format, is truncated, or
        the numbers of images and labels differ.
    ArgumentError : a value is out of range, or there are fewer images than one batch holds.
    ContextError : the device is not available.
    """

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
        data_name: str = "data",
        label_name: str = "softmax_label",
    ) -> None:
        super().__init__(as_int("batch_size", batch_size, 1))
        shard = resolve_shard(num_parts, part_index, None)
        shuffle = as_bool("shuffle", shuffle)
        seed = as_int("seed", seed)
        ctx = as_context(ctx)
        require(ctx)
        images, labels = read_idx(image, IMAGES), read_idx(label, LABELS)
        if len(images) != len(labels):
            raise DataFileError(
                f"{image} has {len(images)} images, but {label} has {len(labels)} labels"
            )
        count, height, width = images.shape
        shape = (height * width,) if as_bool("flat", flat) else (1, height, width)
        rank, world = shard.index, shard.count
        if shard.mode == "contiguous":
            first, last = (int(count / world * number) for number in (rank, rank + 1))
            images, labels, rank, world = images[first:last], labels[first:last], 0, 1
        order = Order(len(images), self.batch_size, shuffle, seed, "discard", rank, world)
        pixels = ArraySource(data_name, nd.wrap(images.reshape(-1, *shape)), 0).to(ctx)
        numbers = ArraySource(label_name, nd.array(labels, ctx), 0)
        self._shard = shard
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
            log.info("%s: %d images, %d in this part, on %s", image, count, len(images), ctx)

    def _identity(self) -> State:
        return {**super()._identity(), "part": self._shard.identity}


def _load_scaled(pixels: ArraySource, labels: ArraySource) -> Callable[[BatchIndices], LoadedBatch]:
    """A function that makes batches of float32 pixel values, 0 to 255/256, and their labels."""
    load_bytes = gather([pixels], [labels])

    def load(indices: BatchIndices) -> LoadedBatch:
        batch = load_bytes(indices)
        (image,) = batch.data
        with on_device(pixels.context):
            return batch._replace(data=[image.astype(np.float32) * np.float32(1 / 256)])

    return load


def read_idx(path: Path, magic: int) -> NDArray[np.uint8]:
    """The contents of an idx file of bytes: (N,), or (N, height, width)."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise DataFileNotFoundError(
            f"{os.fspath(path)} does not exist; MNIST's files are train-images-idx3-ubyte, "
            "train-labels-idx1-ubyte and so on, compressed with gzip or not"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataFileError(f"{os.fspath(path)} cannot be read: {error}") from error
    axes = magic & 0xFF
    begin = 4 * (axes + 1)
    numbers = np.frombuffer(content[:begin], ">u4", len(content[:begin]) // 4).tolist()
    if not numbers or numbers[0] != magic:
        found = f"0x{numbers[0]:08x}" if numbers else "nothing"
        kind = "images (idx3-ubyte)" if magic == IMAGES else "labels (idx1-ubyte)"
        raise DataFileError(
            f"{os.fspath(path)} begins with {found}, expected 0x{magic:08x}: it does not contain "
            f"{kind}"
        )
    shape = numbers[1:]
    if len(shape) < axes or len(content) != begin + math.prod(shape):
        raise DataFileError(
            f"{os.fspath(path)} has {len(content)} bytes, but its header declares "
            f"{' x '.join(map(str, shape)) or 'no'} bytes after the first {begin}"
        )
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)
