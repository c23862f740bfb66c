"""RecordSet: record files as one dataset, with random access.

A file may change while it is read, see `gpuio.storage.local`. The label and the beginning of a
record are read at once; what is read later of the same record must begin with the same bytes. If
the file is shorter than when it was opened, reading from it raises FileChangedError. Anything else
that another process writes is what is read from then on, if it is a valid record; its framing is
checked each time.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, Error, RecordError
from gpuio.recordio.diagnosis import explain, mismatch
from gpuio.recordio.file_names import find_files
from gpuio.recordio.framing import HEADER as PART_HEADER
from gpuio.recordio.framing import FramingError, parse
from gpuio.recordio.header import HEADER, is_face_header, unpack
from gpuio.recordio.index import Index
from gpuio.recordio.quarantine import Entry, file_name
from gpuio.recordio.record_headers import RecordBatch, RecordHeaders
from gpuio.recordio.record_headers import read_record_headers as read_headers
from gpuio.recordio.record_reading import (
    LABEL_BYTES,
    MAX_BULK,
    ends_ahead,
    read_payloads,
    read_records,
)
from gpuio.storage.data_file import DataFile
from gpuio.storage.local import BufferedFile, ByteSequence, Path
from gpuio.storage.parts import Bulk
from gpuio.storage.remote.cache import PAGE
from gpuio.storage.remote.opening import any_remote, open_each, open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.pickling import check_picklable
from gpuio.storage.remote.url import shown

if TYPE_CHECKING:
    from typing_extensions import Self

# The fingerprint includes this many records, spread over the dataset, and this many of the first
# bytes of each.
SAMPLES, SAMPLE_BYTES = 64, 256

# Records whose headers are read at a time, and numbers of labels that are gathered at a time.
HEADERS_AT_ONCE, NUMBERS_AT_ONCE = 1 << 14, 1 << 20

# Remote records that are read as a whole at a time.
WHOLE_AT_ONCE = 1 << 4

# What to do about a record that is not where it was.
CHANGED = "the file was overwritten after it was opened: open it again when it is complete"

# The part of the cache that what is read ahead may take. About as much of what is removed to make
# room has not been used yet, and is fetched again: segments hold some of everything that is read.
AHEAD_SHARE = 16


class Location(NamedTuple):
    """Where a record is stored. As a string: "train.rec, key 5, byte 123".

    Attributes
    ----------
    file : the record file
    offset : the byte at which the record begins; None: `file` is not a record file
    key : the record's key
    """

    file: str
    offset: int | None
    key: int

    def __str__(self) -> str:
        byte = "" if self.offset is None else f", byte {self.offset}"
        return f"{self.file}, key {self.key}{byte}"


class RecordSet:
    """Record files as one sequence of records, ordered by file and offset.

    Memory per record: its key and its offset, in two arrays. Thread-safe, fork-safe and picklable.

    Parameters
    ----------
    paths : one file, several joined by ";", a directory of ``*.rec`` files (in the order of their
        names), or a sequence of files. Each may be a URL; that of a folder ends with "/"
    index_paths : the index of each file, or its content; records that it does not list are left
        out. None: all records, found by scanning the files, for which remote ones are fetched as a
        whole; their keys are their ordinals
    remote : how remote files are reached and cached; None: by the default options

    Attributes
    ----------
    paths : the files; URLs without secrets
    has_index : whether indexes were given
    is_remote : whether one of the files is remote
    keys : int64 (n,)
    starts : int64 (n,), where each record begins, in bytes from the start of the first file
    file_starts : int64 (files,), the same of each file
    nbytes : total size of the files
    has_changed : whether `read_many` has found a file that was written to since it was opened

    Raises
    ------
    ArgumentError : the number of indexes is not that of the files.
    RecordFileNotFoundError : a file does not exist.
    RecordError : an index does not belong to its file, or a file without an index is damaged.
    """

    def __init__(
        self,
        paths: Path | Sequence[Path],
        index_paths: Path | Sequence[Path] | Sequence[Index] | None = None,
        remote: RemoteOptions | None = None,
    ) -> None:
        self._locations = find_files(paths, ".rec", remote)
        self.paths = tuple(map(shown, self._locations))
        indexes = None if index_paths is None else _find_indexes(index_paths, remote)
        if indexes is not None and len(indexes) != len(self.paths):
            raise ArgumentError(
                f"there are {len(self.paths)} record files and {len(indexes)} indexes; give one "
                "for each, in the same order"
            )
        self._indexes = indexes
        self.has_index = indexes is not None
        self._remote = remote
        named = [index for index in indexes or () if isinstance(index, str)]
        waits = any_remote([*self._locations, *named])
        files: dict[int, DataFile] = {}
        loaded: dict[int, Index | Error] = {}

        def open_one(what: tuple[bool, int]) -> None:
            is_index, number = what
            if is_index:
                loaded[number] = _load(self._indexes[number], remote)  # type: ignore[index]
            else:
                files[number] = open_file(self._locations[number], remote)

        # At once, as each takes a round trip to its server.
        numbers = range(len(self.paths))
        kinds = (False, True) if self.has_index else (False,)
        open_each(open_one, [(kind, number) for kind in kinds for number in numbers], waits)
        self._files = [files[number] for number in numbers]
        self.is_remote = any_remote(self._locations)
        self._base = np.cumsum([0, *map(len, self._files)]).tolist()
        self.file_starts = np.array(self._base[:-1], np.int64)
        self.nbytes: int = self._base[-1]
        self.has_changed = False
        found = [self._entries(number, loaded.get(number)) for number in numbers]
        self._first: list[int] = np.cumsum([0, *(len(keys) for keys, _ in found)])[:-1].tolist()
        self.keys: NDArray[np.int64] = _joined([keys for keys, _ in found])
        self.starts: NDArray[np.int64] = _joined([starts for _, starts in found])
        if not self.has_index:
            self.keys = np.arange(len(self.starts), dtype=np.int64)

    def _entries(
        self, number: int, index: Index | Error | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys and starts of one file's records, in the order of their offsets."""
        path, file = self.paths[number], self._files[number]
        given = None if self._indexes is None else self._indexes[number]
        if index is None:
            index = Index.build(self._locations[number], self._remote)
        elif isinstance(index, Error):
            raise index
        keys, offsets = index.keys, index.offsets
        wrong = np.flatnonzero((offsets < 0) | (offsets >= len(file)) | (offsets % 4 != 0))
        if len(wrong) and given is not None:
            key, offset = int(keys[wrong[0]]), int(offsets[wrong[0]])
            named = shown(given) if isinstance(given, str) else "the index"
            raise mismatch(file, path, named, key, offset, np.sort(offsets))
        if len(offsets) > 1 and not (offsets[1:] > offsets[:-1]).all():
            order = np.argsort(offsets, kind="stable")
            keys, offsets = keys[order], offsets[order]
        base = self._base[number]
        return keys, offsets + base if base else offsets

    def indexes(self) -> list[Index]:
        """The content of each file's index, with the records in the order of their offsets; another
        RecordSet of the same files can be given them, which then need not read or make them.
        """
        ends = [*self._first[1:], len(self)]
        return [
            Index(self.keys[begin:end], self.starts[begin:end] - base)
            for begin, end, base in zip(self._first, ends, self._base[:-1], strict=True)
        ]

    def __len__(self) -> int:
        return len(self.starts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[RecordSet], tuple[object, ...]]:
        check_picklable((self._locations, self._indexes), "RecordSet")
        return RecordSet, (self._locations, self._indexes, self._remote)

    def payload(self, ordinal: int) -> NDArray[np.uint8]:
        """Read a record's bytes, header included.

        Returns
        -------
        uint8 (bytes,)

        Raises
        ------
        RecordError : no intact record begins at the offset in the index.
        FileChangedError : the file has become shorter.
        """
        which, offset = self._find(ordinal)
        file, path = self._file(which), self.paths[which]
        data: ByteSequence = file
        if file.descriptor is None:  # not the header in one request, and the rest in another
            ((_, _, starts, ends),) = self._by_file(np.array([ordinal]))
            data = BufferedFile(file, int((ends_ahead(file, starts, ends) - starts)[0]))
        try:
            return parse(data, offset, path)[0]
        except FramingError as error:
            if file.has_changed():
                raise error.with_advice(CHANGED) from error
            listed = None
            if self.has_index:
                end = [*self._first, len(self)][which + 1]
                listed = self.starts[self._first[which] : end] - self._base[which]
            raise explain(error, file, path, offset, listed) from error

    def header(self, ordinal: int) -> HEADER:
        """Read a record's header and label, without its image if possible; see `record`."""
        for _, headers in self._headers(np.array([ordinal])):
            if headers.whole[0]:
                return unpack(headers.data[PART_HEADER.size :])[0]
        return self.record(ordinal)[0]

    def record(self, ordinal: int) -> tuple[HEADER, NDArray[np.uint8]]:
        """Read a record's header, and the rest of its payload: uint8 (bytes,).

        Raises
        ------
        RecordError : no intact record begins at the offset in the index, or it is too short for its
            header and label.
        """
        return unpack(self.payload(ordinal))

    @property
    def cache_limit(self) -> int | None:
        """The most bytes of remote files in the cache; None: all files are local."""
        if not any_remote(self._locations):
            return None
        return (self._remote or RemoteOptions.create()).cache_limit

    @property
    def readahead(self) -> int:
        """Bytes that should be read ahead by `read_ahead`: 0 for local files."""
        if not any_remote(self._locations):
            return 0
        options = RemoteOptions.create() if self._remote is None else self._remote
        return min(options.readahead, options.cache_limit // AHEAD_SHARE)

    def read_ahead(self, ordinals: NDArray[np.int64]) -> int:
        """Have records read from the disk, or fetched into the cache; does not wait. The number of
        their bytes.
        """
        size = 0
        for number, _, starts, ends in self._by_file(ordinals):
            file = self._file(number)
            until = ends_ahead(file, starts, ends)
            file.advise(starts, until)
            size += int((until - starts).sum())
        return size

    def _by_file(
        self, ordinals: NDArray[np.int64]
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]]:
        """Split records by their files.

        Yields
        ------
        The number of a file; intp (k,), which of the records are in it; int64 (k,) each, where they
        begin, and where the next one of the index does, or the file ends
        """
        if len(self.paths) == 1:
            if len(ordinals):
                yield 0, np.arange(len(ordinals)), *self._bounds(0, ordinals)
            return
        which = np.searchsorted(self._first, ordinals, side="right") - 1
        for number in sorted(set(which.tolist())):
            rows = np.flatnonzero(which == number)
            yield number, rows, *self._bounds(number, ordinals[rows])

    def _bounds(
        self, number: int, ordinals: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where records of a file begin and end in it; see `_by_file`."""
        starts = self.starts[ordinals]
        after = self.starts[np.minimum(ordinals + 1, len(self) - 1)]
        base, end = self._base[number], self._base[number + 1]
        ends = np.minimum(np.where(after > starts, after, end), end)
        return (starts - base, ends - base) if base else (starts, ends)

    def read_many(self, ordinals: NDArray[np.int64], bulk: Bulk | None = None) -> RecordBatch:
        """Read several records at once, in any order: small ones as a whole, of others the
        beginning.

        Parameters
        ----------
        ordinals : int64 (n,)
        bulk : read larger ones, too, as a whole, in this way

        Raises
        ------
        FileChangedError : a file has become shorter.
        RecordError : a file cannot be read.
        """
        parts = []
        for number, rows, starts, ends in self._by_file(ordinals):
            file = self._file(number)
            parts.append((rows, read_records(file, starts, ends, bulk)))
            self.has_changed |= file.has_changed()
        if len(parts) == 1:
            return parts[0][1]
        batch = RecordBatch.empty(len(ordinals))
        for rows, part in parts:
            batch.put(rows, part)
        return batch

    def payloads(self, ordinals: NDArray[np.int64]) -> list[NDArray[np.uint8] | None]:
        """Read the bytes of several records at once, in any order; see `payload`.

        Parameters
        ----------
        ordinals : int64 (n,)

        Returns
        -------
        uint8 (bytes,) of each record, header included; None: it is damaged or very large, and
        `payload` reads it or says what is wrong

        Raises
        ------
        FileChangedError, RemoteError : a file cannot be read.
        """
        found: list[NDArray[np.uint8] | None] = [None] * len(ordinals)
        for number, rows, starts, ends in self._by_file(ordinals):
            read = read_payloads(self._file(number), self.paths[number], starts, ends)
            for row, payload in zip(rows.tolist(), read, strict=True):
                found[row] = payload
        return found

    def location(self, ordinal: int) -> Location:
        """File, offset and key of a record."""
        which, offset = self._find(ordinal)
        return Location(self.paths[which], offset, int(self.keys[ordinal]))

    def _find(self, ordinal: int) -> tuple[int, int]:
        """Number of a record's file, and the record's offset in it."""
        which = bisect_right(self._first, ordinal) - 1
        return which, int(self.starts[ordinal]) - self._base[which]

    def without(
        self, ordinals: range | NDArray[np.int64], listed: Iterable[Entry]
    ) -> range | NDArray[np.int64]:
        """Remove the records of a quarantine list; entries of other files are ignored.

        Parameters
        ----------
        ordinals : records, ascending
        listed : the quarantine list
        """
        names = [file_name(path) for path in self.paths]
        sizes = np.diff(self._base).tolist()
        wanted = np.array(
            [
                self._base[which] + entry.offset
                for entry in listed
                for which, name in enumerate(names)
                if name == entry.file and 0 <= entry.offset < sizes[which]
            ],
            np.int64,
        )
        bad = np.flatnonzero(np.isin(self.starts, wanted))
        if not len(bad):
            return ordinals
        kept = np.asarray(ordinals, np.int64)
        return kept[~np.isin(kept, bad)]

    def image_ordinals(self) -> range | NDArray[np.int64]:
        """The records that contain images, ascending.

        In face datasets (MS1MV3, Glint360K and their like) the first record is a header, with the
        key of the first identity record as its label; the records with keys from 1 up to that key
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

    @cached_property
    def has_faces(self) -> bool:
        """Whether one of the files is a face dataset."""
        return any(self._face_header(number) is not None for number in range(len(self.paths)))

    def _image_mask(self, number: int) -> NDArray[np.bool_] | None:
        """Which records of one file contain images, bool (records,); None: all of them."""
        header = self._face_header(number)
        if header is None:
            return None
        begin, end = self._first[number], [*self._first, len(self)][number + 1]
        keys = self.keys[begin:end] - (0 if self.has_index else begin)
        mask: NDArray[np.bool_] = (keys >= 1) & (keys < header.label[0])
        return mask

    def _face_header(self, number: int) -> HEADER | None:
        """The first record of one file, if it is the header of a face dataset."""
        begin, end = self._first[number], [*self._first, len(self)][number + 1]
        if begin == end:
            return None
        try:
            header, image = self.record(begin)
        except RecordError:
            return None
        return header if is_face_header(header, image) else None

    def most_labels(self, ordinals: range | NDArray[np.int64], limit: int) -> int:
        """Length of the longest label array of some records; 0 if there are only single numbers.

        Only headers are read. Records whose header is damaged are ignored, and so are those whose
        label is longer than `limit`.
        """
        longest = 0
        for _, headers in self._headers(ordinals):
            usable = headers.intact & (headers.flag <= limit)
            longest = max(longest, int(headers.flag[usable].max(initial=0)))
        return longest

    def label_blocks(
        self, ordinals: range | NDArray[np.int64], skip_damaged: bool = False
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Read the labels of many records at once.

        Parameters
        ----------
        ordinals : records, in any order
        skip_damaged : leave out damaged records

        Yields
        ------
        ordinals : int64 (n,); each of the given ones is in exactly one block, in no particular
            order
        labels : float32 (n, k), one row per record; k = 1 if the label is a single number

        Raises
        ------
        RecordError : a record is damaged; the message says which.
        """
        for inside, headers in self._headers(ordinals):
            widths = np.where(headers.whole, np.maximum(headers.flag, 1), 0)
            order = np.argsort(widths, kind="stable")
            ascending = widths[order]
            for group in np.split(order, np.flatnonzero(ascending[1:] != ascending[:-1]) + 1):
                width = int(widths[group[0]])
                if not width:
                    yield from self._single_blocks(inside[group].tolist(), skip_damaged)
                    continue
                rows = max(1, NUMBERS_AT_ONCE // width)
                for first in range(0, len(group), rows):
                    some = group[first : first + rows]
                    yield inside[some], headers.labels(some, width)

    def _single_blocks(
        self, ordinals: list[int], skip_damaged: bool
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Blocks of one record each, which are read as a whole."""
        step = self._at_once(WHOLE_AT_ONCE, MAX_BULK + 2 * PAGE)
        for first in range(0, len(ordinals), step):
            chunk = ordinals[first : first + step]
            read: list[NDArray[np.uint8] | None] = [None] * len(chunk)
            if self.is_remote:
                read = self.payloads(np.array(chunk))
            yield from self._labels_of(chunk, read, skip_damaged)

    def _labels_of(
        self, ordinals: list[int], read: list[NDArray[np.uint8] | None], skip_damaged: bool
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Blocks of one record each, with their payloads as far as they have been read."""
        for ordinal, payload in zip(ordinals, read, strict=True):
            try:
                label = unpack(self.payload(ordinal) if payload is None else payload)[0].label
            except RecordError as error:
                if skip_damaged:
                    continue
                raise RecordError(f"{self.location(ordinal)}: {error}") from error
            yield np.array([ordinal], np.int64), np.array(label, np.float32).reshape(1, -1)

    def _headers(
        self, ordinals: range | NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], RecordHeaders]]:
        """The headers of many records, in chunks of bounded size, each with its ordinals."""
        step = self._at_once(HEADERS_AT_ONCE, 2 * PAGE)
        for first in range(0, len(ordinals), step):
            chunk = np.asarray(ordinals[first : first + step], np.int64)
            for number, rows, starts, ends in self._by_file(chunk):
                file = self._file(number)
                known = np.minimum(ends - starts, LABEL_BYTES)
                data, places = file.read_parts(starts, starts + known)
                yield chunk[rows], read_headers(data, places, known, len(file) - starts)

    def _at_once(self, most: int, nbytes: int) -> int:
        """How many records are read at a time: of remote ones as many as fit into the cache.

        Parameters
        ----------
        most : the most
        nbytes : bytes of the cache for each
        """
        limit = self.cache_limit
        return most if limit is None else max(1, min(most, limit // nbytes))

    @cached_property
    def fingerprint(self) -> str:
        """Dataset fingerprint, for saved states: a digest of file names, sizes, and some records or
        the store's name for the content.
        """
        digest = hashlib.sha256()
        for path, size in zip(self.paths, np.diff(self._base).tolist(), strict=True):
            digest.update(os.fsencode(os.path.basename(path)))
            digest.update(f" {size}\n".encode())
        digest.update(f"{len(self)}\n".encode())
        versions = [file.version for file in self._files]
        for version in filter(None, versions):
            digest.update(f"{version}\n".encode("utf-8", "surrogateescape"))
        for ordinal in np.linspace(0, max(0, len(self) - 1), min(SAMPLES, len(self))).astype(int):
            which, offset = self._find(int(ordinal))
            digest.update(f"{self.keys[ordinal]} {offset}\n".encode())
            if versions[which] is None:
                digest.update(self._file(which)[offset : offset + SAMPLE_BYTES])
        return digest.hexdigest()[:16]

    def _file(self, number: int) -> DataFile:
        files = self._files  # which another thread may be closing
        if not files:
            raise RecordError(f"{self.paths[number]} is closed")
        return files[number]

    def interrupt(self) -> None:
        """Have threads that wait for data of remote files raise."""
        for file in self._files:
            file.close()

    def close(self) -> None:
        """Release the files; what was read before remains valid. May be called repeatedly."""
        self.interrupt()
        self._files = []  # a thread that is still reading keeps its file open


def _joined(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Concatenate; a single array is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _load(given: str | Index, remote: RemoteOptions | None) -> Index | Error:
    """An index; or the error, which comes after those of the record files."""
    if isinstance(given, Index):
        return given
    try:
        return Index.load(given, remote=remote)
    except Error as error:
        return error


def _find_indexes(
    index_paths: Path | Sequence[Path] | Sequence[Index], remote: RemoteOptions | None
) -> tuple[str | Index, ...]:
    """Resolve the argument for indexes."""
    if isinstance(index_paths, (list, tuple)) and all(
        isinstance(each, Index) for each in index_paths
    ):
        return tuple(index_paths)
    return find_files(index_paths, ".idx", remote)  # type: ignore[arg-type]  # none is an Index
