"""ImageIter: images from record files, lists or image files, through augmenters, to batches."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from gpuio import nd
from gpuio.context import Context, cpu
from gpuio.decoding.limits import call_with_max_pixels
from gpuio.errors import ArgumentError, Error, RecordError
from gpuio.execution.output import OutputSpec
from gpuio.execution.per_sample import PerSampleRenderer, SampleFunctions
from gpuio.image.augmenter import apply_augmenters
from gpuio.image.codec import imdecode
from gpuio.image.create_augmenter import AugmenterOptions, CreateAugmenter
from gpuio.image.det_augmenter import DetAugmenter
from gpuio.image.next_sample import NextSampleStream
from gpuio.iterators.arguments import (
    LAST_BATCH_HANDLES,
    as_batch_size,
    as_choice,
    as_image_shape,
    as_int,
    as_shuffle,
    check_call,
    reject_unknown,
)
from gpuio.iterators.augmentation import as_mixer
from gpuio.iterators.image_loader_iter import ImageLoaderIter, LoaderOptions
from gpuio.iterators.stream_iter import RESET_MEANWHILE
from gpuio.iterators.weak_method import weak_method
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.labels import read_label_table
from gpuio.loading.source import FileSource, ImageSource, RecordSource
from gpuio.loading.stream import CLOSED, drop_carried
from gpuio.planning.augmenters import AugmenterPlanner, unplannable_reason
from gpuio.planning.mixing import CutMix, MixUp, check_class
from gpuio.planning.planner import Label
from gpuio.recordio import RecordSet
from gpuio.recordio.lists import items_of, read_list
from gpuio.sampling.sample_rng import current_rng
from gpuio.sampling.sharding import equal_shard, resolve_shard
from gpuio.storage.local import Path
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import shown

if TYPE_CHECKING:
    from typing_extensions import Unpack

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("gpuio")

# Dtypes that MXNet accepts for the labels of a list.
LABEL_DTYPES = ("int32", "int64", "float32", "float64")

# Methods that a subclass may replace, and that a plan does not call.
HOOKS = (
    "imdecode",
    "check_valid_image",
    "augmentation_transform",
    "postprocess_data",
    "next_sample",
    "auglist",
)


class ImageIter(ImageLoaderIter):
    """Batches of images from record files, image files or lists, through augmenters.

    Names, defaults and meanings are MXNet's. A list of gpuio's own augmenters, such as
    `CreateAugmenter` gives, becomes a plan that runs as ImageRecordIter's does: on a GPU by NVIDIA
    DALI, on the CPU in threads. Each image is then resampled once, and changes of color are one
    matrix.

    These run sample by sample, in threads on the CPU, and the batches are copied to `ctx`: lists
    with an augmenter of your own that has no `trace`, subclasses that replace one of the methods
    below (other than `read_image` and `check_data_shape`), and lists that use two interpolations,
    move pixels after changing colors, or make images small and then large again. That costs up to
    twice the time on a CPU, and on a GPU the CPU is the bottleneck; a log message at level INFO
    says why. Batches are made ahead of the caller.

    The random choices for a sample depend on the seed, the epoch and the record alone, as long as
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
    path_root : the folder that the list's paths are relative to, or its URL; None: the current one
    path_imgidx : the index of the record file
    shuffle : a new order each epoch. True: a permutation of all images; "blocks": with record
        files, as in ImageRecordIter
    part_index, num_parts : divide the images into this many parts of equal size, and read this one;
        the images left over at the end are in none, as in MXNet. ``num_parts="auto"`` takes both
        from the launcher's environment variables, and each part then gets its slice of every global
        batch
    aug_list : the augmenters; None: those that `CreateAugmenter` creates from the further arguments
    imglist : a list in memory, instead of a file: items [label, path], [[label, …], path] or
        [label, …, path]
    data_name, label_name : names of the arrays
    dtype : accepted for MXNet's sake; labels are float32
    last_batch_handle : "pad": an incomplete last batch is filled with the epoch's first images, and
        `pad` counts them; "discard"; or "roll_over": it becomes the beginning of the next epoch's
        first batch, whose `pad` counts the rows that follow, as in MXNet, although they are valid
        (`DataBatch.padding` does not)
    ctx : the device of the batches; None: the current context
    seed : determines order and augmentation
    preprocess_threads : threads that make samples; None: all CPUs, or 4 on a CPU without the native
        module, or if samples are made one by one
    prefetch_buffer : batches made ahead of the caller; their encoded image files are kept in memory
    on_error : what to do about a sample that cannot be used, as in ImageRecordIter: "raise", "skip"
        or "substitute"
    executor : as in ImageRecordIter: "host", "dali", or None: the one for the device
    batch_augment : mix the images of each batch, and their labels, as in ImageRecordIter:
        `gpuio.image.MixUp` or `CutMix`, or a list of both. Images are mixed after the augmenters,
        and labels then have the shape that these say
    max_pixels, block_size, pool_blocks : as in ImageRecordIter
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : for remote files, as in
        ImageRecordIter; `readahead` for record files only
    kwargs : of `CreateAugmenter`: resize, rand_crop, rand_resize, rand_mirror, mean, std,
        brightness, contrast, saturation, hue, pca_noise, rand_gray, inter_method

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, 3, height, width)
    provide_label : one DataDesc: float32 (batch_size,), or (batch_size, label_width); with
        `batch_augment` as `MixUp` says
    auglist : the augmenters, a tuple; others may be set
    bad_records : the samples that `on_error` has left out or replaced so far

    Raises
    ------
    ArgumentError : there is no source or more than one, or a value is out of range.
    TypeError : there is no such argument.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was first
        read; raised whatever `on_error` is.
    ContextError : the device is not available.

    Examples
    --------
    >>> train = ImageIter(
    ...     64, (3, 224, 224), path_imglist="train.lst", path_root="photos", shuffle=True,
    ...     resize=256, rand_crop=True, rand_mirror=True, mean=True, std=True,
    ... )
    >>> for batch in train:
    ...     images, labels = batch.data[0], batch.label[0]
    """

    # The further arguments.
    _augmenter_options: ClassVar[type] = AugmenterOptions

    @check_call
    def __init__(
        self,
        batch_size: int,
        data_shape: Sequence[int],
        label_width: int = 1,
        path_imgrec: Path | Sequence[Path] | None = None,
        path_imglist: Path | None = None,
        path_root: Path | None = None,
        path_imgidx: Path | Sequence[Path] | None = None,
        shuffle: bool | str = False,
        part_index: int = 0,
        num_parts: int | str = 1,
        aug_list: Sequence[Any] | None = None,
        imglist: Sequence[Any] | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: DTypeLike = "float32",
        last_batch_handle: str = "pad",
        *,
        ctx: Context | str | None = None,
        seed: int = 0,
        preprocess_threads: int | None = None,
        prefetch_buffer: int = 4,
        on_error: str = "raise",
        executor: str | None = None,
        batch_augment: MixUp | CutMix | Sequence[MixUp | CutMix] | None = None,
        max_pixels: int | None = None,
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
        block_size: int | str = "8MB",
        pool_blocks: int = 16,
        **kwargs: Unpack[AugmenterOptions],
    ) -> None:
        self._reject_unknown(kwargs)
        super().__init__(as_batch_size(batch_size))
        self.check_data_shape(data_shape)
        self.data_shape = as_image_shape(data_shape)
        self.label_width = as_int("label_width", label_width, 1)
        _check_label_dtype(dtype)
        self.last_batch_handle = as_choice(
            "last_batch_handle", last_batch_handle, LAST_BATCH_HANDLES
        )
        remote = self._as_remote(
            cache_dir, cache_limit, storage_options, retries, timeout, readahead
        )
        options = LoaderOptions(
            batch_size=batch_size,
            shuffle=as_shuffle(type(self).__name__, shuffle, block_size, pool_blocks),
            seed=seed,
            last_batch=self.last_batch_handle,
            shard=resolve_shard(num_parts, part_index, None),
            ctx=ctx,
            executor=executor,
            preprocess_threads=preprocess_threads,
            prefetch_buffer=prefetch_buffer,
            on_error=on_error,
            data_name=data_name,
            label_name=label_name,
            max_pixels=max_pixels,
            remote=remote,
        )
        self._mixer = as_mixer("batch_augment", batch_augment, options.seed, self.label_width)
        if self._mixer is not None and type(self).next_sample is not ImageIter.next_sample:
            raise ArgumentError(
                f"batch_augment does not go with the next_sample of {type(self).__name__}; mix the "
                "batches as they come, or replace other methods"
            )
        if aug_list is not None and kwargs:
            raise TypeError(f"aug_list is given, so {next(iter(kwargs))} has no effect")
        self._auglist = self._checked(
            self._create_augmenters(kwargs) if aug_list is None else aug_list
        )
        self._changes: dict[str, Any] = {}  # attributes set later, for copies
        self._given = 0, 0  # an epoch, and the samples that next_sample has given in it
        self._sample_stream: NextSampleStream | None = None  # if next_sample is replaced
        self._root = _as_folder("path_root", path_root)
        self.path_root = shown(self._root)
        source = self._open_source(path_imgrec, path_imgidx, path_imglist, imglist, remote)
        try:
            self._measure_labels(source, options.on_error != "raise")
            self._open(source, equal_shard(source.images, options.shard), options)
            self._start()
        except BaseException:
            source.close()
            raise

    def _reject_unknown(self, options: Mapping[str, Any]) -> None:
        """Check the names of the further arguments.

        Raises
        ------
        TypeError : there is no such argument.
        """
        of_augmenters = self._augmenter_options.__annotations__
        unknown = {name: value for name, value in options.items() if name not in of_augmenters}
        known = inspect.signature(type(self).__init__).parameters
        reject_unknown(unknown, [*known, *of_augmenters], type(self).__name__)

    def _open_source(
        self,
        path_imgrec: Path | Sequence[Path] | None,
        path_imgidx: Path | Sequence[Path] | None,
        path_imglist: Path | None,
        imglist: Sequence[Any] | None,
        remote: RemoteOptions,
    ) -> ImageSource:
        """Open the source that the arguments name.

        Raises
        ------
        ArgumentError : there is none, or more than one, or it has no images.
        RecordError, RecordFileNotFoundError : the files are missing or damaged.
        """
        if path_imgrec and imglist is not None:
            raise ArgumentError("path_imgrec and imglist are two sources; give one")
        if path_imglist is not None and imglist is not None:
            raise ArgumentError("path_imglist and imglist are two lists; give one")
        source: ImageSource
        if path_imgrec:
            table = None if path_imglist is None else read_label_table(path_imglist, remote=remote)
            source = RecordSource(RecordSet(path_imgrec, path_imgidx or None, remote), table)
        elif path_imglist is not None or imglist is not None:
            if imglist is not None and not isinstance(imglist, (list, tuple)):
                raise ArgumentError(
                    "imglist must be a list of lists, a label (or several) and the path of an "
                    f"image, such as [[0, 'a.jpg']], not {imglist!r}"
                )
            listed = (
                items_of(imglist or ())
                if path_imglist is None
                else read_list(path_imglist, remote=remote)
            )
            own_reader = type(self).read_image is not ImageIter.read_image
            read_file = weak_method(self.read_image) if own_reader else None
            source = FileSource(listed, self._root, read_file, remote)
        else:
            raise ArgumentError("name a source: path_imgrec, path_imglist or imglist")
        if not len(source.images):
            source.close()
            raise ArgumentError("the source has no images")
        return source

    def _measure_labels(self, source: ImageSource, skip_bad: bool) -> None:
        """Determine the shape of the labels, if that depends on the source.

        Parameters
        ----------
        skip_bad : ignore records that cannot be used
        """

    def _start(self) -> None:
        """Start loading, at the present position, with the present augmenters and shapes."""
        output = OutputSpec(3, *self.data_shape[1:], np.dtype(np.float32), "NCHW")
        replaced = self._replaced_hooks()
        if replaced:
            reason: str | None = f"{type(self).__name__} has a method {replaced[0]} of its own"
        else:
            reason = unplannable_reason(self._auglist)
        if reason is not None:
            self._start_per_sample(output, reason)
            return
        planner = AugmenterPlanner(
            self._auglist,
            (output.width, output.height),
            self._options.seed,
            self._label_parser(),
            self._label_finisher(),
        )
        output = replace(output, mean=planner.mean, std=planner.std)
        self._load(
            planner, output, *self._label_layout(), apply_orientation=False, mixer=self._mixer
        )

    def _start_per_sample(self, output: OutputSpec, reason: str) -> None:
        """Start loading without plans, for a reason."""
        if self._options.executor == "dali":
            raise ArgumentError(f"executor='dali' runs plans only, but {reason}")
        log.info("augmenters run one by one on the CPU, because %s", reason)
        options = self._options
        options.check_memory(output, ())
        renderer = PerSampleRenderer(
            self._functions(), self.data_shape, options.seed, options.limit
        )
        label_shape, label_fill = self._label_layout()
        if type(self).next_sample is ImageIter.next_sample:
            self._load(renderer, output, label_shape, label_fill, mixer=self._mixer)
            return
        if self._sample_stream is None:
            self._sample_stream = NextSampleStream(
                weak_method(self.next_sample),
                batch_size=self.batch_size,
                last_batch=self.last_batch_handle,
                on_error=self._options.on_error,
                seed=self._options.seed,
            )
        self._may_nest = True
        self._sample_stream.set_renderer(renderer, label_shape, label_fill)
        self._use_stream(self._sample_stream, output, label_shape)

    def _functions(self) -> SampleFunctions:
        """What each sample goes through: of this object, only methods that a subclass replaces."""
        replaced = self._replaced_hooks()

        def hook(name: str, default: Callable[P, R]) -> Callable[P, R]:
            return weak_method(getattr(self, name)) if name in replaced else default

        return SampleFunctions(
            parse_label=self._label_parser(),
            decode=hook("imdecode", _decode),
            check=hook("check_valid_image", _check_valid),
            augment=self._augment_function(
                "augmentation_transform" in replaced or "auglist" in replaced
            ),
            postprocess=hook("postprocess_data", _channels_first),
            finish_label=self._label_finisher(),
        )

    def _augment_function(
        self, replaced: bool
    ) -> Callable[[nd.NDArray, Label], tuple[nd.NDArray, Label]]:
        """What applies the augmenters to an image and its label."""
        augmenters = self._auglist
        transform = weak_method(self.augmentation_transform) if replaced else None

        def augment(image: nd.NDArray, label: Label) -> tuple[nd.NDArray, Label]:
            if transform is not None:
                return transform(image), label
            return apply_augmenters(augmenters, image, current_rng()), label

        return augment

    def _label_layout(self) -> tuple[tuple[int, ...], float]:
        """Shape of one sample's label, and its initial value."""
        return () if self.label_width == 1 else (self.label_width,), 0.0

    def _label_parser(self) -> Callable[[Label], Label]:
        """What checks a record's label; it must not keep the iterator alive."""
        width = self.label_width
        classes = None if self._mixer is None else self._mixer.classes

        def parse(label: Label) -> Label:
            numbers = np.atleast_1d(np.asarray(label, np.float32))
            if len(numbers) not in (1, width):
                raise RecordError(
                    f"the label holds {len(numbers)} numbers, label_width asks for {width}"
                )
            check_class(float(numbers[0]), classes)
            return numbers

        return parse

    def _label_finisher(self) -> Callable[[Label], Label]:
        """What makes a row of the batch's labels; it must not keep the iterator alive."""
        return lambda label: label

    def _replaced_hooks(self) -> list[str]:
        """The methods that a subclass replaces and that a plan does not call."""
        return replaced_hooks(type(self), ImageIter)

    def _checked(self, augmenters: Any) -> tuple[Any, ...]:
        """Check a list of augmenters.

        Raises
        ------
        ArgumentError : it is not a list, or an item is not an augmenter of this iterator's kind.
        """
        if not isinstance(augmenters, (list, tuple)):
            raise ArgumentError(f"aug_list is a list of augmenters, not {augmenters!r}")
        for each in augmenters:
            self._check_augmenter(each)
        return tuple(augmenters)

    def _check_augmenter(self, augmenter: Any) -> None:
        if isinstance(augmenter, (type, DetAugmenter)) or not callable(augmenter):
            raise ArgumentError(f"aug_list holds augmenters of images, not {augmenter!r}")

    def _create_augmenters(self, options: Any) -> list[Any]:
        """Create the augmenters that the further arguments ask for."""
        return CreateAugmenter(self.data_shape, **options)

    def _restart(self) -> None:
        """Continue with the present augmenters and shapes.

        Raises
        ------
        Error : the iterator is closed.
        """
        if self._loader is not None and self._loader.closed:
            raise Error(CLOSED)
        self._start()

    @property
    def auglist(self) -> tuple[Any, ...]:
        """The augmenters. Others may be set; they apply from the next batch on, which is after that
        for which another thread waits. Setting the same ones applies changes of their attributes.
        """
        return self._auglist

    @auglist.setter
    def auglist(self, augmenters: Sequence[Any]) -> None:
        with self._turns.lock:
            before, self._auglist = self._auglist, self._checked(augmenters)
            try:
                self._restart()
            except BaseException:
                self._auglist = before
                raise
            self._changes["auglist"] = self._auglist

    def check_data_shape(self, data_shape: Sequence[int]) -> None:
        """Check a shape of the data.

        Raises
        ------
        ValueError : it is not (3, height, width).
        """
        if not isinstance(data_shape, (Sequence, np.ndarray)) or len(data_shape) != 3:
            raise ArgumentError(
                "data_shape should have length 3, with dimensions CxHxW, such as (3, 224, 224), "
                f"not {data_shape!r}"
            )
        if data_shape[0] != 3:
            raise ArgumentError("This iterator expects inputs to have 3 channels.")

    def next_sample(self) -> tuple[Any, Any]:
        """The next sample of the epoch in its order; `reset` begins with the first.

        A subclass that replaces it determines the content of the batches. They are then made when
        they are asked for, on the caller's thread, and the iterator cannot save its state.

        Returns
        -------
        The label, a number or float32 (n,), and the image file's content

        Raises
        ------
        StopIteration : the epoch has ended.
        """
        order = self._order
        epoch, given = self._given
        if epoch != self.epoch:
            given = 0
        batch, row = divmod(given, order.batch_size)
        place = batch * order.global_batch_size + order.rank * order.batch_size + row
        if place >= order.size:
            raise StopIteration
        index = int(order.records(np.array([self.epoch]), np.array([place]))[0])
        self._given = self.epoch, given + 1
        label, data = self._source.read(index)
        return np.atleast_1d(np.asarray(label, np.float32)), data

    def read_image(self, fname: str) -> bytes:
        """Read an image file that a list names; called by several threads.

        Raises
        ------
        RecordError : it cannot be read.
        """
        assert isinstance(self._source, FileSource)
        return self._source.read_file(fname)

    def imdecode(self, s: Any) -> nd.NDArray:
        """Decode a sample's image: uint8 (height, width, 3), RGB; called by several threads.

        Raises
        ------
        DecodeError : it is empty, or not an image.
        """
        return call_with_max_pixels(self._options.limit, _decode, s)

    def check_valid_image(self, data: Sequence[nd.NDArray]) -> None:
        """Check an image, [image]; called by several threads.

        Raises
        ------
        RuntimeError : it is not valid. The sample is then a bad record; see `on_error`.
        """
        _check_valid(data)

    def augmentation_transform(self, data: nd.NDArray) -> nd.NDArray:
        """Apply all augmenters to an image; called by several threads."""
        return apply_augmenters(self.auglist, data, current_rng())

    def postprocess_data(self, datum: nd.NDArray) -> Any:
        """Convert an augmented image to the layout of the batch, (3, height, width); called by
        several threads.
        """
        return _channels_first(datum)

    def _begin_epoch(self) -> None:
        super()._begin_epoch()
        self._given = self.epoch, 0

    def hard_reset(self) -> None:
        """Begin the next epoch with its first image, without samples that would roll over."""
        self._change(RESET_MEANWHILE, self._begin_with_first)

    def _begin_with_first(self) -> None:
        self._begin_epoch()
        if self._sample_stream is not None:
            self._sample_stream.drop_carried()
            return
        assert self._loader is not None, "samples come from a loader, or from next_sample"
        drop_carried(self._loader, self._order)

    def _reported_pad(self, loaded: LoadedBatch) -> int:
        # As MXNet, count the rows that follow those that rolled over, although they are valid.
        following = self.batch_size - loaded.carried if loaded.carried else 0
        return max(loaded.pad, following)

    def _changed(self) -> dict[str, Any]:
        return self._changes


def _check_label_dtype(dtype: DTypeLike) -> None:
    try:
        name = np.dtype(dtype).name
    except (TypeError, ValueError):
        name = ""
    if name not in LABEL_DTYPES:
        raise ArgumentError(f"dtype must be one of {', '.join(LABEL_DTYPES)}, not {dtype!r}")


def _as_folder(name: str, path: Path | None) -> str:
    """Check the path of a folder; None is the current one."""
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"{name} must be the path of a folder, not {path!r}")
    return "" if path is None else os.fspath(path)


def replaced_hooks(kind: type, base: type) -> list[str]:
    """The HOOKS that a class replaces of a class that it derives from."""
    return [name for name in HOOKS if getattr(kind, name) is not getattr(base, name)]


def _decode(encoded: Any) -> nd.NDArray:
    image: nd.NDArray = imdecode(encoded, ctx=cpu())
    return image


def _check_valid(images: Sequence[nd.NDArray]) -> None:
    if len(images[0].shape) == 0:
        raise RuntimeError("Data shape is wrong")


def _channels_first(image: nd.NDArray) -> Any:
    return image.transpose(2, 0, 1)
