"""The headers of many records of a file, read together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from gpuio.native import PLACE
from gpuio.recordio.framing import FIRST, LENGTH_BITS, LENGTH_MASK, MAGIC, WHOLE
from gpuio.recordio.framing import HEADER as PART_HEADER
from gpuio.recordio.header import HEADER_BYTES
from gpuio.recordio.stored_image import StoredImage
from gpuio.storage.data_file import DataFile

# Bytes of a part's header and a record's header, before the label if it is an array; and the words
# of a record with its label, if that is a single number, and its id.
HEAD_BYTES = PART_HEADER.size + HEADER_BYTES
LABEL_WORD, ID_WORD = 3, 4


class RecordBatch(NamedTuple):
    """Several records; those that have several parts, or are damaged, are left out, and those that
    are not whole in memory, if their file has no descriptor.

    Attributes
    ----------
    labels : n, as in `HEADER`; None for those
    images : n of uint8 (bytes,), or `StoredImage` of those that are not read yet; None for those
    ids : uint64 (n,), as in `HEADER`; 0 for those
    """

    labels: list[float | NDArray[np.float32] | None]
    images: RecordImages
    ids: NDArray[np.uint64]

    def put(self, rows: NDArray[np.intp], part: RecordBatch) -> None:
        """Put others in their rows, intp (k,)."""
        self.images.put(rows, part.images)
        self.ids[rows] = part.ids
        for row, label in zip(rows.tolist(), part.labels, strict=True):
            self.labels[row] = label


class RecordImages(Sequence["NDArray[np.uint8] | StoredImage | None"]):
    """The images of a `RecordBatch`, which become objects only when they are asked for.

    Attributes
    ----------
    places : PLACE (n,), where they are; all 0 where there is none. They refer to memory and files
        that exist as long as this object

    Parameters
    ----------
    places : as above
    sources : the beginnings of the records of a file, and the file
    """

    def __init__(
        self,
        places: NDArray[np.void],
        sources: Sequence[tuple[NDArray[np.uint8], DataFile]] = (),
    ) -> None:
        self.places = places
        self._sources = [(data, data.ctypes.data, file) for data, file in sources]
        self._source = np.zeros(len(places), np.intp)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, row: int) -> NDArray[np.uint8] | StoredImage | None: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[NDArray[np.uint8] | StoredImage | None]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        known, size, start, begin, end, descriptor = self._plain_places[row]
        if not size:
            return None
        several = len(self._sources) > 1
        data, address, file = self._sources[self._source[row] if several else 0]
        first = known - address
        if descriptor < 0:
            return data[first + begin : first + end]
        return StoredImage(file, start, begin, end, data[first : first + size])

    @cached_property
    def _plain_places(self) -> list[tuple[int, ...]]:
        """`places` as Python's integers."""
        plain: list[tuple[int, ...]] = self.places.tolist()
        return plain

    def put(self, rows: NDArray[np.intp], images: RecordImages) -> None:
        """Put others in their rows, intp (k,)."""
        self.places[rows] = images.places
        self._source[rows] = images._source + len(self._sources)
        self._sources += images._sources


