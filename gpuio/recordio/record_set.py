"""RecordSet: one or several record files as one data set, read at random without copying."""

from __future__ import annotations

import hashlib
import os
import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.recordio.framing import LENGTH_MASK, parse
from gpuio.recordio.header import HEADER, HEADER_BYTES, unpack
from gpuio.recordio.index import Index
from gpuio.recordio.quarantine import Entry
from gpuio.storage.local import Path, local_path, map_file

if TYPE_CHECKING:
    from typing_extensions import Self

# Records whose first bytes enter the fingerprint, spread over the data set, and how many bytes of
# each.
SAMPLES, SAMPLE_BYTES = 64, 256

# Headers that are looked at together.
HEADERS_AT_ONCE = 1 << 18


class RecordSet:
    """Record files as one sequence of records, in the order of the files and, within each, of the
    offsets.

    Nothing is kept for a record but its key and its place, in two arrays. Safe from several
    threads, after a fork, and to pickle.

    Parameters
    ----------
    paths : one file, several joined by ";", a directory of ``*.rec`` files (in the order of their
        names), or a sequence
    index_paths : the index of each file; only the records that it lists are there. None: all
        records, found by walking over the files; their keys are their numbers in the set

    Attributes
    ----------
    paths : the files
    has_index : whether there were indexes
    keys : int64 (n,)
    starts : int64 (n,), where each record begins, counted through all files
    nbytes : size of all files

    Raises
    ------
    RecordFileNotFoundError : a file does not exist.
    RecordError : an index does not belong to its file, or a file without an index is damaged.
    """

    def __init__(
        self, paths: Path | Sequence[Path], index_paths: Path | Sequence[Path] | None = None
    ) -> None:
        self.paths = _files(paths, ".rec")
        indexes = None if index_paths is None else _files(index_paths, ".idx")
        if indexes is not None and len(indexes) != len(self.paths):
            raise ArgumentError(
                f"there are {len(self.paths)} record files and {len(indexes)} indexes; give one "
                "for each, in the same order"
            )
        self._indexes = indexes
        self.has_index = indexes is not None
        self._data = [map_file(path) for path in self.paths]
        self._base = np.cumsum([0, *(len(data) for data in self._data)]).tolist()
        self.nbytes: int = self._base[-1]
        found = [self._entries(number) for number in range(len(self.paths))]
        self._first: list[int] = np.cumsum([0, *(len(keys) for keys, _ in found)])[:-1].tolist()
        self.keys: NDArray[np.int64] = _joined([keys for keys, _ in found])
        self.starts: NDArray[np.int64] = _joined([starts for _, starts in found])
        if not self.has_index:
            self.keys = np.arange(len(self.starts), dtype=np.int64)

    def _entries(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys and starts of one file's records."""
        path, size = self.paths[number], len(self._data[number])
        index = Index.build(path) if self._indexes is None else Index.load(self._indexes[number])
        keys, offsets = index.keys, index.offsets
        wrong = np.flatnonzero((offsets < 0) | (offsets >= size) | (offsets % 4 != 0))
        if len(wrong):
            key, offset = keys[wrong[0]], offsets[wrong[0]]
            name = path if self._indexes is None else self._indexes[number]
            raise RecordError(
                f"{name}: key {key} points at byte {offset}, where no record of {path} ({size} "
                "bytes) can begin; this is "
                "the index of another file, or the file has been cut; rebuild it with 'gpuio "
                f"index {path}'"
            )
        if len(offsets) > 1 and not (offsets[1:] > offsets[:-1]).all():
            order = np.argsort(offsets, kind="stable")
            keys, offsets = keys[order], offsets[order]
        base = self._base[number]
        return keys, offsets + base if base else offsets

    def __len__(self) -> int:
        return len(self.starts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordSet, (self.paths, self._indexes)

    def payload(self, ordinal: int) -> NDArray[np.uint8]:
        """A record's bytes, header included.

        Returns
        -------
        uint8 (bytes,), read-only; a view of the file where the record has one part. It outlives the
        set.

        Raises
        ------
        RecordError : no whole record begins where the index says.
        """
        which = bisect_right(self._first, ordinal) - 1
        offset = int(self.starts[ordinal]) - self._base[which]
        return parse(self._data[which], offset, self.paths[which])[0]

    def record(self, ordinal: int) -> tuple[HEADER, NDArray[np.uint8]]:
        """A record's header, and what follows it: uint8 (bytes,), as `payload`.

        Raises
        ------
        RecordError : no whole record begins where the index says, or it is too short for a header.
        """
        payload = self.payload(ordinal)
        try:
            return unpack(payload)
        except (ValueError, struct.error) as error:
            raise RecordError(
                f"the record has {len(payload)} bytes, too few for "
                "an image record's header and label"
            ) from error

    def locate(self, ordinal: int) -> str:
        """Where a record is, for people: file, key and byte."""
        path, offset = self.place(ordinal)
        return f"{path}, key {self.keys[ordinal]}, byte {offset}"

    def place(self, ordinal: int) -> tuple[str, int]:
        """Where a record is: file and byte."""
        which = bisect_right(self._first, ordinal) - 1
        return self.paths[which], int(self.starts[ordinal]) - self._base[which]

    def without(
        self, ordinals: range | NDArray[np.int64], listed: Iterable[Entry]
    ) -> range | NDArray[np.int64]:
        """Some records less those of a quarantine list; what it says of other files is passed over.

        Parameters
        ----------
        ordinals : records, ascending
        """
        names = [os.path.basename(path) for path in self.paths]
        wanted = np.array(
            [
                self._base[which] + entry.offset
                for entry in listed
                for which, name in enumerate(names)
                if name == entry.file
            ],
            np.int64,
        )
        bad = np.flatnonzero(np.isin(self.starts, wanted))
        if not len(bad):
            return ordinals
        kept = np.asarray(ordinals, np.int64)
        return kept[~np.isin(kept, bad)]

    def image_ordinals(self) -> range | NDArray[np.int64]:
        """The records that hold images, ascending.

        In face data sets (MS1MV3, Glint360K and their like) the first record is a header, with the
        key of the first identity record as its label; the records with keys from 1 up to that one
        are the images.
        """
        masks = [self._image_mask(number) for number in range(len(self.paths))]
        if all(mask is None for mask in masks):
            return range(len(self))
        counts = np.diff([*self._first, len(self)])
        images = np.flatnonzero(
            np.concatenate(
                [
                    np.ones(count, bool) if mask is None else mask
                    for mask, count in zip(masks, counts, strict=True)
                ]
            )
        )
        if len(images) and images[-1] - images[0] + 1 == len(images):
            return range(int(images[0]), int(images[-1]) + 1)
        return images

    def _image_mask(self, number: int) -> NDArray[np.bool_] | None:
        """Which records of one file hold images, bool (records,); None: all of them."""
        begin, end = self._first[number], [*self._first, len(self)][number + 1]
        if begin == end:
            return None
        try:
            header, image = self.record(begin)
        except RecordError:
            return None
        if not is_face_header(header, image):
            return None
        keys = self.keys[begin:end] - (0 if self.has_index else begin)
        mask: NDArray[np.bool_] = (keys >= 1) & (keys < header.label[0])
        return mask

    def most_labels(self) -> int:
        """The most numbers that one of the images has as its label; 0 where none has an array.

        Only the records' headers are read. A header that says more than its record holds is passed
        over.
        """
        wanted = np.asarray(self.image_ordinals(), np.int64)
        most = 0
        for number, data in enumerate(self._data):
            begin, end = self._first[number], [*self._first, len(self)][number + 1]
            inside = wanted[(wanted >= begin) & (wanted < end)]
            for chunk in np.array_split(inside, -(-len(inside) // HEADERS_AT_ONCE) or 1):
                places = self.starts[chunk] - self._base[number]
                places = places[places + 12 <= len(data)]
                # Behind the magic number: the part's length, and the label's.
                words = np.asarray(data)[places[:, None] + np.arange(4, 12)].view("<u4")
                length, labels = words[:, 0] & LENGTH_MASK, words[:, 1].astype(np.int64)
                labels = labels[labels * 4 + HEADER_BYTES <= length]
                most = max(most, int(labels.max(initial=0)))
        return most

    @cached_property
    def fingerprint(self) -> str:
        """What a saved state knows the data by: a digest of names, sizes, and a sample of the
        records.
        """
        digest = hashlib.sha256()
        for path, data in zip(self.paths, self._data, strict=True):
            digest.update(f"{os.path.basename(path)} {len(data)}\n".encode())
        digest.update(f"{len(self)}\n".encode())
        for ordinal in np.linspace(0, max(0, len(self) - 1), min(SAMPLES, len(self))).astype(int):
            which = bisect_right(self._first, int(ordinal)) - 1
            offset = int(self.starts[ordinal]) - self._base[which]
            digest.update(f"{self.keys[ordinal]} {offset}\n".encode())
            digest.update(self._data[which][offset : offset + SAMPLE_BYTES])
        return digest.hexdigest()[:16]

    def close(self) -> None:
        """Let go of the files; views that were handed out stay good. May be called twice."""
        self._data = [np.empty(0, np.uint8) for _ in self.paths]


def is_face_header(header: HEADER, image: NDArray[np.uint8]) -> bool:
    """Whether a file's first record says that this is a face data set: it has no image, and its
    label is the key of the first identity record and that behind the last.
    """
    if header.flag != 2 or len(image):
        return False
    first, end = np.asarray(header.label, float).tolist()
    return bool(first % 1 == 0 and end % 1 == 0 and 1 <= first <= end)


def _joined(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The arrays one after another; a single one is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _files(paths: Path | Sequence[Path], ending: str) -> tuple[str, ...]:
    """The files that an argument names; in a directory, those with an ending."""
    if isinstance(paths, (str, os.PathLike)):
        if os.path.isdir(paths):
            folder = os.fspath(paths)
            found = sorted(name for name in os.listdir(folder) if name.endswith(ending))
            if not found:
                raise RecordFileNotFoundError(f"{folder} is a directory without *{ending} files")
            return tuple(os.path.join(folder, name) for name in found)
        paths = [part for part in os.fspath(paths).split(";") if part]
    if not isinstance(paths, Sequence) or not paths:
        raise ArgumentError(
            f"{ending} files are named by a path, or by a sequence of paths, not by {paths!r}"
        )
    return tuple(local_path(path) for path in paths)
