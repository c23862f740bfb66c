"""ImageDetIter: pictures with the boxes of their objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError, UnsupportedError
from gpuio.image.augmenter import Augmenter
from gpuio.image.detection import CreateDetAugmenter, DetAugmenter
from gpuio.image.image_iter import ImageIter
from gpuio.image.owned import Of
from gpuio.iterators.arguments import as_image_shape, as_int
from gpuio.iterators.desc import DataDesc
from gpuio.loading.source import Source
from gpuio.planning.augmenters import DetAugmenterPlanner
from gpuio.planning.boxes import split_label
from gpuio.sampling import sample_rng as draws
from gpuio.storage.local import Path

# Stands in a label where there is no object.
NOTHING = -1.0


class ImageDetIter(ImageIter):
    """Batches of images and their objects' boxes, through detection augmenters.

    A record's label is: the header's width, an object's width, more of the header, and objects:
    class, left, top, right, bottom (as shares of the picture's sides), and whatever follows. Boxes
    without an area are left out; a picture may have no object.

    Parameters
    ----------
    batch_size, data_shape, path_imgrec, path_imglist, path_root, path_imgidx, shuffle, part_index,
    num_parts, imglist, data_name, last_batch_handle : as `ImageIter` has them
    aug_list : detection augmenters; None: those that `CreateDetAugmenter` makes of the further
        arguments
    label_name : the label's name
    kwargs : of `CreateDetAugmenter`; and ctx, seed, preprocess_threads, prefetch_buffer, on_error,
        executor of `ImageIter`

    Attributes
    ----------
    label_shape : (most objects of a picture, numbers of an object); `reshape` and
        `sync_label_shape` make it larger
    provide_label : one DataDesc: float32 (batch_size, objects, numbers), with -1 where there is no
        object

    Raises
    ------
    RecordError : a label is not of that form.
    ArgumentError, TypeError, RecordFileNotFoundError, ContextError : as `ImageIter`.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: Sequence[int],
        path_imgrec: Path | Sequence[Path] | None = None,
        path_imglist: Path | None = None,
        path_root: Path | None = None,
        path_imgidx: Path | Sequence[Path] | None = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int | str = 1,
        aug_list: Sequence[DetAugmenter] | None = None,
        imglist: Sequence[Any] | None = None,
        data_name: str = "data",
        label_name: str = "label",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        if "label_width" in kwargs:
            raise TypeError("ImageDetIter has no argument 'label_width': labels say their width")
        self.label_shape: tuple[int, int] = (0, 0)  # until the labels have been looked at
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
            aug_list=aug_list,  # type: ignore[arg-type]  # these take boxes, too
            imglist=imglist,
            data_name=data_name,
            label_name=label_name,
            last_batch_handle=last_batch_handle,
            **kwargs,
        )

    def _augmenters(self, options: dict[str, Any]) -> list[Any]:
        return list(CreateDetAugmenter(self.data_shape, **options))

    def _check_augmenters(self, augmenters: Sequence[Any]) -> None:
        for each in augmenters:
            if isinstance(each, (type, Augmenter)) or not callable(each):
                raise ArgumentError(
                    f"aug_list holds detection augmenters, not {each!r}; DetBorrowAug makes one of "
                    "an augmenter of pictures"
                )

    def _described(self) -> tuple[list[DataDesc], list[DataDesc]]:
        if not self.label_shape[0]:
            self.label_shape = _largest(self._source)
        return super()._described()

    def empty_labels(self, rows: int) -> NDArray[np.float32]:
        """Room for the boxes of some samples: float32 (rows, objects * numbers), of -1."""
        objects, numbers = self.label_shape
        return np.full((rows, objects * numbers), NOTHING, np.float32)

    def _labels_shape(self) -> tuple[int, ...]:
        return (self.batch_size, *self.label_shape)

    def augmentation_transform(  # type: ignore[override]  # as in MXNet
        self, data: Any, label: NDArray[np.float32]
    ) -> tuple[Any, NDArray[np.float32]]:
        """Picture and boxes behind all augmenters; called by several threads."""
        for augment in self.auglist:
            data, label = augment(data, label)
        return data, label

    def render(
        self,
        label: Any,
        encoded: Any,
        drawn: tuple[int, int],
        picture_row: NDArray[Any],
        label_row: NDArray[np.float32],
    ) -> None:
        """Make a sample of a label and an encoded image, and write it and its boxes to their
        rows.
        """
        boxes = self.numbers(label)
        picture = self._decoded(encoded)
        with draws.seeded(self._seed, *drawn):
            picture, boxes = self.augmentation_transform(picture, boxes)
        self._place(picture, picture_row)
        label_row[...] = fill_up(boxes, self.label_shape)

    def numbers(self, label: Any) -> NDArray[np.float32]:
        """A sample's boxes that have an area: float32 (objects, numbers of an object).

        Raises
        ------
        RecordError : it is no detection label.
        """
        return split_label(np.asarray(label, np.float32))[1]

    def _translation(self) -> DetAugmenterPlanner:
        height, width = self.data_shape[1:]
        return DetAugmenterPlanner(self._auglist, (width, height), self._seed, _Rows(self))

    def check_label_shape(self, label_shape: Sequence[int]) -> None:
        """Refuse a shape that has no room for the labels.

        Raises
        ------
        ValueError : it is not (objects, numbers of an object), or smaller than `label_shape`.
        """
        if len(label_shape) != 2:
            raise ArgumentError("label_shape should have length 2")
        for side in label_shape:
            as_int("label_shape", side)
        if label_shape[0] < self.label_shape[0] or label_shape[1] != self.label_shape[1]:
            raise ArgumentError(
                f"label_shape {tuple(label_shape)} has no room for labels of {self.label_shape}: "
                "at least as many objects, and the same numbers for each"
            )

    def reshape(
        self, data_shape: Sequence[int] | None = None, label_shape: Sequence[int] | None = None
    ) -> None:
        """Change the shapes of the batches from the next one on.

        Parameters
        ----------
        data_shape : (3, height, width); the augmenters must give it; None: leave it
        label_shape : (objects, numbers of an object); None: leave it

        Raises
        ------
        ValueError : a shape is not of that form, or has no room for the labels.
        """
        if data_shape is not None:
            self.check_data_shape(data_shape)
        if label_shape is not None:
            self.check_label_shape(label_shape)
        data = self.data_shape if data_shape is None else as_image_shape(data_shape)
        label = self.label_shape if label_shape is None else tuple(map(int, label_shape))
        self._shapes = data, label

    @property
    def _shapes(self) -> tuple[Any, ...]:
        return self.data_shape, self.label_shape

    @_shapes.setter
    def _shapes(self, shapes: tuple[Any, ...]) -> None:
        before = self._shapes
        try:
            self.data_shape, self.label_shape = shapes
            self._restart()
        except BaseException:
            self.data_shape, self.label_shape = before
            raise
        self._provide_data, self._provide_label = self._described()
        self._changes["_shapes"] = shapes

    def sync_label_shape(self, it: ImageDetIter, verbose: bool = False) -> ImageDetIter:
        """Give this iterator and another the larger of both label shapes, as a model needs that is
        trained with one and tested with the other.

        Parameters
        ----------
        it : the other one
        verbose : print the shape if one changed

        Returns
        -------
        it

        Raises
        ------
        ArgumentError : it is no ImageDetIter, or its objects have another number of numbers.
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
        mean: Any = None,
        std: Any = None,
        clip: bool = True,
        waitKey: int | None = None,  # noqa: N803  # MXNet's name
        window_name: str = "draw_next",
        id2labels: dict[int, str] | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Go through the rest of the epoch, and draw the boxes into the pictures.

        Parameters
        ----------
        color : (red, green, blue) of the boxes; None: one for each class
        thickness : of the lines, in pixels
        mean, std : undo a normalisation: ``pixel * std + mean``; True: by those of ImageNet
        clip : limit levels to 0 to 255
        waitKey, window_name : accepted for MXNet's sake; there is no window
        id2labels : names of the classes, to be written above the boxes

        Returns
        -------
        an iterator over pictures, uint8 (height, width, 3), RGB, on the host

        Raises
        ------
        UnsupportedError : waitKey is given.
        """
        if waitKey is not None:
            raise UnsupportedError(
                f"there is no window {window_name!r}: show the pictures yourself, as in a notebook"
            )
        from gpuio.image.augment import channel_numbers
        from gpuio.image.drawing import draw_boxes

        mean, std = channel_numbers("mean", mean), channel_numbers("std", std)
        for batch in self:
            rows = self.batch_size - (batch.pad or 0)
            pixels = batch.data[0].asnumpy()[:rows].transpose(0, 2, 3, 1)
            for picture, label in zip(pixels, batch.label[0].asnumpy(), strict=False):
                levels = picture * (1.0 if std is None else std) + (0.0 if mean is None else mean)
                limited = levels.clip(0, 255) if clip else levels
                drawn = np.ascontiguousarray(np.rint(limited).astype(np.uint8))
                draw_boxes(drawn, label[label[:, 0] >= 0], color, thickness, id2labels)
                yield drawn


