"""ImageRecordIter: from record files to batches of images on a device."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio import nd
from gpuio.context import Context, as_context, require
from gpuio.errors import ArgumentError, Error
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.options import (
    crop_ranges,
    ending_of,
    image_shape,
    number,
    refuse_unknown,
    switch,
    whole_number,
)
from gpuio.iterators.partition import Part, contiguous, resolve_parts
from gpuio.iterators.stream_iter import StreamIter
from gpuio.pipeline.assemble import Output
from gpuio.pipeline.executors import executor_of, plan_executor
from gpuio.pipeline.labels import HeaderLabels, LabelSource, ListLabels
from gpuio.pipeline.loader import Loader
from gpuio.pipeline.order import Order
from gpuio.pipeline.plan import Augment, Plan, plan
from gpuio.pipeline.work import POLICIES, BadRecord, Draft, Loaded, Preparer
from gpuio.recordio import RecordSet
from gpuio.recordio.quarantine import Entry, identity_of, read_quarantine, write_quarantine

Path = str | os.PathLike[str]

log = logging.getLogger("gpuio")


class ImageRecordIter(StreamIter[Loaded]):
    """Batches of decoded, cropped and normalised images from record files, on the CPU or on a GPU.

    Names, defaults and meanings are MXNet's. On the CPU images are decoded by libjpeg-turbo and
    resampled by OpenCV in threads; on a GPU by NVIDIA DALI and a CUDA kernel. Batches are made
    ahead of the caller; one that has been handed out is never overwritten.

    The random choices for a sample follow from the seed, the epoch and the record alone: they are
    the same on any device, with any number of threads or parts, any batch size, and after a resume.

    Parameters
    ----------
    path_imgrec : the record file; or several, as a sequence or joined by ";", or a directory of
        ``*.rec`` files
    data_shape : (channels, height, width) of the output; 1 channel is gray, 3 RGB, 4 RGBA
    batch_size : images in a batch
    path_imgidx : the index, or one for each record file. Without one, the record files are walked
        at the start
    path_imglist : an im2rec list whose labels replace those in the records; lines are found by the
        records' id
    label_width : numbers in a label
    resize : scale the shorter side to so many pixels before the crop; -1: leave the size
    rand_crop : crop at a random place instead of the centre. Pictures smaller than the crop are
        enlarged
    random_resized_crop : crop a random area of a random aspect ratio and scale it to the output
    min_random_area, max_random_area : range of that area, as a share of the picture
    min_aspect_ratio, max_aspect_ratio : range of that width/height (or, with even chances,
        height/width); without min_aspect_ratio the range is 1 - max_aspect_ratio to 1 +
        max_aspect_ratio
    rand_mirror : mirror every second image, at random
    mirror : mirror every image
    mean_r, mean_g, mean_b, mean_a : subtracted from each channel, in levels of 0 to 255
    std_r, std_g, std_b, std_a : each channel is divided by these
    scale : then multiplied by this; ``(pixel - mean) * (scale / std)``
    inter_method : interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos, 9 bicubic to
        enlarge and area to shrink, 10 one of 0 to 4 at random
    shuffle : a new order of all records each epoch
    seed : decides the order
    seed_aug : decides the augmentation; None: `seed`
    round_batch : an incomplete last batch is filled with the next epoch's first images, and that
        epoch goes on after them; if False, it is filled with images of the same epoch, and each
        epoch begins afresh. `pad` counts them
    num_parts, part_index : the records are cut into so many contiguous parts, of which this one is
        read. ``num_parts="auto"`` takes both from the launcher's variables (torchrun, Open MPI,
        MVAPICH, PMI, Slurm)
    preprocess_threads : decoding threads
    prefetch_buffer : batches that are made ahead
    dtype : "float32" (None means that), "float16", "uint8" or "int8". uint8 ignores mean, std and
        scale; int8 subtracts the rounded mean and saturates
    layout : "NCHW" or "NHWC"
    ctx : the device, such as ``gpu(0)`` or "gpu:0"; None: the current context
    on_error : what to do about a record that cannot be used. "raise"; "skip": the batch closes up,
        and `pad` counts the rows missing at its end, which repeat others; "substitute": another
        image of the batch stands in its place. `bad_records` lists them
    quarantine : a list of records to leave out, as `write_quarantine` and ``gpuio verify`` write it
    last_batch_handle : instead of round_batch: "pad" (as round_batch=False), "discard" the
        incomplete batch, or "roll_over": it becomes the beginning of the next epoch's first batch
    partition : "contiguous" parts, as MXNet cuts them, or "global": all records are in one order,
        and part i takes the i-th slice of each global batch, so that the order is the same for any
        number of parts. None: "global" with ``num_parts="auto"``, else "contiguous"
    antialias : when shrinking, average all pixels that fall into one, as Pillow and torchvision do
        (MXNet does not)
    executor : "host" or "dali"; None: "host" on the CPU, "dali" on a GPU. "dali" on the CPU runs
        DALI's CPU operators
    hw_decoder_load : on a GPU, the share of images offered to its JPEG engines
    data_name, label_name : the arrays' names
    verbose : log what was opened, through the logger "gpuio"

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, channels, height, width) or as `layout` has it
    provide_label : one DataDesc: float32 (batch_size,), or (batch_size, label_width)
    bad_records : the records that `on_error` left out or replaced so far, as BadRecord(key, place,
        reason)

    Raises
    ------
    ArgumentError : a value is out of range, or two contradict each other.
    UnsupportedError : an option of MXNet that is not here yet.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    ContextError : the device is not there.

    Examples
    --------
    >>> train = ImageRecordIter(
    ...     path_imgrec="train.rec", path_imgidx="train.idx",
    ...     data_shape=(3, 224, 224), batch_size=256, shuffle=True, rand_mirror=True,
    ...     random_resized_crop=True, min_random_area=0.08,
    ...     min_aspect_ratio=3 / 4, max_aspect_ratio=4 / 3, ctx="gpu:0",
    ... )
    >>> for batch in train:
    ...     images, labels = batch.data[0], batch.label[0]
    """

    def __init__(
        self,
        *,
        path_imgrec: Path | Sequence[Path],
        data_shape: Sequence[int],
        batch_size: int,
        path_imgidx: Path | Sequence[Path] | None = None,
        path_imglist: Path | None = None,
        label_width: int = 1,
        resize: int = -1,
        rand_crop: bool = False,
        random_resized_crop: bool = False,
        min_random_area: float = 1.0,
        max_random_area: float = 1.0,
        min_aspect_ratio: float | None = None,
        max_aspect_ratio: float = 0.0,
        rand_mirror: bool = False,
        mirror: bool = False,
        mean_r: float = 0.0,
        mean_g: float = 0.0,
        mean_b: float = 0.0,
        mean_a: float = 0.0,
        std_r: float = 1.0,
        std_g: float = 1.0,
        std_b: float = 1.0,
        std_a: float = 1.0,
        scale: float = 1.0,
        inter_method: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        seed_aug: int | None = None,
        round_batch: bool = True,
        num_parts: int | str = 1,
        part_index: int = 0,
        preprocess_threads: int = 4,
        prefetch_buffer: int = 4,
        dtype: DTypeLike | None = None,
        layout: str = "NCHW",
        ctx: Context | str | None = None,
        on_error: str = "raise",
        quarantine: Path | None = None,
        last_batch_handle: str | None = None,
        partition: str | None = None,
        antialias: bool = False,
        executor: str | None = None,
        hw_decoder_load: float = 0.65,
        data_name: str = "data",
        label_name: str = "softmax_label",
        verbose: bool = True,
        **others: Any,
    ) -> None:
        known = inspect.signature(ImageRecordIter.__init__).parameters
        refuse_unknown(others, known, type(self).__name__)
        super().__init__(whole_number("batch_size", batch_size, 1))
        channels, height, width = image_shape(data_shape)
        label_width = whole_number("label_width", label_width, 1)
        threads = whole_number("preprocess_threads", preprocess_threads, 1)
        ahead = whole_number("prefetch_buffer", prefetch_buffer, 1)
        seed = whole_number("seed", seed)
        seed_aug = seed if seed_aug is None else whole_number("seed_aug", seed_aug)
        if on_error not in POLICIES:
            raise ArgumentError(f"on_error must be one of {', '.join(POLICIES)}, not {on_error!r}")
        if not 0 <= number("hw_decoder_load", hw_decoder_load) <= 1:
            raise ArgumentError(f"hw_decoder_load is a share, 0 to 1, not {hw_decoder_load}")
        self._ctx = as_context(ctx)
        require(self._ctx)
        augment = Augment(
            height=height,
            width=width,
            resize=None if resize == -1 else whole_number("resize", resize, 1),
            rand_crop=switch("rand_crop", rand_crop),
            resized_crop=switch("random_resized_crop", random_resized_crop),
            **crop_ranges(
                switch("random_resized_crop", random_resized_crop),
                min_random_area,
                max_random_area,
                min_aspect_ratio,
                max_aspect_ratio,
            ),
            mirror=switch("mirror", mirror),
            rand_mirror=switch("rand_mirror", rand_mirror),
            method=whole_number("inter_method", inter_method, 0),
            antialias=switch("antialias", antialias),
        )
        output = Output(
            channels=channels,
            height=height,
            width=width,
            dtype=np.float32 if dtype is None else dtype,  # type: ignore[arg-type]  # checked there
            layout=layout,
            mean=(
                number("mean_r", mean_r),
                number("mean_g", mean_g),
                number("mean_b", mean_b),
                number("mean_a", mean_a),
            ),
            std=(
                number("std_r", std_r),
                number("std_g", std_g),
                number("std_b", std_b),
                number("std_a", std_a),
            ),
            scale=number("scale", scale),
        )
        part = resolve_parts(num_parts, part_index, partition)
        left_out = [] if quarantine is None else read_quarantine(quarantine)
        self._records = RecordSet(path_imgrec, path_imgidx or None)
        try:
            order, selection = _order(
                self._records,
                part,
                batch_size,
                switch("shuffle", shuffle),
                seed,
                ending_of(switch("round_batch", round_batch), last_batch_handle),
                left_out,
            )
            labels: LabelSource = (
                ListLabels(path_imglist, label_width) if path_imglist else HeaderLabels(label_width)
            )
            preparer = Preparer(
                self._records,
                selection,
                partial(_read, self._records, labels),
                partial(_plan, augment, seed_aug),
                partial(_room, label_width),
            )
            runner = plan_executor(
                executor_of(executor, self._ctx),
                preparer,
                output,
                self._ctx,
                batch_size=batch_size,
                antialias=augment.antialias,
                policy=on_error,
                threads=threads,
                hw_decoder_load=hw_decoder_load,
            )
        except BaseException:
            self._records.close()
            raise
        self._part = part
        self._left_out = identity_of(left_out)
        self._loader = Loader(order, runner, ahead)
        self._label_width = label_width
        self._bad: dict[str, BadRecord] = {}
        self._useful = False  # whether any record of this epoch could be used
        self._draw_from(
            self._loader,
            [DataDesc(data_name, output.shape(batch_size), output.dtype.type, layout)],
            [DataDesc(label_name, self._labels_shape(), np.float32)],
        )
        if verbose:
            log.info(
                "%s: %d records, %d in this part, on %s",
                ", ".join(self._records.paths),
                len(self._records),
                order.size,
                self._ctx,
            )

    @property
    def num_data(self) -> int:
        """Images in an epoch of this part, good and bad."""
        return self._loader.order.size

    @property
    def bad_records(self) -> list[BadRecord]:
        """The records that `on_error` left out or replaced so far, in the order in which they
        came.
        """
        return list(self._bad.values())

    def write_quarantine(self, path: Path) -> int:
        """Write the list of `bad_records`, for the `quarantine` of later runs; gives their number.

        Raises
        ------
        RecordError : the file cannot be written.
        """
        entries = [
            Entry(os.path.basename(bad.file), bad.offset, bad.key, bad.reason)
            for bad in self.bad_records
        ]
        write_quarantine(path, entries)
        return len(entries)

    def __len__(self) -> int:
        """Batches in the current epoch. With round_batch it can differ by one from epoch to
        epoch.
        """
        return self._loader.order.batches(self._loader.start)

    def close(self) -> None:
        """Stop what runs behind the caller and close the files. May be called twice."""
        super().close()
        self._records.close()

    def _batch_of(self, drawn: Loaded) -> DataBatch | None:
        for bad in drawn.bad:
            self._bad.setdefault(bad.place, bad)
        if drawn.data is not None:
            self._useful = True
            label = nd.array(drawn.label.reshape(self._labels_shape()), ctx=self._ctx)
            return DataBatch([nd.wrap(drawn.data)], [label], drawn.pad, drawn.key)
        if self._loader.ended and not self._useful:
            first = drawn.bad[0]
            raise Error(f"not one record of the epoch could be used; {first.place}: {first.reason}")
        return None

    def reset(self) -> None:
        """Begin the next epoch, as every iterator does."""
        super().reset()
        self._useful = False

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where an iterator was, as every iterator does."""
        super().load_state_dict(state)
        self._useful = self._loader.position > self._loader.start

    def _identity(self) -> dict[str, Any]:
        return {
            "data": self._records.fingerprint,
            **self._loader.order.identity(),
            "part": self._part.identity,
            "quarantine": self._left_out,
        }

    def _labels_shape(self) -> tuple[int, ...]:
        if self._label_width == 1:
            return (self.batch_size,)
        return (self.batch_size, self._label_width)


