"""Datasets of encoded images: record files, folders and lists."""

from __future__ import annotations

import functools
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gpuio import nd
from gpuio.context import cpu
from gpuio.decoding.limits import call_with_max_pixels, resolve_max_pixels
from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.gluon.data.dataset import Dataset, RecordFileDataset
from gpuio.image.codec import imread
from gpuio.image.source import read_image
from gpuio.loading.source import FileSource, RecordSource
from gpuio.recordio.lists import items_of, read_list
from gpuio.storage.local import Path, local_path

EXTENSIONS = (".jpg", ".jpeg", ".png")

Transform = Callable[[Any, Any], Any]


class ImageRecordDataset(RecordFileDataset):
    """The images of a record file, with their labels.

    A sample is ``(image, label)``: uint8 NDArray (height, width, 3), RGB, on the host, and the
    label in the record, a float or a float32 array. The header and the identity records of face
    data sets (MS1MV3, Glint360K and their like) are left out. Safe to use from several threads and
    forked processes; pickled by its path.

    Parameters
    ----------
    filename : the record file; its index is beside it, with the ending .idx. Without one the file
        is scanned
    flag : 1 color, 0 gray: (height, width, 1)
    transform : takes image and label, and returns the sample
    max_pixels : the most pixels of an image; None: what the environment variable GPUIO_MAX_PIXELS
        says, else 2**28

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError, DecodeError : the file or its index is damaged; for a sample: its record is
        damaged or not an image. The message has its location.

    Examples
    --------
    >>> image, label = ImageRecordDataset("train.rec")[0]
    """

    def __init__(
        self,
        filename: Path,
        flag: int = 1,
        transform: Transform | None = None,
        *,
        max_pixels: int | None = None,
    ) -> None:
        self._flag = _as_flag(flag)
        self._max_pixels = resolve_max_pixels(max_pixels)
        self._transform = transform
        super().__init__(filename)

    def _open(self) -> None:
        super()._open()
        self._source = RecordSource(self._records)
        if len(self._source.images) < len(self._records):
            ordinals = np.asarray(self._ordinals, np.int64)
            self._ordinals = ordinals[np.isin(ordinals, self._source.images)]

    def __getitem__(self, idx: int) -> Any:
        """An image and its label, or what the transform makes of them."""
        sample = read_image(self._source, self._ordinal(idx), self._flag, self._max_pixels)
        return sample if self._transform is None else self._transform(*sample)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_source", None)
        return state


class ImageFolderDataset(Dataset):
    """The images in the subfolders of a folder, one for each class.

    A sample is ``(image, label)``: uint8 NDArray (height, width, 3), RGB, on the host, and the
    number of its class.

    Parameters
    ----------
    root : the folder; its subfolders contain the images (.jpg, .jpeg, .png). Other files are
        ignored, with a warning
    flag : 1 color, 0 gray: (height, width, 1)
    transform : takes image and label, and returns the sample
    max_pixels : as in ImageRecordDataset

    Attributes
    ----------
    synsets : the names of the classes, sorted; ``synsets[label]``
    items : the path and the label of each image; may be changed

    Raises
    ------
    RecordFileNotFoundError : the folder, or the file of a sample, does not exist.
    DecodeError : for a sample: its file is not an image.

    Examples
    --------
    >>> dataset = ImageFolderDataset("101_ObjectCategories")
    >>> image, label = dataset[0]
    >>> dataset.synsets[label]
    'accordion'
    """

    def __init__(
        self,
        root: Path,
        flag: int = 1,
        transform: Transform | None = None,
        *,
        max_pixels: int | None = None,
    ) -> None:
        self._max_pixels = resolve_max_pixels(max_pixels)
        self._root = os.path.expanduser(local_path(root))
        self._flag = _as_flag(flag)
        self._transform = transform
        self.synsets: list[str] = []
        self.items: list[tuple[str, int]] = []
        try:
            names = sorted(os.listdir(self._root))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RecordFileNotFoundError(
                f"{self._root} is not a folder; it should have a folder of images for each class"
            ) from error
        for name in names:
            folder = os.path.join(self._root, name)
            if not os.path.isdir(folder):
                warnings.warn(f"{folder} is ignored: it is not a folder", stacklevel=2)
                continue
            self.synsets.append(name)
            self.items += [(path, len(self.synsets) - 1) for path in _images_in(folder)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, idx: int) -> Any:
        """An image and its label, or what the transform makes of them."""
        path, label = self.items[idx]
        read = functools.partial(imread, ctx=cpu())
        image = call_with_max_pixels(self._max_pixels, read, path, self._flag)
        return (image, label) if self._transform is None else self._transform(image, label)


class ImageListDataset(Dataset):
    """The images that a list names (MXNet 2.0).

    A sample is ``(image, label)``: uint8 NDArray (height, width, 3), RGB, on the host, and float32
    NDArray (n,).

    Parameters
    ----------
    root : the folder that the list's paths are relative to
    imglist : im2rec's list file (.lst), its path absolute or relative to `root`; or items
        ``[label, path]``, ``[[label, …], path]`` or ``[label, …, path]``
    flag : 1 color, 0 gray: (height, width, 1)
    max_pixels : as in ImageRecordDataset

    Raises
    ------
    ArgumentError : there is no list, or a line or an item of it is malformed.
    RecordError, DecodeError : for a sample: its file is missing, or not an image.

    Examples
    --------
    >>> image, label = ImageListDataset("images", [[3, "a.jpg"], [5, "b.jpg"]])[0]
    """

    def __init__(
        self,
        root: Path = ".",
        imglist: Path | Iterable[Sequence[Any]] | None = None,
        flag: int = 1,
        *,
        max_pixels: int | None = None,
    ) -> None:
        self._max_pixels = resolve_max_pixels(max_pixels)
        root = os.path.expanduser(local_path(root))
        self._flag = _as_flag(flag)
        if imglist is None:
            raise ArgumentError("imglist must be the path of a list, or a list of [label, path]")
        if isinstance(imglist, (str, os.PathLike)):
            items = read_list(os.path.join(root, local_path(imglist)))
        else:
            items = items_of(imglist)
        self._source = FileSource(items, root)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, idx: int) -> Any:
        """An image and its label."""
        index = range(len(self._source))[operator.index(idx)]
        image, label = read_image(self._source, index, self._flag, self._max_pixels)
        return image, nd.wrap(np.array(label))


def _as_flag(flag: int) -> int:
    if flag not in (0, 1):
        raise ArgumentError(f"flag must be 1 (color) or 0 (gray), not {flag!r}")
    return int(flag)


def _images_in(folder: str) -> list[str]:
    """The paths of a folder's images, sorted by name."""
    paths = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.splitext(name)[1].lower() in EXTENSIONS:
            paths.append(path)
        else:
            warnings.warn(
                f"{path} is ignored: only {', '.join(EXTENSIONS)} are supported", stacklevel=3
            )
    return paths