class _Rows(Of):
    """Makes rows of a batch's labels out of boxes."""

    def __call__(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """The row."""
        its = self.its()
        assert isinstance(its, ImageDetIter)
        return fill_up(boxes, its.label_shape)


def fill_up(boxes: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes as a batch has them: float32 (objects * numbers,), with -1 where there is no object.

    Raises
    ------
    ArgumentError : there is no room for them.
    """
    objects, numbers = shape
    if len(boxes) > objects or (len(boxes) and boxes.shape[1] != numbers):
        raise ArgumentError(
            f"the augmenters gave boxes {boxes.shape}, the label has room for {shape}; "
            "make room with reshape(label_shape=…)"
        )
    room = np.full(shape, NOTHING, np.float32)
    room[: len(boxes)] = boxes
    return room.reshape(-1)


def _largest(source: Source) -> tuple[int, int]:
    """The most objects that a picture has, and the numbers of an object."""
    most, widths = 1, set()
    for ordinal in range(len(source)):
        try:
            _, boxes = split_label(source.label(ordinal))
        except RecordError as error:
            raise RecordError(f"{source.locate(ordinal)}: {error}") from error
        most = max(most, len(boxes))
        widths.add(boxes.shape[1])
    if len(widths) > 1:
        raise RecordError(f"objects have different numbers of numbers: {sorted(widths)}")
    return most, widths.pop()
