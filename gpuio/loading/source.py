"""Sources of encoded images: record files, or image files that a list names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import FILE_ERRORS, ArgumentError, Error, RecordError
from gpuio.loading.labels import LabelTable
from gpuio.native_structs import PLACE
from gpuio.planning.planner import Label, Labels, listed
from gpuio.recordio import RecordSet
from gpuio.recordio.lists import ListItem
from gpuio.recordio.record_headers import RecordImages
from gpuio.recordio.record_set import Location
from gpuio.recordio.stored_image import StoredImage
from gpuio.storage.local import read_file
from gpuio.storage.parts import Bulk
from gpuio.storage.remote.folder import RemoteFolder
from gpuio.storage.remote.opening import open_each
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import is_remote

# Labels of one length: the records' indices, int64 (n,), and the labels, float32 (n, k).
LabelBlock = tuple[NDArray[np.int64], NDArray[np.float32]]


class Encoded(NamedTuple):
    """One record: its label, and the encoded image.

    Attributes
    ----------
    label : see `Label`
    image : uint8 (bytes,), the content of an image file; or the image in a record file, of which
        only the beginning is in memory
    """

    label: Label
    image: NDArray[np.uint8] | StoredImage

    @property
    def data(self) -> NDArray[np.uint8]:
        """The encoded image: uint8 (bytes,). Read each time if it is not in memory.

        Raises
        ------
        FileChangedError : it has changed since its beginning was read.
        RecordError : it cannot be read.
        """
        return self.image.read() if isinstance(self.image, StoredImage) else self.image

    @property
    def beginning(self) -> NDArray[np.uint8]:
        """The beginning of the encoded image, as much as is in memory: uint8 (bytes,)."""
        return self.image.beginning if isinstance(self.image, StoredImage) else self.image

    def in_memory(self) -> Encoded:
        """The same record with its image in memory; raises as `data`."""
        return Encoded(self.label, self.data) if isinstance(self.image, StoredImage) else self


class EncodedBatch(Sequence["Encoded | Error"]):
    """Several records that were read, or why that failed; each becomes an `Encoded` only when it is
    asked for.

    Parameters
    ----------
    labels : of each record; None: it is in `others`
    images : of each record
    others : row -> a record that was read by itself, or the error

    Attributes
    ----------
    labels : of each record; None where there is an error
    errors : row -> why reading it failed
    """

    def __init__(
        self,
        labels: Labels,
        images: RecordImages | None,
        others: Mapping[int, Encoded | Error],
    ) -> None:
        self._images = images
        self._others = others
        self.errors: dict[int, Error] = {}
        self.labels = labels
        if not others:
            return
        self.labels = single = listed(labels)
        for row, each in others.items():
            if isinstance(each, Error):
                single[row], self.errors[row] = None, each
            else:
                single[row] = each.label

    @staticmethod
    def of(read: Sequence[Encoded | Error]) -> EncodedBatch:
        """Records that were read one by one."""
        if isinstance(read, EncodedBatch):
            return read
        return EncodedBatch([None] * len(read), None, dict(enumerate(read)))

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, row: int) -> Encoded | Error: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Encoded | Error]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        if row in self._others:
            return self._others[row]
        if self._images is None:
            raise IndexError(row)
        label = self.labels[row]
        number = float(label) if isinstance(label, np.float32) else label
        return Encoded(number, self._images[row])  # type: ignore[arg-type]

    @cached_property
    def places(self) -> NDArray[np.void]:
        """Where the records' images are: PLACE (n,), which refer to memory and files that exist as
        long as this object; of records with an error they mean nothing.
        """
        if self._images is not None and not self._others:
            return self._images.places
        places = np.zeros(len(self), PLACE) if self._images is None else self._images.places.copy()
        for row, other in self._others.items():
            if not isinstance(other, Error):
                places[row] = _place(other.image)
        return places


def _place(image: NDArray[np.uint8] | StoredImage) -> tuple[int, ...]:
    """Where an image is, as in PLACE; nowhere if its bytes do not follow one another."""
    if isinstance(image, StoredImage):
        descriptor = image.file.descriptor
        assert descriptor is not None, "images of other files are read as a whole"
        known, at = image.known, (image.start, image.begin, image.end, descriptor)
    else:
        known, at = image, (0, 0, len(image), -1)
    if not known.flags.c_contiguous:
        return 0, 0, 0, 0, 0, -1
    return known.ctypes.data, len(known), *at


class ImageSource(Protocol):
    """Where encoded images come from. Safe to use from several threads.

    Attributes
    ----------
    keys : int64 (n,), the records' keys
    images : the indices of the records that hold images, ascending
    fingerprint : identifies the dataset in saved states
    readahead : bytes that should be read ahead by `read_ahead`, as reading takes long; 0: none
    """

    keys: NDArray[np.int64]
    images: range | NDArray[np.int64]
    fingerprint: str
    readahead: int

    @property
    def immutable(self) -> bool:
        """Whether a record's content has been the same each time it was read."""

    def __len__(self) -> int:
        """The number of records."""

    def read(self, index: int) -> Encoded:
        """Read a record.

        Raises
        ------
        RecordError : it is damaged or missing, or has no label.
        FileChangedError : its file has changed meanwhile.
        """

    def read_ahead(self, indices: NDArray[np.int64]) -> int:
        """Note that records will soon be read; does not wait. The number of their bytes, about."""

    def read_batch(
        self, indices: NDArray[np.int64], bulk: Bulk | None = None
    ) -> Sequence[Encoded | Error]:
        """Read several records: for each what `read` returns, or the error that it raises. Large
        images may be read only when their `data` is asked for.

        Parameters
        ----------
        indices : int64 (N,)
        bulk : how to read images, too, as far as they are read at once

        Raises
        ------
        FileChangedError : a file has changed meanwhile.
        """

    def location(self, index: int) -> Location:
        """Where a record is."""

    def label_blocks(self, skip_damaged: bool = False) -> Iterator[LabelBlock]:
        """The labels of all images, in blocks of the same length.

        Parameters
        ----------
        skip_damaged : leave out records that are damaged or have no label

        Raises
        ------
        RecordError : a record is damaged or has no label; the message has its location.
        """

    def interrupt(self) -> None:
        """Have threads raise that wait for data of another machine, now and later."""

    def close(self) -> None:
        """Close the files. May be called twice."""


