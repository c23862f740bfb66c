"""The headers of many records of a file, read together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.recordio.framing import FIRST, LENGTH_BITS, LENGTH_MASK, MAGIC, WHOLE
from gpuio.recordio.framing import HEADER as PART_HEADER
from gpuio.recordio.header import HEADER_BYTES

# Bytes of a part's header and a record's header, before the label if it is an array; and the words
# of a record with its label, if that is a single number, and its id.
HEAD_BYTES = PART_HEADER.size + HEADER_BYTES
LABEL_WORD, ID_WORD = 3, 4


class RecordBatch(NamedTuple):
    """Several records; those that have several parts, or are damaged, are left out.

    Attributes
    ----------
    labels : n, as in `HEADER`; None for those
    images : n of uint8 (bytes,), views of the files; None for those
    ids : uint64 (n,), as in `HEADER`; 0 for those
    """

    labels: list[float | NDArray[np.float32] | None]
    images: list[NDArray[np.uint8] | None]
    ids: NDArray[np.uint64]


class RecordHeaders(NamedTuple):
    """Headers of n records of one file.

    Attributes
    ----------
    data : uint8 (file bytes,), the file
    words : uint32 (file bytes // 4,), the file
    word : int64 (n,), where each record begins in `words`
    kind, length, flag : int64 (n,), kind and content bytes of the first part, and IRHeader.flag; 0
        if the file ends before them
    intact : bool (n,), whether the first part lies within the file and contains header and label
    """

    data: NDArray[np.uint8]
    words: NDArray[np.uint32]
    word: NDArray[np.int64]
    kind: NDArray[np.int64]
    length: NDArray[np.int64]
    flag: NDArray[np.int64]
    intact: NDArray[np.bool_]

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Which records have a single part, and are intact: bool (n,)."""
        whole: NDArray[np.bool_] = self.intact & (self.kind == WHOLE)
        return whole

    @property
    def end(self) -> NDArray[np.int64]:
        """Where the content of each record's first part ends, in bytes: int64 (n,)."""
        return self.word * 4 + PART_HEADER.size + self.length

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

    def contents(self) -> RecordBatch:
        """Labels, images and ids of the records that are whole."""
        return RecordBatch(self._labels(), self._images(), self._ids())

    def _ids(self) -> NDArray[np.uint64]:
        ids = np.zeros(len(self.word), np.uint64)
        whole = self.whole
        low, high = (
            self.words[self.word[whole] + at].astype(np.uint64) for at in (ID_WORD, ID_WORD + 1)
        )
        ids[whole] = low | high << np.uint64(32)
        return ids

    def _labels(self) -> list[float | NDArray[np.float32] | None]:
        numbers = self.words.view("<f4")
        labels: list[float | NDArray[np.float32] | None] = [None] * len(self.word)
        single = np.flatnonzero(self.whole & (self.flag == 0))
        values = numbers[self.word[single] + LABEL_WORD].tolist()
        if len(single) == len(labels):
            return list(values)
        for row, value in zip(single.tolist(), values, strict=True):
            labels[row] = value
        for row in np.flatnonzero(self.whole & (self.flag > 0)).tolist():
            begin = int(self.word[row]) + HEAD_BYTES // 4
            labels[row] = numbers[begin : begin + int(self.flag[row])]
        return labels

    def _images(self) -> list[NDArray[np.uint8] | None]:
        begin = self.word * 4 + HEAD_BYTES + 4 * self.flag
        data = self.data
        return [
            data[first:last] if whole else None
            for first, last, whole in zip(
                begin.tolist(), self.end.tolist(), self.whole.tolist(), strict=True
            )
        ]


def read_record_headers(data: NDArray[np.uint8], starts: NDArray[np.int64]) -> RecordHeaders:
    """Read the headers of records that begin at `starts`, in bytes from the start of the file."""
    words = np.asarray(data[: len(data) // 4 * 4]).view("<u4")
    inside = starts + HEAD_BYTES <= len(data)
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
        & (starts + PART_HEADER.size + (length + 3) // 4 * 4 <= len(data))
    )
    return RecordHeaders(data, words, starts // 4, kind, length, flag, intact)
