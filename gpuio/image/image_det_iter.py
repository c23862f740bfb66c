"""ImageDetIter: images with the bounding boxes of their objects."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuio import nd
from gpuio.context import Context
from gpuio.errors import ArgumentError, RecordError, UnsupportedError
from gpuio.image.augmenter import Augmenter
from gpuio.image.create_det_augmenter import CreateDetAugmenter, DetAugmenterOptions
from gpuio.image.det_augmenter import apply_det_augmenters
from gpuio.image.image_iter import ImageIter, replaced_hooks
from gpuio.iterators.arguments import as_image_shape, as_int, check_call
from gpuio.iterators.weak_method import weak_method
from gpuio.loading.source import ImageSource
from gpuio.planning.boxes import (
    MIN_HEADER_WIDTH,
    MIN_OBJECT_WIDTH,
    Boxes,
    is_degenerate,
    label_widths,
    split_label,
)
from gpuio.planning.planner import Label
from gpuio.sampling.sample_rng import current_rng
from gpuio.storage.local import Path

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Fills the rows of a label that have no object.
NO_OBJECT = -1.0


class ImageDetIter(ImageIter):
    """Batches of images and their objects' bounding boxes, through detection augmenters.

    A record's label is: the header's width, an object's width, more of the header, and objects:
    class, left, top, right, bottom (as fractions of the image's width and height), and further
    numbers. Degenerate boxes are left out; an image may have no object.

    Parameters
    ----------
    batch_size, data_shape, path_imgrec, path_imglist, path_root, path_imgidx, shuffle, part_index,
    num_parts, imglist, data_name, last_batch_handle, ctx, seed, preprocess_threads,
    prefetch_buffer, on_error, executor, block_size, pool_blocks, cache_dir, cache_limit,
    storage_options, retries, timeout, readahead : as in `ImageIter`
    aug_list : detection augmenters; None: those that `CreateDetAugmenter` creates from the further
        arguments
    label_name : the label's name
    kwargs : of `CreateDetAugmenter`

    Attributes
    ----------
    label_shape : (most objects of an image, numbers of an object); `reshape` and
        `sync_label_shape` enlarge it
    provide_label : one DataDesc: float32 (batch_size, objects, numbers), with -1 where there is no
        object

    Raises
    ------
    RecordError : a label does not have this form, or has more than 2**18 numbers; with `on_error`
        other than "raise" such a record is a bad record.
    ArgumentError, TypeError, RecordFileNotFoundError, ContextError : as in `ImageIter`.
    """

    _augmenter_options = DetAugmenterOptions

    @check_call
    def __init__(
        self,
        batch_size: int,
        data_shape: Sequence[int],
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
        label_name: str = "label",
        last_batch_handle: str = "pad",
        *,
        ctx: Context | str | None = None,
        seed: int = 0,
        preprocess_threads: int | None = None,
        prefetch_buffer: int = 4,
        on_error: str = "raise",
        executor: str | None = None,
        max_pixels: int | None = None,
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
        block_size: int | str = "8MB",
        pool_blocks: int = 16,
        **kwargs: Unpack[DetAugmenterOptions],
    ) -> None:
        if "label_width" in kwargs:
            raise TypeError("ImageDetIter has no argument 'label_width': labels say their width")
        self._reject_unknown(kwargs)  # ImageIter has further ones
        self.label_shape: tuple[int, int] = (0, 0)  # until the labels have been measured
        super().__init__(
            batch_size,
            data_shape,
            path_imgrec=path_imgrec,
            path_imglist=path_imglist,
            path_root=path_root,
            path_imgidx=path_imgidx,
            shuffle=shuffle,
            part_index=part_index,
            num_parts=num_parts,
            aug_list=aug_list,
            imglist=imglist,
            data_name=data_name,
            label_name=label_name,
            last_batch_handle=last_batch_handle,
            ctx=ctx,
            seed=seed,
            preprocess_threads=preprocess_threads,
            prefetch_buffer=prefetch_buffer,
            on_error=on_error,
            executor=executor,
            max_pixels=max_pixels,
            cache_dir=cache_dir,
            cache_limit=cache_limit,
            storage_options=storage_options,
            retries=retries,
            timeout=timeout,
            readahead=readahead,
            block_size=block_size,
            pool_blocks=pool_blocks,
            **kwargs,  # type: ignore[arg-type, misc]  # they go to CreateDetAugmenter
        )

    def _create_augmenters(self, options: Any) -> list[Any]:
        return list(CreateDetAugmenter(self.data_shape, **options))

    def _check_augmenter(self, augmenter: Any) -> None:
        if isinstance(augmenter, (type, Augmenter)) or not callable(augmenter):
            raise ArgumentError(
                f"aug_list holds detection augmenters, not {augmenter!r}; DetBorrowAug makes one "
                "of an augmenter of images"
            )

    def _measure_labels(self, source: ImageSource, skip_bad: bool) -> None:
        self.label_shape = largest_label(source, skip_bad)

    def _replaced_hooks(self) -> list[str]:
        return replaced_hooks(type(self), ImageDetIter)

    def _label_layout(self) -> tuple[tuple[int, ...], float]:
        return self.label_shape, NO_OBJECT

    def _label_parser(self) -> Callable[[Label], Label]:
        return functools.partial(_parse_boxes, width=self.label_shape[1])

    def _label_finisher(self) -> Callable[[Label], Label]:
        shape = self.label_shape
        return lambda boxes: fill_label(np.asarray(boxes), shape)

    def _augment_function(
        self, replaced: bool
    ) -> Callable[[nd.NDArray, Label], tuple[nd.NDArray, Label]]:
        augmenters = self._auglist
        transform = weak_method(self.augmentation_transform) if replaced else None

        def augment(image: nd.NDArray, label: Label) -> tuple[nd.NDArray, Label]:
            boxes = np.asarray(label)
            if transform is not None:
                return transform(image, boxes)
            return apply_det_augmenters(augmenters, image, boxes, current_rng())

        return augment

    def augmentation_transform(  # type: ignore[override]  # as in MXNet
        self, data: nd.NDArray, label: Boxes
    ) -> tuple[nd.NDArray, Boxes]:
        """Apply all augmenters to an image and its boxes; called by several threads."""
        return apply_det_augmenters(self.auglist, data, label, current_rng())

    def check_label_shape(self, label_shape: Sequence[int]) -> None:
        """Check a shape of the labels.

        Raises
        ------
        ValueError : it is not (objects, numbers of an object), or smaller than `label_shape`.
        """
        if len(label_shape) != 2:
            raise ArgumentError("label_shape should have length 2")
        for length in label_shape:
            as_int("label_shape", length)
        if label_shape[0] < self.label_shape[0] or label_shape[1] != self.label_shape[1]:
            raise ArgumentError(
                f"label_shape {tuple(label_shape)} has no space for labels of {self.label_shape}: "
                "give at least as many objects, and the same numbers for each"
            )

    def reshape(
        self, data_shape: Sequence[int] | None = None, label_shape: Sequence[int] | None = None
    ) -> None:
        """Change the shapes of the batches from the next one on.

        Parameters
        ----------
        data_shape : (3, height, width), which the augmenters must produce; None: keep it
        label_shape : (objects, numbers of an object); None: keep it

        Raises
        ------
        ValueError : a shape does not have this form, or has no space for the labels.
        """
        if data_shape is not None:
            self.check_data_shape(data_shape)
        if label_shape is not None:
            self.check_label_shape(label_shape)
        data = self.data_shape if data_shape is None else as_image_shape(data_shape)
        label = self.label_shape
        if label_shape is not None:
            label = int(label_shape[0]), int(label_shape[1])
        self._shapes = data, label

    @property
    def _shapes(self) -> tuple[tuple[int, int, int], tuple[int, int]]:
        return self.data_shape, self.label_shape

    @_shapes.setter
    def _shapes(self, shapes: tuple[tuple[int, int, int], tuple[int, int]]) -> None:
        before = self._shapes
        try:
            self.data_shape, self.label_shape = shapes
            self._restart()
        except BaseException:
            self.data_shape, self.label_shape = before
            raise
        self._changes["_shapes"] = shapes

    def sync_label_shape(self, it: ImageDetIter, verbose: bool = False) -> ImageDetIter:
        """Give this iterator and another the larger of both label shapes, for a model that is
        trained with one and tested with the other.

        Parameters
        ----------
        it : the other one
        verbose : print the shape if one changes

        Returns
        -------
        it

        Raises
        ------
        ArgumentError : it is not an ImageDetIter, or its objects have another width.
        """
        if not isinstance(it, ImageDetIter):
            raise ArgumentError(f"sync_label_shape takes an ImageDetIter, not {type(it).__name__}")
        largest = max(self.label_shape[0], it.label_shape[0]), self.label_shape[1]
        for each in (self, it):
            if each.label_shape != largest:
                each.reshape(label_shape=largest)
                if verbose:
                    print(f"label_shape is now {largest}")
        return it

    def draw_next(
        self,
        color: Sequence[int] | None = None,
        thickness: int = 2,
        mean: ArrayLike | bool | None = None,
        std: ArrayLike | bool | None = None,
        clip: bool = True,
        waitKey: int | None = None,  # noqa: N803  # MXNet's name
        window_name: str = "draw_next",
        id2labels: dict[int, str] | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Iterate over the rest of the epoch, and draw the boxes into the images.

        Parameters
        ----------
        color : (red, green, blue) of the boxes; None: one for each class
        thickness : of the lines, in pixels
        mean, std : undo a normalization: ``pixel * std + mean``; True: by those of ImageNet
        clip : clip pixel values to 0 to 255
        waitKey, window_name : accepted for compatibility; no window is opened
        id2labels : names of the classes, written above the boxes

        Returns
        -------
        An iterator over images, uint8 (height, width, 3), RGB, on the host

        Raises
        ------
        UnsupportedError : waitKey is given.
        """
        if waitKey is not None:
            raise UnsupportedError(
                f"there is no window {window_name!r}: show the images yourself, as in a notebook"
            )
        from gpuio.image.create_augmenter import channel_numbers
        from gpuio.image.drawing import draw_boxes

        means, stds = channel_numbers("mean", mean), channel_numbers("std", std)
        for batch in self:
            rows = self.batch_size - batch.padding
            pixels = batch.data[0].asnumpy()[:rows].transpose(0, 2, 3, 1)
            for image, label in zip(pixels, batch.label[0].asnumpy(), strict=False):
                values = image * (1.0 if stds is None else stds) + (0.0 if means is None else means)
                clipped = values.clip(0, 255) if clip else values
                drawn = np.ascontiguousarray(np.rint(clipped).astype(np.uint8))
                draw_boxes(drawn, label[label[:, 0] >= 0], color, thickness, id2labels)
                yield drawn


def _parse_boxes(label: Label, width: int) -> Label:
    """The boxes of a record's label, without degenerate ones: float32 (objects, object width).

    Raises
    ------
    RecordError : it is not a detection label, or its objects have another width.
    """
    boxes = split_label(np.atleast_1d(np.asarray(label, np.float32)))[1]
    if boxes.shape[1] != width:
        raise RecordError(f"the label's objects have {boxes.shape[1]} numbers, not {width}")
    return boxes


def fill_label(boxes: Boxes, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A row of a batch's labels: the boxes, and -1 where there is no object.

    Raises
    ------
    ArgumentError : there is no space for them.
    """
    objects, width = shape
    if len(boxes) > objects or (len(boxes) and boxes.shape[1] != width):
        raise ArgumentError(
            f"the augmenters gave boxes {boxes.shape}, the label has space for {shape}; "
            "enlarge it with reshape(label_shape=…)"
        )
    label = np.full(shape, NO_OBJECT, np.float32)
    if len(boxes):
        label[: len(boxes)] = boxes
    return label


def largest_label(source: ImageSource, skip_bad: bool = False) -> tuple[int, int]:
    """The most objects that an image has, at least 1, and the numbers of an object.

    Parameters
    ----------
    skip_bad : ignore records that are damaged or have no detection label; of several widths of
        objects, that of most records counts

    Raises
    ------
    RecordError : a label is not a detection label, or objects have different widths.
    """
    most, widths = 1, Counter[int]()
    for indices, labels in source.label_blocks(skip_bad):
        _, group_of = np.unique(labels[:, :MIN_HEADER_WIDTH], axis=0, return_inverse=True)
        group_of = group_of.reshape(-1)
        order = np.argsort(group_of, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(group_of[order])) + 1):
            try:
                header, width = label_widths(labels[rows[0]])
            except RecordError as error:
                if skip_bad:
                    continue
                raise RecordError(f"{source.location(int(indices[rows[0]]))}: {error}") from error
            boxes = labels[rows, header:].reshape(len(rows), -1, width)
            most = max(most, int((~is_degenerate(boxes)).sum(1).max(initial=0)))
            widths[width] += len(rows)
    if len(widths) > 1 and not skip_bad:
        raise RecordError(f"inconsistent object widths: {sorted(widths)}")
    return most, max(widths, key=widths.__getitem__, default=MIN_OBJECT_WIDTH)
