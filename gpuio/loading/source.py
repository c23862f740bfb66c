"""Where ImageIter's samples come from: record files, or image files that a list names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.recordio import RecordSet
from gpuio.sampling.sharding import Shard
from gpuio.storage.local import Path


class Listed(NamedTuple):
    """A line of a list.

    Attributes
    ----------
    key : the sample's number
    label : float32 (n,)
    path : the image file
    """

    key: int
    label: NDArray[np.float32]
    path: str


class Source(Protocol):
    """Numbered samples: encoded images, with labels and keys."""

    keys: NDArray[np.int64]
    fingerprint: str

    def __len__(self) -> int:
        """How many there are."""

    def label(self, ordinal: int) -> NDArray[np.float32]:
        """A sample's label: float32 (n,).

        Raises
        ------
        RecordError : it has none.
        """

    def encoded(self, ordinal: int) -> Any:
        """A sample's image file: bytes, or uint8 (bytes,).

        Raises
        ------
        RecordError : it cannot be read.
        """

    def locate(self, ordinal: int) -> str:
        """Where a sample is, for people."""

    def place(self, ordinal: int) -> tuple[str, int]:
        """Where a sample is: file and byte."""

    def close(self) -> None:
        """Close the files."""


class RecordSource:
    """The images of record files.

    Parameters
    ----------
    records : the files
    listed : labels that replace the records' own, by key; None: there are none
    """

    def __init__(self, records: RecordSet, listed: Iterable[Listed] | None = None) -> None:
        self._records = records
        self._images = records.image_ordinals()
        self._labels = None if listed is None else {item.key: item.label for item in listed}
        self.keys = records.keys[np.asarray(self._images, np.int64)]
        self.fingerprint = records.fingerprint

    def __len__(self) -> int:
        return len(self._images)

    def label(self, ordinal: int) -> NDArray[np.float32]:
        """The label that the list, or the record's header, has."""
        if self._labels is None:
            header = self._records.record(int(self._images[ordinal]))[0]
            return np.atleast_1d(np.asarray(header.label, np.float32))
        key = int(self.keys[ordinal])
        if key not in self._labels:
            raise RecordError(f"the list has no line for key {key}")
        return self._labels[key]

    def encoded(self, ordinal: int) -> Any:
        """A view of the record file."""
        return self._records.record(int(self._images[ordinal]))[1]

    def locate(self, ordinal: int) -> str:
        """File, key and byte."""
        return self._records.locate(int(self._images[ordinal]))

    def place(self, ordinal: int) -> tuple[str, int]:
        """File and byte."""
        return self._records.place(int(self._images[ordinal]))

    def close(self) -> None:
        """Close the files."""
        self._records.close()


class FileSource:
    """Image files.

    Parameters
    ----------
    listed : the files, with keys and labels
    root : the folder that their paths start from; "": the current one
    """

    def __init__(self, listed: Sequence[Listed], root: str) -> None:
        self._listed = listed
        self._root = root
        self.keys = np.array([item.key for item in listed], np.int64)
        digest = hashlib.sha256()
        for item in listed:
            digest.update(
                f"{item.key} {item.label.tolist()} {item.path}\n".encode(errors="replace")
            )
        self.fingerprint = digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._listed)

    def label(self, ordinal: int) -> NDArray[np.float32]:
        """The label that the list has."""
        return self._listed[ordinal].label

    def name(self, ordinal: int) -> str:
        """A file's name, as the list has it."""
        return self._listed[ordinal].path

    def encoded(self, ordinal: int) -> bytes:
        """The file's content."""
        return self.read(self.name(ordinal))

    def read(self, name: str) -> bytes:
        """The content of a file below the root.

        It is not mapped: a file that is cut off meanwhile would end the process.
        """
        try:
            with open(os.path.join(self._root, name), "rb") as file:
                return file.read()
        except OSError as error:
            raise RecordError(f"the file cannot be read: {error.strerror}") from error

    def locate(self, ordinal: int) -> str:
        """The file's path, and its key."""
        return f"{self.place(ordinal)[0]}, key {self.keys[ordinal]}"

    def place(self, ordinal: int) -> tuple[str, int]:
        """The file's path."""
        return os.path.join(self._root, self.name(ordinal)), 0

    def close(self) -> None:
        """Nothing to do: a file is open only while it is read."""


def read_list(path: Path) -> list[Listed]:
    """Read an im2rec list: key, labels and path, with tabs between; blank lines are passed over.

    Raises
    ------
    ArgumentError : it cannot be read, or a line is not of that form; the text says which.
    """
    name = os.fspath(path)
    found = []
    try:
        with open(name, encoding="utf-8", errors="surrogateescape") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    key, *labels, file = (field.strip() for field in line.split("\t"))
                    found.append(Listed(int(float(key)), _label(labels), file))
                except ValueError as error:
                    raise ArgumentError(
                        f"{name}, line {number}: expected a number, a label and a path with tabs "
                        f"between, found {line.strip()!r}"
                    ) from error
    except OSError as error:
        raise ArgumentError(f"path_imglist {name} cannot be read: {error.strerror}") from error
    return found


def from_items(items: Iterable[Any]) -> list[Listed]:
    """MXNet's `imglist`: items [label, path], [[label, …], path] or [label, label, …, path]; their
    keys are 1, 2, 3, …

    Raises
    ------
    ArgumentError : an item is none of these.
    """
    found = []
    for key, item in enumerate(items, 1):
        try:
            *labels, path = item
            first = labels[0] if len(labels) == 1 else labels
            found.append(Listed(key, _label(np.ravel(first)), os.fspath(path)))
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"imglist's items are [label, path], [[label, …], path] or [label, …, path], item "
                f"{key} is {item!r}"
            ) from error
    return found


def _label(numbers: Any) -> NDArray[np.float32]:
    label = np.array([float(number) for number in numbers], np.float32)
    if not len(label):
        raise ValueError("there is no label")
    return label


def open_source(
    path_imgrec: Any, path_imgidx: Any, path_imglist: Path | None, imglist: Any, root: str
) -> Source:
    """The source that ImageIter's arguments name.

    Raises
    ------
    ArgumentError : there is none, or more than one, or it has no images.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    """
    if path_imgrec and imglist is not None:
        raise ArgumentError("path_imgrec and imglist are two sources; give one")
    if path_imglist is not None and imglist is not None:
        raise ArgumentError("path_imglist and imglist are two lists; give one")
    listed = None if path_imglist is None else read_list(path_imglist)
    source: Source
    if path_imgrec:
        source = RecordSource(RecordSet(path_imgrec, path_imgidx or None), listed)
    elif listed is not None or imglist is not None:
        source = FileSource(listed if listed is not None else from_items(imglist), root)
    else:
        raise ArgumentError("name a source: path_imgrec, path_imglist or imglist")
    if not len(source):
        raise ArgumentError("the source has no images")
    return source


def share(count: int, part: Shard) -> range:
    """The samples of a part: of equal size, rounded down.

    Raises
    ------
    ArgumentError : it would have none.
    """
    if part.mode == "global":
        return range(count)
    size = count // part.count
    if not size:
        raise ArgumentError(f"{count} images cannot be cut into {part.count} parts")
    return range(part.index * size, (part.index + 1) * size)
