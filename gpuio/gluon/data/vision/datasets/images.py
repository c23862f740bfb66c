"""Datasets of encoded images: record files, folders and lists."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gpuio import nd
from gpuio.context import cpu
from gpuio.decoding.limits import call_with_max_pixels, resolve_max_pixels
from gpuio.errors import ArgumentError, DecodeError, RecordFileNotFoundError
from gpuio.gluon.data.dataset import Dataset, RecordFileDataset
from gpuio.image.codec import imdecode, imread
from gpuio.image.source import read_image
from gpuio.loading.source import FileSource, RecordSource
from gpuio.recordio.lists import items_of, read_list
from gpuio.storage.local import Path
from gpuio.storage.remote.folder import RemoteFolder
from gpuio.storage.remote.opening import list_files, location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import is_remote, join, shown

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
    filename : the record file, or its URL; its index is beside it, with the ending .idx. Without
        one the file is scanned
    flag : 1 color, 0 gray: (height, width, 1)
    transform : takes image and label, and returns the sample
    max_pixels : the most pixels of an image; None: what the environment variable GPUIO_MAX_PIXELS
        says, else 2**28
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : as in RecordFileDataset

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was
        opened.
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
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
    ) -> None:
        self._flag = _as_flag(flag)
        self._max_pixels = resolve_max_pixels(max_pixels)
        self._transform = transform
        super().__init__(
            filename,
            cache_dir=cache_dir,
            cache_limit=cache_limit,
            storage_options=storage_options,
            retries=retries,
            timeout=timeout,
            readahead=readahead,
        )

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
    root : the folder, or its URL; its subfolders contain the images (.jpg, .jpeg, .png). Other
        files are ignored, with a warning
    flag : 1 color, 0 gray: (height, width, 1)
    transform : takes image and label, and returns the sample
    max_pixels, cache_dir, cache_limit, storage_options, retries, timeout, readahead : as in
        ImageRecordDataset

    Attributes
    ----------
    synsets : the names of the classes, sorted; ``synsets[label]``
    items : the path or URL, and the label of each image; may be changed

    Raises
    ------
    RecordFileNotFoundError : the folder, or the file of a sample, does not exist.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was first
        read.
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
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
    ) -> None:
        self._max_pixels = resolve_max_pixels(max_pixels)
        self._root = os.path.expanduser(location(root))
        self._flag = _as_flag(flag)
        self._transform = transform
        self.synsets: list[str] = []
        self.items: list[tuple[str, int]] = []
        remote = RemoteOptions.create(
            cache_dir, cache_limit, readahead, storage_options, retries, timeout
        )
        self._folder = RemoteFolder(self._root, remote)
        if is_remote(self._root):
            self._list_remote(remote)
        else:
            self._list_local()

    def _list_local(self) -> None:
        """Set `synsets` and `items`."""
        try:
            names = sorted(os.listdir(self._root))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RecordFileNotFoundError(
                f"{self._root} is not a folder; it should have a folder of images for each class"
            ) from error
        for name in names:
            folder = os.path.join(self._root, name)
            if not os.path.isdir(folder):
                _warn_no_folder(folder)
                continue
            self.synsets.append(name)
            paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
            self.items += [(path, len(self.synsets) - 1) for path in paths if _is_image(path)]

    def _list_remote(self, remote: RemoteOptions) -> None:
        """Set `synsets` and `items`, by one list of all files."""
        names = list_files(self._root, remote)
        if not names:
            raise RecordFileNotFoundError(
                f"{shown(self._root)} is not a folder; it should have a folder of images for each "
                "class"
            )
        inside: dict[str, set[str]] = {}
        for name in names:
            folder, slash, rest = name.partition("/")
            if slash:
                inside.setdefault(folder, set()).add(rest.partition("/")[0])
            else:
                _warn_no_folder(shown(self._folder.url(name)))
        self.synsets = sorted(inside)
        for label, folder in enumerate(self.synsets):
            urls = [self._folder.url(f"{folder}/{name}") for name in sorted(inside[folder])]
            self.items += [(url, label) for url in urls if _is_image(url)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, idx: int) -> Any:
        """An image and its label, or what the transform makes of them."""
        path, label = self.items[idx]
        image = call_with_max_pixels(self._max_pixels, self._read, path)
        return (image, label) if self._transform is None else self._transform(image, label)

    def _read(self, path: str) -> nd.NDArray:
        """Read and decode an image."""
        if not is_remote(path):
            return imread(path, self._flag, ctx=cpu())
        try:
            return imdecode(self._folder.read(path), self._flag, ctx=cpu())
        except DecodeError as error:
            raise DecodeError(f"{shown(path)}: {error}") from error


class ImageListDataset(Dataset):
    """The images that a list names (MXNet 2.0).

    A sample is ``(image, label)``: uint8 NDArray (height, width, 3), RGB, on the host, and float32
    NDArray (n,).

    Parameters
    ----------
    root : the folder that the list's paths are relative to, or its URL
    imglist : im2rec's list file (.lst), its path absolute or relative to `root`, or its URL; or
        items ``[label, path]``, ``[[label, …], path]`` or ``[label, …, path]``
    flag : 1 color, 0 gray: (height, width, 1)
    max_pixels, cache_dir, cache_limit, storage_options, retries, timeout, readahead : as in
        ImageRecordDataset

    Raises
    ------
    ArgumentError : there is no list, or a line or an item of it is malformed.
    RecordError, DecodeError : for a sample: its file is missing, or not an image.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was first
        read.

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
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
    ) -> None:
        self._max_pixels = resolve_max_pixels(max_pixels)
        remote = RemoteOptions.create(
            cache_dir, cache_limit, readahead, storage_options, retries, timeout
        )
        root = os.path.expanduser(location(root))
        self._flag = _as_flag(flag)
        if imglist is None:
            raise ArgumentError("imglist must be the path of a list, or a list of [label, path]")
        if isinstance(imglist, (str, os.PathLike)):
            items = read_list(_within(root, location(imglist)), remote=remote)
        else:
            items = items_of(imglist)
        self._source = FileSource(items, root, remote=remote)

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


def _within(root: str, path: str) -> str:
    """A path or URL that may be relative to a folder."""
    if is_remote(root) and not is_remote(path) and not os.path.isabs(path):
        return join(root, path)
    return path if is_remote(path) else os.path.join(root, path)


def _warn_no_folder(path: str) -> None:
    warnings.warn(f"{path} is ignored: it is not a folder", stacklevel=4)


def _is_image(path: str) -> bool:
    """Whether a file is an image, by its name; a warning if not."""
    if os.path.splitext(path)[1].lower() in EXTENSIONS:
        return True
    warnings.warn(
        f"{shown(path)} is ignored: only {', '.join(EXTENSIONS)} are supported", stacklevel=4
    )
    return False