class ImageRecordUInt8Iter(ImageRecordIter):
    """ImageRecordIter with dtype "uint8"."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{**arguments, "dtype": "uint8"})


class ImageRecordInt8Iter(ImageRecordIter):
    """ImageRecordIter with dtype "int8"."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{**arguments, "dtype": "int8"})


def _read(
    records: RecordSet, labels: LabelSource, ordinal: int
) -> tuple[float | NDArray[np.float32], NDArray[np.uint8]]:
    header, data = records.record(ordinal)
    return labels(header), data


def _plan(augment: Augment, seed: int, draft: Draft) -> Plan:
    return plan(augment, draft.sizes, seed, draft.epoch, draft.record)


def _room(label_width: int, rows: int) -> NDArray[np.float32]:
    return np.zeros((rows, label_width), np.float32)


def _order(
    records: RecordSet,
    part: Part,
    batch_size: int,
    shuffle: bool,
    seed: int,
    ending: str,
    left_out: list[Entry],
) -> tuple[Order, Sequence[int] | NDArray[np.int64]]:
    """The order of this part's samples, and the records that it numbers."""
    images = records.without(records.image_ordinals(), left_out)
    if part.mode == "contiguous":
        images = contiguous(images, records, part)
    if not len(records):
        raise ArgumentError(f"{', '.join(records.paths)}: there are no records")
    if not len(images):
        raise ArgumentError(
            f"part {part.index} of {part.count} has no records; there are {len(records)} in all"
        )
    rank, world = (part.index, part.count) if part.mode == "global" else (0, 1)
    order = Order(len(images), batch_size, shuffle, seed, ending, rank, world)
    return order, images
