"""The headers of many records of a file, read together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from gpuio.native_structs import PLACE
from gpuio.recordio.framing import FIRST, LENGTH_BITS, LENGTH_MASK, MAGIC, WHOLE
from gpuio.recordio.framing import HEADER as PART_HEADER
from gpuio.recordio.header import HEADER_BYTES
from gpuio.recordio.native_records import native_records
from gpuio.recordio.stored_image import StoredImage
from gpuio.storage.data_file import DataFile

# How a record begins: magic number, kind and length of its first part, header. The label follows
# if it is an array.
HEAD = np.dtype(
    [
        ("magic", "<u4"),
        ("part", "<u4"),
        ("flag", "<u4"),
        ("label", "<f4"),
        ("id", "<u8"),
        ("id2", "<u8"),
    ]
)
HEAD_BYTES = HEAD.itemsize
assert PART_HEADER.size + HEADER_BYTES == HEAD_BYTES


class RecordBatch(NamedTuple):
    """Several records; those that have several parts, or are damaged, are left out, and those that
    are not whole in memory, if their file has no descriptor.

    Attributes
    ----------
    labels : n, as in `HEADER`; None for those. Or float32 (n,): all are single numbers
    images : n of uint8 (bytes,), or `StoredImage` of those that are not read yet; None for those
    ids : uint64 (n,), as in `HEADER`; 0 for those
    """

    labels: list[float | NDArray[np.float32] | None] | NDArray[np.float32]
    images: RecordImages
    ids: NDArray[np.uint64]

    @staticmethod
    def empty(count: int) -> RecordBatch:
        """Some records that are all left out."""
        places, ids = np.zeros(count, PLACE), np.zeros(count, np.uint64)
        return RecordBatch([None] * count, RecordImages(places), ids)

    def put(self, rows: NDArray[np.intp], part: RecordBatch) -> None:
        """Put others in their rows, intp (k,)."""
        self.images.put(rows, part.images)
        self.ids[rows] = part.ids
        labels = part.labels.tolist() if isinstance(part.labels, np.ndarray) else part.labels
        for row, label in zip(rows.tolist(), labels, strict=True):
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
    begin : int64 (n,), where each record begins in `data`, in bytes
    known : int64 (n,), bytes of each record in `data`, or to its end
    head : HEAD (n,); 0 if the file ends before its end
    flag : int64 (n,), IRHeader.flag
    end : int64 (n,), where the content of each record's first part ends, in bytes from the
        beginning of the record
    intact : bool (n,), whether the first part lies within the file and contains header and label
    whole : bool (n,), which records have a single part, are intact, and have their label in memory
    """

    data: NDArray[np.uint8]
    begin: NDArray[np.int64]
    known: NDArray[np.int64]
    head: NDArray[np.void]
    flag: NDArray[np.int64]
    end: NDArray[np.int64]
    intact: NDArray[np.bool_]
    whole: NDArray[np.bool_]

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
        skipped = np.where(self.flag[rows] == 0, PART_HEADER.size + 4, HEAD_BYTES)
        begin = self.begin[rows] + skipped
        if len(rows) == 1:  # without an index array, which would be larger than a long label
            found = self.data[begin[0] : begin[0] + 4 * width].view("<f4")[None]
        else:
            words = self.data[: len(self.data) // 4 * 4].view("<f4")
            found = words[begin[:, None] // 4 + np.arange(width)]
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
            whole = whole & (self.end <= self.known)
        labels: list[float | NDArray[np.float32] | None] = self.head["label"].tolist()
        for row in np.flatnonzero(whole & (self.flag > 0)).tolist():
            begin = int(self.begin[row]) + HEAD_BYTES
            labels[row] = self.data[begin : begin + 4 * int(self.flag[row])].view("<f4")
        for row in np.flatnonzero(~whole).tolist():
            labels[row] = None
        ids = np.where(whole, self.head["id"], np.uint64(0))
        return RecordBatch(labels, self._images(whole, file, starts), ids)

    def _images(
        self, whole: NDArray[np.bool_], file: DataFile, starts: NDArray[np.int64]
    ) -> RecordImages:
        places = np.empty(len(whole), PLACE)
        places["known"] = self.data.ctypes.data + self.begin
        places["known_size"], places["start"] = self.known, starts
        places["begin"], places["end"] = HEAD_BYTES + 4 * self.flag, self.end
        descriptor = -1 if file.descriptor is None else file.descriptor
        places["file"] = np.where(self.end > self.known, descriptor, -1)
        places[~whole] = 0
        return RecordImages(places, [(self.data, file)])


def read_contents(
    data: NDArray[np.uint8],
    places: NDArray[np.int64],
    known: NDArray[np.int64],
    file: DataFile,
    starts: NDArray[np.int64],
) -> RecordBatch:
    """Read what records of a file contain, of which at least the beginnings are in memory.

    Parameters
    ----------
    data : uint8 (bytes,), contiguous
    places, known : int64 (n,), where each of them begins in `data`, and its bytes there
    starts : int64 (n,), where they begin in the file
    """
    if (module := native_records()) is None:
        headers = read_record_headers(data, places, known, len(file) - starts)
        return headers.contents(file, starts)
    found = module.headers(data, places, known, starts, len(file), file.descriptor)
    images = RecordImages(found.places, [(data, file)])
    if found.are_plain:
        return RecordBatch(found.labels, images, found.ids)
    labels: list[float | NDArray[np.float32] | None] = found.labels.tolist()
    for row in np.flatnonzero(found.whole & (found.flags > 0)).tolist():
        begin = int(places[row]) + HEAD_BYTES
        labels[row] = data[begin : begin + 4 * int(found.flags[row])].view("<f4")
    for row in np.flatnonzero(~found.whole).tolist():
        labels[row] = None
    return RecordBatch(labels, images, found.ids)


def read_record_headers(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    known: NDArray[np.int64] | None = None,
    left: NDArray[np.int64] | None = None,
) -> RecordHeaders:
    """Read the headers of records.

    Parameters
    ----------
    data : uint8 (bytes,), contiguous, a file, or the beginnings of its records
    starts : int64 (n,), where they begin in `data`, in bytes
    known : int64 (n,), bytes of each record in `data`; None: up to its end
    left : int64 (n,), bytes of the file from the beginning of each record on; None: as in `data`
    """
    known = len(data) - starts if known is None else known
    left = len(data) - starts if left is None else left
    # As bytes: NumPy would copy structured elements field by field.
    beginnings = np.zeros(len(starts), f"V{HEAD_BYTES}")
    if len(inside := np.flatnonzero(known >= HEAD_BYTES)):
        size = len(data) - HEAD_BYTES + 1
        every = np.ndarray(size, beginnings.dtype, data, strides=(1,))  # one at each byte
        beginnings[inside] = every[starts[inside]]
    head = beginnings.view(HEAD)
    flag, part = head["flag"].astype(np.int64), head["part"].astype(np.int64)
    kind, length = part >> LENGTH_BITS, part & LENGTH_MASK
    intact = (
        (head["magic"] == MAGIC)
        & ((kind == WHOLE) | (kind == FIRST))
        & (HEADER_BYTES + 4 * flag <= length)
        & (PART_HEADER.size + (length + 3) // 4 * 4 <= left)
    )
    whole = intact & (kind == WHOLE) & (HEAD_BYTES + 4 * flag <= known)
    return RecordHeaders(data, starts, known, head, flag, PART_HEADER.size + length, intact, whole)
