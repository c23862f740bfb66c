"""A batch on its way: `ImageBatch` until it is assembled, `LoadedBatch` after that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import ImageHeader
from gpuio.decoding.header_codes import decode_header
from gpuio.errors import Error
from gpuio.loading.source import Encoded, EncodedBatch
from gpuio.planning.plan import Plan
from gpuio.planning.planner import Labels, listed
from gpuio.sampling.order import BatchIndices
from gpuio.sampling.sample_rng import SampleRng


class BadRecord(NamedTuple):
    """A record that could not be used.

    Attributes
    ----------
    key : the record's key in the index or the list; without one, its number, counted over all files
    place : file, key and byte offset, as a string
    reason : what was wrong with it
    file, offset : the file, and the byte at which the record begins (0 for an image file)
    """

    key: int
    place: str
    reason: str
    file: str
    offset: int


class EncodedRows(Sequence["Encoded | None"]):
    """What was read of the records of a batch.

    Parameters
    ----------
    read : the records
    bad : rows of those that cannot be used, beside those that could not be read
    """

    def __init__(self, read: EncodedBatch, bad: Collection[int] = ()) -> None:
        self._read = read
        self._bad = {*read.errors, *bad}

    def __len__(self) -> int:
        return len(self._read)

    @overload
    def __getitem__(self, row: int) -> Encoded | None: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Encoded | None]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        return None if row in self._bad else self._read[row]

    def without(self, bad: Collection[int]) -> EncodedRows:
        """The same without further records."""
        return EncodedRows(self._read, {*self._bad, *bad})

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which records can be used: bool (n,)."""
        usable = np.ones(len(self), np.bool_)
        usable[list(self._bad)] = False
        return usable

    @property
    def labels(self) -> Labels:
        """The records' labels; None for those that cannot be used."""
        if not self._bad:
            return self._read.labels
        labels = listed(self._read.labels)
        for row in self._bad:
            labels[row] = None
        return labels

    @property
    def places(self) -> NDArray[np.void]:
        """Where the records' images are; see `EncodedBatch`."""
        return self._read.places


@dataclass(kw_only=True)
class ImageBatch:
    """The images of a batch that has been read, and what is to become of them.

    Attributes
    ----------
    indices : which samples they are
    epoch, record : int64 (B,), each sample's epoch and record index
    encoded : label and encoded image of each record; None where reading it failed
    codes : uint64 (B,), what the images' headers say, see `header_codes`; 0 where unknown
    plan : None: samples are rendered one by one, without a plan
    labels : float32 (B, …), the labels of the batch
    errors : row -> why its record cannot be used; executors add what they find
    structures : uint8 (B,), the `Structure` of each image: which of them DALI may be given; None:
        not checked
    rngs : the random numbers of each sample; empty if there is a plan
    """

    indices: BatchIndices
    epoch: NDArray[np.int64]
    record: NDArray[np.int64]
    encoded: EncodedRows
    codes: NDArray[np.uint64]
    plan: Plan | None
    labels: NDArray[np.float32]
    errors: dict[int, Error]
    structures: NDArray[np.uint8] | None = None
    rngs: Sequence[SampleRng] = ()

    def __len__(self) -> int:
        return len(self.record)

    @cached_property
    def headers(self) -> list[ImageHeader | None]:
        """What the images' headers say; None where unknown."""
        return [decode_header(code) if code else None for code in self.codes.tolist()]


class LoadedBatch(NamedTuple):
    """A finished batch.

    Attributes
    ----------
    data, label : arrays or CSR matrices, in the order of their names; no data if there is nothing
        for the caller. Those on a GPU that another thread made have an owner, which knows when they
        are complete, see `gpuio.nd.device_memory`
    pad : number of rows at the end that only fill the batch
    keys : uint64 (B,), the records' keys or the rows' numbers, on the host; None if the source has
        none
    bad : the records that were left out or replaced
    any_good : whether a record of the batch could be used
    carried : number of rows at the beginning that roll over from the epoch before
    """

    data: list[Any]
    label: list[Any]
    pad: int
    keys: NDArray[np.uint64] | None = None
    bad: tuple[BadRecord, ...] = ()
    any_good: bool = True
    carried: int = 0
