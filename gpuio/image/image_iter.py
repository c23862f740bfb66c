"""ImageIter: images from record files, folders or lists, through augmenters, to batches."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio import nd
from gpuio.context import Context, as_context, cpu, require
from gpuio.errors import ArgumentError, DecodeError, Error, RecordError
from gpuio.execution.assemble import Output
from gpuio.execution.executors import executor_of, plan_executor
from gpuio.execution.host import HostExecutor
from gpuio.image.augment import CreateAugmenter
from gpuio.image.augmenter import Augmenter
from gpuio.image.codec import imdecode
from gpuio.image.detection import DetAugmenter
from gpuio.image.owned import PerSampleRenderer, Prepare, Reader, Room
from gpuio.image.sampled import NextSampleStream
from gpuio.iterators.arguments import LAST_BATCH_HANDLES, as_bool, as_choice, as_image_shape, as_int
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stream_iter import StreamIter
from gpuio.loading.batch import POLICIES, BadRecord, BatchReader, LoadedBatch, Work, select
from gpuio.loading.loader import Executor, Loader
from gpuio.loading.source import FileSource, open_source, share
from gpuio.loading.stream import CLOSED
from gpuio.planning.augmenters import AugmenterPlanner, check_shape, own_hook, unplannable_reason
from gpuio.sampling import sample_rng as draws
from gpuio.sampling.order import Order
from gpuio.sampling.sharding import resolve_shard
from gpuio.storage.local import Path

if TYPE_CHECKING:
    from gpuio.nd import NDArray as Array

log = logging.getLogger("gpuio")

# What MXNet takes for the dtype of a list's labels.
LABEL_DTYPES = ("int32", "int64", "float32", "float64")


class ImageIter(StreamIter[LoadedBatch]):
    """Batches of images from record files, image files or lists, through augmenters.

    Names, defaults and meanings are MXNet's. A list of gpuio's own augmenters, such as
    `CreateAugmenter` gives, becomes a plan that runs as ImageRecordIter's does: on a GPU by NVIDIA
    DALI, on the CPU in threads. Each picture is then resampled once, and changes of colour are one
    matrix. With an augmenter of your own, or one of the methods below replaced, or a list that
    resamples in two interpolations, moves pixels behind changing colours, or makes pictures small
    and then large again, each sample goes through the augmenters one by one, in threads, on the
    CPU, and batches are copied to `ctx`. That costs up to twice the time on a CPU, and on a GPU the
    CPU is what limits; a line of the log at level INFO says why. Batches are made ahead of the
    caller.

    The random choices of a sample follow from the seed, the epoch and the record alone, as long as
    augmenters draw as gpuio's do. One of your own that draws from `random` or NumPy itself is
    called by several threads, in any order.

    A subclass may replace `imdecode`, `check_valid_image`, `augmentation_transform`,
    `postprocess_data`, `read_image` and `check_data_shape`; all but the last are called by several
    threads at once (``preprocess_threads=1``: by one). It may also replace `next_sample`.

    Parameters
    ----------
    batch_size : images in a batch
    data_shape : (3, height, width) of the output
    label_width : numbers in a label; a label of one number is repeated
    path_imgrec : a record file; or several, or a directory, as ImageRecordIter takes them
    path_imglist : an im2rec list. With `path_imgrec` its labels replace those in the records; alone
        it names the image files
    path_root : the folder that the list's paths start from; None: the current one
    path_imgidx : the index of the record file
    shuffle : a new order of all images each epoch
    part_index, num_parts : the images are cut into so many parts of equal size, of which this one
        is read; what is left over at the end is in none, as in MXNet. ``num_parts="auto"`` takes
        both from the launcher's variables, and each part then gets its slice of every global batch
    aug_list : the augmenters; None: those that `CreateAugmenter` makes of the further arguments
    imglist : a list in memory, instead of a file: items [label, path], [[label, …], path] or
        [label, …, path]
    data_name, label_name : the arrays' names
    dtype : accepted for MXNet's sake; labels are float32
    last_batch_handle : "pad": an incomplete last batch is filled with the epoch's first images, and
        `pad` counts them; "discard"; or "roll_over": it becomes the beginning of the next epoch's
        first batch
    ctx : the device of the batches; None: the current context
    seed : decides order and augmentation
    preprocess_threads : threads that make samples
    prefetch_buffer : batches that are made ahead; of a plan's, the image files are held in memory
    on_error : what to do about a sample that cannot be used, as in ImageRecordIter: "raise", "skip"
        or "substitute"
    executor : as in ImageRecordIter: "host", "dali", or None: the one for the device
    kwargs : of `CreateAugmenter`: resize, rand_crop, rand_resize, rand_mirror, mean, std,
        brightness, contrast, saturation, hue, pca_noise, rand_gray, inter_method

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, 3, height, width)
    provide_label : one DataDesc: float32 (batch_size,), or (batch_size, label_width)
    auglist : the augmenters, a tuple; others may be set
    bad_records : the samples that `on_error` left out or replaced so far

    Raises
    ------
    ArgumentError : there is no source or more than one, or a value is out of range.
    TypeError : there is no such argument.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    ContextError : the device is not there.

    Examples
    --------
    >>> train = ImageIter(
    ...     64, (3, 224, 224), path_imglist="train.lst", path_root="photos", shuffle=True,
    ...     resize=256, rand_crop=True, rand_mirror=True, mean=True, std=True,
    ... )
    >>> for batch in train:
    ...     images, labels = batch.data[0], batch.label[0]
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: Sequence[int],
        label_width: int = 1,
        path_imgrec: Path | Sequence[Path] | None = None,
        path_imglist: Path | None = None,
        path_root: Path | None = None,
        path_imgidx: Path | Sequence[Path] | None = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int | str = 1,
        aug_list: Sequence[Augmenter] | None = None,
        imglist: Sequence[Any] | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: DTypeLike = "float32",
        last_batch_handle: str = "pad",
        *,
        ctx: Context | str | None = None,
        seed: int = 0,
        preprocess_threads: int = 4,
        prefetch_buffer: int = 4,
        on_error: str = "raise",
        executor: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(as_int("batch_size", batch_size, 1))
        self.check_data_shape(data_shape)
        self.data_shape = as_image_shape(data_shape)
        self.label_width = as_int("label_width", label_width, 1)
        if np.dtype(dtype).name not in LABEL_DTYPES:
            raise ArgumentError(f"dtype must be one of {', '.join(LABEL_DTYPES)}, not {dtype!r}")
        as_choice("on_error", on_error, POLICIES)
        self._changes: dict[str, Any] = {}  # what has been set since, for copies
        self._seed = as_int("seed", seed)
        self._ctx = as_context(ctx)
        require(self._ctx)
        self._executor = executor
        executor_of(executor, self._ctx)
        if aug_list is not None and kwargs:
            raise TypeError(f"aug_list is given, so {next(iter(kwargs))} has no effect")
        self._auglist = self._listed(self._augmenters(kwargs) if aug_list is None else aug_list)
        self.last_batch_handle = as_choice(
            "last_batch_handle", last_batch_handle, LAST_BATCH_HANDLES
        )
        part = resolve_shard(num_parts, part_index, None)
        self.path_root = "" if path_root is None else os.fspath(path_root)
        self._source = open_source(path_imgrec, path_imgidx, path_imglist, imglist, self.path_root)
        try:
            self._ahead = as_int("prefetch_buffer", prefetch_buffer, 1)
            self._threads = as_int("preprocess_threads", preprocess_threads, 1)
            self._policy = on_error
            self._part = part
            self._selection = share(len(self._source), part)
            rank, world = (part.index, part.count) if part.mode == "global" else (0, 1)
            order = Order(
                len(self._selection),
                self.batch_size,
                as_bool("shuffle", shuffle),
                self._seed,
                self.last_batch_handle,
                rank,
                world,
            )
            self._asked = 0  # samples that next_sample has given in this epoch
            self._bad: dict[str, BadRecord] = {}
            self._names = data_name, label_name
            described = self._described()
            self._loader = Loader(order, self._runner(), self._ahead)
        except BaseException:
            self._source.close()
            raise
        # A subclass that replaces next_sample decides which samples come, one after another.
        own = type(self).next_sample is not ImageIter.next_sample
        self._draw_from(NextSampleStream(self, on_error) if own else self._loader, *described)

    def _runner(self) -> Executor[LoadedBatch]:
        """What makes the batches: of a plan where there can be one, else one augmenter after
        another.
        """
        reason = own_hook(type(self)) or unplannable_reason(self._auglist)
        if reason is None:
            planner = self._translation()
            output = Output(
                channels=3,
                height=self.data_shape[1],
                width=self.data_shape[2],
                dtype=np.dtype(np.float32),
                layout="NCHW",
                mean=planner.mean,
                std=planner.std,
            )
            preparer = BatchReader(
                self._source,
                self._selection,
                Reader(self),
                planner,
                Room(self),
                upright=False,
                canvases=planner.canvases,
            )
            return plan_executor(
                executor_of(self._executor, self._ctx),
                preparer,
                output,
                self._ctx,
                batch_size=self.batch_size,
                antialias=False,
                policy=self._policy,
                threads=self._threads,
            )
        if self._executor == "dali":
            raise ArgumentError(f"executor='dali' runs gpuio's own augmenters only, but {reason}")
        log.info("augmenters run one by one on the CPU, because %s", reason)
        return HostExecutor(
            Prepare(self, self._selection),
            PerSampleRenderer(self),
            self._source,
            policy=self._policy,
            threads=self._threads,
        )

    def _translation(self) -> AugmenterPlanner:
        height, width = self.data_shape[1:]
        return AugmenterPlanner(self._auglist, (width, height), self._seed)

    def _listed(self, augmenters: Any) -> tuple[Any, ...]:
        """The augmenters of a list.

        Raises
        ------
        ArgumentError : it is no list of augmenters, or not of such as this iterator runs.
        """
        if not isinstance(augmenters, (list, tuple)):
            raise ArgumentError(f"aug_list is a list of augmenters, not {augmenters!r}")
        self._check_augmenters(augmenters)
        return tuple(augmenters)

    def _check_augmenters(self, augmenters: Sequence[Any]) -> None:
        """Refuse what does not take a picture.

        Raises
        ------
        ArgumentError : an item is no augmenter, or one for detection.
        """
        for each in augmenters:
            if isinstance(each, (type, DetAugmenter)) or not callable(each):
                raise ArgumentError(f"aug_list holds augmenters of pictures, not {each!r}")

    def _restart(self) -> None:
        """Go on at the same place with the augmenters and shapes that are now set."""
        if self._loader.closed:
            raise Error(CLOSED)
        runner = self._runner()
        state = self._loader.state()
        self._loader.close()
        following = Loader(self._loader.order, runner, self._ahead)
        following.restore(state)
        if self._stream is self._loader:
            self._stream = following
        self._loader = following

    @property
    def auglist(self) -> tuple[Any, ...]:
        """The augmenters. Others may be set, but not while another thread waits for a batch; they
        count from the next one on. So do the same ones, if what they hold has been changed.
        """
        return self._auglist

    @auglist.setter
    def auglist(self, augmenters: Sequence[Any]) -> None:
        before, self._auglist = self._auglist, self._listed(augmenters)
        try:
            self._restart()
        except BaseException:
            self._auglist = before
            raise
        self._changes["auglist"] = self._auglist

    def _augmenters(self, options: dict[str, Any]) -> list[Any]:
        """Those that the further arguments ask for."""
        return CreateAugmenter(self.data_shape, **options)

    def empty_labels(self, rows: int) -> NDArray[np.float32]:
        """Room for the labels of some samples: float32 (rows, numbers)."""
        return np.zeros((rows, self.label_width), np.float32)

    def _described(self) -> tuple[list[DataDesc], list[DataDesc]]:
        data, label = self._names
        shape = (self.batch_size, *self.data_shape)
        return (
            [DataDesc(data, shape, np.float32, "NCHW")],
            [DataDesc(label, self._labels_shape(), np.float32)],
        )

    @property
    def num_data(self) -> int:
        """Images in an epoch of this part, good and bad."""
        return self._loader.order.size

    @property
    def bad_records(self) -> list[BadRecord]:
        """The samples that `on_error` left out or replaced so far, in the order in which they
        came.
        """
        return list(self._bad.values())

    def check_data_shape(self, data_shape: Sequence[int]) -> None:
        """Refuse a shape that this iterator does not make.

        Raises
        ------
        ValueError : it is not (3, height, width).
        """
        if len(data_shape) != 3:
            raise ArgumentError("data_shape should have length 3, with dimensions CxHxW")
        if data_shape[0] != 3:
            raise ArgumentError("This iterator expects inputs to have 3 channels.")

    def next_sample(self) -> tuple[NDArray[np.float32], Any]:
        """The next sample of the epoch in its order; `reset` begins with the first.

        A subclass that replaces it decides what the batches are made of. They are then made when
        they are asked for, in the caller's thread, and the iterator cannot save its state.

        Returns
        -------
        label, float32 (n,), and the image file's content

        Raises
        ------
        StopIteration : the epoch has ended.
        """
        order = self._loader.order
        if self._asked == order.size:
            raise StopIteration
        epoch, place = np.array([self.epoch]), np.array([self._asked])
        number = int(select(self._selection, order.records(epoch, place))[0])
        self._asked += 1
        return self._source.label(number), self.content(number)

    def content(self, number: int) -> Any:
        """The content of the image file of a source's sample: bytes, or uint8 (bytes,)."""
        if isinstance(self._source, FileSource):
            return self.read_image(self._source.name(number))
        return self._source.encoded(number)

    def read(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Label and content, uint8 (bytes,), of a source's sample; called by several threads.

        Raises
        ------
        RecordError : it cannot be used.
        """
        encoded = self.content(number)
        if not isinstance(encoded, np.ndarray):
            encoded = np.frombuffer(encoded, np.uint8)
        return self.numbers(self._source.label(number)), encoded

    def reset(self) -> None:
        """Begin the next epoch, as every iterator does."""
        super().reset()
        self._asked = 0

    def read_image(self, fname: str) -> bytes:
        """The content of an image file that a list names; called by several threads.

        Raises
        ------
        RecordError : it cannot be read.
        """
        assert isinstance(self._source, FileSource)
        return self._source.read(fname)

    def imdecode(self, s: Any) -> Array:
        """A sample's picture: uint8 (height, width, 3), RGB; called by several threads.

        Raises
        ------
        DecodeError : it is empty, or not an image.
        """
        return imdecode(s, ctx=cpu())

    def check_valid_image(self, data: Sequence[Array]) -> None:
        """Refuse a picture, [picture], that is none; called by several threads.

        Raises
        ------
        RuntimeError : it is none. The sample is then a bad one, of which `on_error` decides.
        """
        if len(data[0].shape) == 0:
            raise RuntimeError("Data shape is wrong")

    def augmentation_transform(self, data: Array) -> Array:
        """The picture behind all augmenters; called by several threads."""
        for augment in self.auglist:
            data = augment(data)
        return data

    def postprocess_data(self, datum: Array) -> Any:
        """The picture as it stands in the batch, (3, height, width); called by several threads."""
        return datum.transpose(2, 0, 1)

    def hard_reset(self) -> None:
        """Begin the next epoch with its first image; those that would have rolled over are
        dropped.
        """
        self.reset()
        if isinstance(self._stream, NextSampleStream):
            self._stream.forget()
            return
        position = self._loader.position
        if position % self.num_data:
            begin = self._loader.order.restart(position)
            self._stream.restore({"position": begin, "start": begin, "ended": False})

    def close(self) -> None:
        """Stop what runs behind the caller and close the files. May be called twice."""
        super().close()
        self._source.close()

    def write_sample(self, work: Work, row: int, batch: NDArray[Any]) -> None:
        """Make one sample and write it to its row of the batch; called by several threads.

        Raises
        ------
        Error : it cannot be used.
        """
        number = int(work.ordinal[row])
        encoded = self.content(number)
        drawn = int(work.take.epoch[row]), number
        self.render(self._source.label(number), encoded, drawn, batch[row], work.label[row])

    def render(
        self,
        label: Any,
        encoded: Any,
        drawn: tuple[int, int],
        picture_row: NDArray[Any],
        label_row: NDArray[np.float32],
    ) -> None:
        """Make a sample of a label and an encoded image, and write it to its rows.

        Parameters
        ----------
        drawn : epoch and number, from which, with the seed, its random choices follow
        picture_row : float32, of data_shape
        label_row : float32 (label_width,)

        Raises
        ------
        Error : it cannot be used.
        """
        numbers = self.numbers(label)
        picture = self._decoded(encoded)
        with draws.seeded(self._seed, *drawn):
            picture = self.augmentation_transform(picture)
        self._place(picture, picture_row)
        label_row[...] = numbers

    def numbers(self, label: Any) -> NDArray[np.float32]:
        """What a sample's label is made of: float32 (1,) or (label_width,).

        Raises
        ------
        RecordError : it has another width.
        """
        found = np.atleast_1d(np.asarray(label, np.float32))
        if len(found) not in (1, self.label_width):
            raise RecordError(
                f"the label holds {len(found)} numbers, label_width asks for {self.label_width}"
            )
        return found

    def _decoded(self, encoded: Any) -> Array:
        """A sample's picture, if it is one."""
        picture = self.imdecode(encoded)
        try:
            self.check_valid_image([picture])
        except RuntimeError as error:
            if isinstance(error, Error):
                raise
            raise DecodeError(str(error)) from error
        return picture

    def _place(self, picture: Array, row: NDArray[Any]) -> None:
        """Write a picture behind the augmenters to its row of a batch."""
        made = self.postprocess_data(picture)
        check_shape(tuple(made.shape), row.shape)
        row[...] = made

    def _batch_of(self, drawn: LoadedBatch) -> DataBatch | None:
        for bad in drawn.bad:
            self._bad.setdefault(bad.place, bad)
        if not drawn.data:
            if self.ended and self._loader.order.size == len(self._bad):
                first = drawn.bad[0]
                raise Error(
                    f"not one image of the epoch could be used; {first.place}: {first.reason}"
                )
            return None
        data = nd.wrap(drawn.data[0]).as_in_context(self._ctx)
        label = nd.array(drawn.label[0].reshape(self._labels_shape()), ctx=self._ctx)
        return DataBatch([data], [label], drawn.pad, drawn.keys)

    def _changed(self) -> dict[str, Any]:
        return self._changes

    def _identity(self) -> dict[str, Any]:
        return {
            "data": self._source.fingerprint,
            **self._loader.order.identity(),
            "part": self._part.identity,
        }

    def _labels_shape(self) -> tuple[int, ...]:
        if self.label_width == 1:
            return (self.batch_size,)
        return (self.batch_size, self.label_width)