class RecordHeaders(NamedTuple):
    """Headers of n records of one file, of which at least the beginnings are in memory.

    Attributes
    ----------
    data : uint8 (bytes,), the records' beginnings
    words : uint32 (bytes // 4,), the same
    word : int64 (n,), where each record begins in `words`
    known : int64 (n,), bytes of each record in `data`, or to its end
    kind, length, flag : int64 (n,), kind and content bytes of the first part, and IRHeader.flag; 0
        if the file ends before them
    intact : bool (n,), whether the first part lies within the file and contains header and label
    """

    data: NDArray[np.uint8]
    words: NDArray[np.uint32]
    word: NDArray[np.int64]
    known: NDArray[np.int64]
    kind: NDArray[np.int64]
    length: NDArray[np.int64]
    flag: NDArray[np.int64]
    intact: NDArray[np.bool_]

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Which records have a single part, are intact, and have their label in memory."""
        whole: NDArray[np.bool_] = (
            self.intact & (self.kind == WHOLE) & (HEAD_BYTES + 4 * self.flag <= self.known)
        )
        return whole

    @property
    def end(self) -> NDArray[np.int64]:
        """Where the content of each record's first part ends, in bytes from the beginning of the
        record: int64 (n,).
        """
        return PART_HEADER.size + self.length

    def labels(self, rows: NDArray[np.intp], width: int) -> NDArray[np.float32]:
        """Gather labels.

        Parameters
        ----------
        rows : intp (k,), whole records with labels of one length
        width : this length, 1 for a single number

        Returns
        -------
        float32 (k, width)
        """
        # The label of flag 0 is in the header, behind the flag.
        begin = self.word[rows] + np.where(self.flag[rows] == 0, LABEL_WORD, HEAD_BYTES // 4)
        if len(rows) == 1:  # without an index array, which would be larger than a long label
            found = self.words[begin[0] : begin[0] + width].view("<f4")[None]
        else:
            found = self.words[begin[:, None] + np.arange(width)].view("<f4")
        labels: NDArray[np.float32] = found.astype(np.float32, copy=False)
        return labels

    def contents(self, file: DataFile, starts: NDArray[np.int64]) -> RecordBatch:
        """Labels, images and ids of the records that are whole; see `RecordBatch`.

        Parameters
        ----------
        file, starts : the file, and where the records begin in it, in bytes
        """
        whole = self.whole
        if file.descriptor is None:
            whole &= self.end <= self.known
        return RecordBatch(self._labels(whole), self._images(whole, file, starts), self._ids(whole))

    def _images(
        self, whole: NDArray[np.bool_], file: DataFile, starts: NDArray[np.int64]
    ) -> RecordImages:
        places = np.zeros(len(whole), PLACE)
        places["known"] = self.data.ctypes.data + self.word * 4
        places["known_size"], places["start"] = self.known, starts
        places["begin"], places["end"] = HEAD_BYTES + 4 * self.flag, self.end
        descriptor = -1 if file.descriptor is None else file.descriptor
        places["file"] = np.where(self.end > self.known, descriptor, -1)
        places[~whole] = 0
        return RecordImages(places, [(self.data, file)])

    def _ids(self, whole: NDArray[np.bool_]) -> NDArray[np.uint64]:
        ids = np.zeros(len(self.word), np.uint64)
        low, high = (
            self.words[self.word[whole] + at].astype(np.uint64) for at in (ID_WORD, ID_WORD + 1)
        )
        ids[whole] = low | high << np.uint64(32)
        return ids

    def _labels(self, whole: NDArray[np.bool_]) -> list[float | NDArray[np.float32] | None]:
        numbers = self.words.view("<f4")
        labels: list[float | NDArray[np.float32] | None] = [None] * len(self.word)
        single = np.flatnonzero(whole & (self.flag == 0))
        values = numbers[self.word[single] + LABEL_WORD].tolist()
        if len(single) == len(labels):
            return list(values)
        for row, value in zip(single.tolist(), values, strict=True):
            labels[row] = value
        for row in np.flatnonzero(whole & (self.flag > 0)).tolist():
            begin = int(self.word[row]) + HEAD_BYTES // 4
            labels[row] = numbers[begin : begin + int(self.flag[row])]
        return labels


def read_record_headers(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    known: NDArray[np.int64] | None = None,
    left: NDArray[np.int64] | None = None,
) -> RecordHeaders:
    """Read the headers of records.

    Parameters
    ----------
    data : uint8 (bytes,), a file, or the beginnings of its records
    starts : int64 (n,), where they begin in `data`, in bytes
    known : int64 (n,), bytes of each record in `data`; None: up to its end
    left : int64 (n,), bytes of the file from the beginning of each record on; None: as in `data`
    """
    words = np.asarray(data[: len(data) // 4 * 4]).view("<u4")
    known = len(data) - starts if known is None else known
    left = len(data) - starts if left is None else left
    inside = known >= HEAD_BYTES
    # Magic number, part kind and length, flag.
    found: NDArray[Any] = np.zeros((len(starts), 3), np.int64)
    found[inside] = words[starts[inside, None] // 4 + np.arange(3)]
    magic, lengths, flag = found.T
    kind, length = lengths >> LENGTH_BITS, lengths & LENGTH_MASK
    intact = (
        inside
        & (magic == MAGIC)
        & ((kind == WHOLE) | (kind == FIRST))
        & (HEADER_BYTES + 4 * flag <= length)
        & (PART_HEADER.size + (length + 3) // 4 * 4 <= left)
    )
    return RecordHeaders(data, words, starts // 4, known, kind, length, flag, intact)