def read_or_error(read: Callable[..., Encoded], *arguments: Any) -> Encoded | Error:
    """Call a function that reads a record, and return the error if that fails; a changed file's is
    raised.
    """
    try:
        return read(*arguments)
    except FILE_ERRORS:
        raise
    except Error as error:
        return error


class RecordSource:
    """The images of record files.

    Parameters
    ----------
    records : the files; closed with this
    table : labels that replace those in the headers; None: there are none
    by_id : find them by the id in a record's header, as MXNet's C++ iterators do, not by its key,
        as MXNet's ImageIter does
    """

    def __init__(
        self, records: RecordSet, table: LabelTable | None = None, by_id: bool = False
    ) -> None:
        self.records = records
        self.keys = records.keys
        self.images = records.image_ordinals()
        self.fingerprint = records.fingerprint
        self.readahead = records.readahead
        self._table = table
        self._by_id = by_id

    def __len__(self) -> int:
        return len(self.records)

    @property
    def immutable(self) -> bool:
        """Whether nobody has written to the files since they were opened."""
        return not self.records.has_changed

    def read(self, index: int) -> Encoded:
        """Read a record: its label and its image."""
        header, data = self.records.record(index)
        if self._table is None:
            return Encoded(header.label, data)
        key = header.id if self._by_id else int(self.keys[index])
        return Encoded(self._table.find(key, "the record's id" if self._by_id else "key"), data)

    def read_ahead(self, indices: NDArray[np.int64]) -> int:
        """Have records read from the disk, or fetched into the cache."""
        return self.records.read_ahead(indices)

    def read_batch(self, indices: NDArray[np.int64], bulk: Bulk | None = None) -> EncodedBatch:
        """Read several records; see `ImageSource`."""
        batch = self.records.read_many(indices, bulk)
        labels: Labels = batch.labels
        if self._table is not None:
            keys = batch.ids if self._by_id else self.keys[indices].astype(np.uint64)
            labels = self._table.find_many(keys)
        # Without an image where it has several parts, or is damaged.
        alone = set(np.flatnonzero(batch.images.places["known_size"] == 0).tolist())
        if self._table is not None:
            alone.update(row for row, label in enumerate(labels) if label is None)
        others = {row: read_or_error(self.read, int(indices[row])) for row in sorted(alone)}
        return EncodedBatch(labels, batch.images, others)

    def location(self, index: int) -> Location:
        """File, byte offset and key of a record."""
        return self.records.location(index)

    def label_blocks(self, skip_damaged: bool = False) -> Iterator[LabelBlock]:
        """The labels of all images, in blocks of the same length."""
        if self._table is None:
            yield from self.records.label_blocks(self.images, skip_damaged)
            return
        images = np.asarray(self.images, np.int64)
        keys: NDArray[np.integer]
        if self._by_id:
            ids = [self.records.header(index).id for index in images.tolist()]
            keys = np.array(ids, np.uint64)
        else:
            keys = self.keys[images]
        known = self._table.known(keys)
        if skip_damaged:
            images, keys = images[known], keys[known]
        elif not known.all():
            index = int(images[np.argmin(known)])
            try:
                self.read(index)
            except RecordError as error:
                raise RecordError(f"{self.location(index)}: {error}") from error
        for chosen, labels in self._table.blocks(keys):
            yield images[chosen], labels

    def interrupt(self) -> None:
        """Have threads raise that wait for remote files."""
        self.records.interrupt()

    def close(self) -> None:
        """Close the files."""
        self.records.close()


class FileSource:
    """Image files that a list names.

    Parameters
    ----------
    items : the files, with keys and labels
    root : the folder that their paths are relative to, or its URL; "": the current one
    read_file : reads the file with a name of the list; None: from below the root
    remote : how remote files are reached and cached; None: by the default options
    """

    immutable = False
    readahead = 0

    def __init__(
        self,
        items: Iterable[ListItem],
        root: str,
        read_file: Callable[[str], bytes] | None = None,
        remote: RemoteOptions | None = None,
    ) -> None:
        self._root = root
        self._own_reader = read_file
        self._folder = RemoteFolder(root, remote or RemoteOptions.create())
        digest = hashlib.sha256()
        self.names: list[str] = []
        keys, self._labels = [], []
        for key, labels, path in items:
            label = np.array(labels, np.float32)
            try:
                digest.update(f"{key} {label.tolist()} {path}\n".encode(errors="surrogateescape"))
            except UnicodeEncodeError as error:
                raise ArgumentError(f"no file can have the name {path!r} of the list") from error
            keys.append(key)
            self.names.append(path)
            self._labels.append(label)
        try:
            self.keys = np.array(keys, np.int64)
        except OverflowError as error:
            raise ArgumentError("the list has a key that is not a 64-bit integer") from error
        self.images: range | NDArray[np.int64] = range(len(keys))
        self.fingerprint = digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Encoded:
        """Read a file."""
        name = self.names[index]
        if self._own_reader is not None:
            content = np.frombuffer(self._own_reader(name), np.uint8)
        elif self._is_remote(name):
            content = self._folder.read(name)
        else:
            content = np.frombuffer(self.read_file(name), np.uint8)
        return Encoded(self._labels[index], content)

    def read_batch(
        self, indices: NDArray[np.int64], bulk: Bulk | None = None
    ) -> list[Encoded | Error]:
        """Read several files; see `ImageSource`. Remote ones are read several at a time."""
        waits = self._own_reader is None and any(
            self._is_remote(self.names[index]) for index in indices.tolist()
        )
        return open_each(partial(read_or_error, self.read), indices.tolist(), waits)

    def read_file(self, name: str) -> bytes:
        """Read a file below the root.

        Raises
        ------
        RecordError : it cannot be read.
        RemoteError, FileChangedError : a remote one cannot be, or has changed since it was first
            read.
        """
        if self._is_remote(name):
            return self._folder.read(name).tobytes()
        try:
            return read_file(os.path.join(self._root, name))
        except (OSError, ValueError) as error:  # ValueError: its name has a null character
            reason = getattr(error, "strerror", None) or error
            raise RecordError(f"the file cannot be read: {reason}") from error

    def read_ahead(self, indices: NDArray[np.int64]) -> int:
        """Do nothing: files are read as a whole."""
        return 0

    def location(self, index: int) -> Location:
        """Path and key of a file."""
        name = self.names[index]
        remote = self._is_remote(name)
        path = self._folder.path(name) if remote else os.path.join(self._root, name)
        return Location(path, None, int(self.keys[index]))

    def label_blocks(self, skip_damaged: bool = False) -> Iterator[LabelBlock]:
        """The labels of all files, in blocks of the same length."""
        lengths = np.array([len(label) for label in self._labels])
        for length in np.unique(lengths):
            indices = np.flatnonzero(lengths == length)
            yield indices, np.stack([self._labels[index] for index in indices])

    def interrupt(self) -> None:
        """Have threads raise that wait for remote files."""
        self._folder.close()

    def close(self) -> None:
        """Close remote files; others are open only while they are read."""
        self._folder.close()

    def _is_remote(self, name: str) -> bool:
        return is_remote(self._root) or is_remote(name)
