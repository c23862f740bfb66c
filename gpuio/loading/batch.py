"""One batch on its way through an executor: what goes in, what comes out, and what is done about
bad records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import ImageInfo, probe
from gpuio.errors import DecodeError, Error, RecordError
from gpuio.planning.plan import Plan
from gpuio.sampling.order import BatchIndices

POLICIES = ("raise", "skip", "substitute")


class BadRecord(NamedTuple):
    """A record that could not be used.

    Attributes
    ----------
    key : the record's key in the index, or its number in the file where there is no index
    place : file, key and byte offset, as a text
    reason : what was wrong with it
    file, offset : the record file, and the byte at which the record begins
    """

    key: int
    place: str
    reason: str
    file: str
    offset: int


class Records(Protocol):
    """Where samples come from, as far as reports of bad ones go."""

    keys: NDArray[np.int64]

    def locate(self, ordinal: int) -> str:
        """Where a record is, for people."""

    def place(self, ordinal: int) -> tuple[str, int]:
        """Where a record is: file and byte."""


@dataclass(kw_only=True)
class Work:
    """A batch on its way.

    Attributes
    ----------
    take : the slice of the stream
    ordinal : int64 (B,), the records' numbers in the record set
    label : float32 (B, label_width)
    errors : row -> what is wrong with its record; executors add what they find
    """

    take: BatchIndices
    ordinal: NDArray[np.int64]
    label: NDArray[np.float32]
    errors: dict[int, Error] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ordinal)


@dataclass(kw_only=True)
class PlannedWork(Work):
    """A batch whose records have been read and whose plan is made, but which is not decoded yet.

    Attributes
    ----------
    image : the encoded images, uint8 views of the record files; None where the record is bad
    info : what their headers say
    plan : the geometry, B rows; rows of bad records mean nothing
    """

    image: list[NDArray[np.uint8] | None]
    info: list[ImageInfo | None]
    plan: Plan


@dataclass(kw_only=True)
class Draft:
    """A batch whose records have been read, and whose plan is to be made.

    Attributes
    ----------
    epoch, record : int64 (B,), of which, with a seed, all random choices are made
    sizes : int64 (B, 2), width and height of the pictures in pixels; 1 x 1 for bad records
    labels : what `read` gave for each row, None for bad records; whoever plans may put others in
        their place
    errors : row -> what is wrong with its record; whoever plans may add to them
    """

    epoch: NDArray[np.int64]
    record: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: list[Any]
    errors: dict[int, Error]


class BatchReader:
    """Turns a slice of the stream into work: reads the records, asks their pictures' sizes, makes
    the plan.

    Safe to call from several threads.

    Parameters
    ----------
    records : where samples come from, for reports
    selection : the records in use: the order's record i is ``selection[i]``
    read : gives a record's label and its encoded image, uint8 (bytes,); raises RecordError
    planner : makes the plan
    room : gives an array, float32 (rows, …), for the labels of so many rows
    upright : turn pictures as EXIF says
    canvases : plans may have some
    """

    def __init__(
        self,
        records: Records,
        selection: Sequence[int] | NDArray[np.int64],
        read: Callable[[int], tuple[Any, NDArray[np.uint8]]],
        planner: Callable[[Draft], Plan],
        room: Callable[[int], NDArray[np.float32]],
        upright: bool = True,
        canvases: bool = False,
    ) -> None:
        self.records = records
        self.upright = upright
        self.canvases = canvases
        self._selection = selection
        self._read = read
        self._planner = planner
        self._room = room

    def __call__(self, take: BatchIndices) -> PlannedWork:
        """Prepare one slice of the stream."""
        ordinal = select(self._selection, take.record)
        count = len(ordinal)
        image: list[NDArray[np.uint8] | None] = [None] * count
        info: list[ImageInfo | None] = [None] * count
        sizes = np.ones((count, 2), np.int64)
        draft = Draft(
            epoch=take.epoch, record=ordinal, sizes=sizes, labels=[None] * count, errors={}
        )
        for row, number in enumerate(ordinal.tolist()):
            try:
                label, data = self._read(number)
                found = probe(data) if self.upright else probe(data).as_stored()
            except (RecordError, DecodeError) as error:
                draft.errors[row] = error
                continue
            draft.labels[row], image[row], info[row] = label, data, found
            sizes[row] = found.width, found.height
        made = self._planner(draft)
        room = self._room(count)
        for row, label in enumerate(draft.labels):
            if label is not None:
                room[row] = label
        return PlannedWork(
            take=take,
            ordinal=ordinal,
            label=room,
            errors=draft.errors,
            image=image,
            info=info,
            plan=made,
        )


def select(
    selection: Sequence[int] | NDArray[np.int64], record: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The records' numbers, ``selection[record]``, for a range without making an array of it."""
    if isinstance(selection, range):
        return record * selection.step + selection.start
    return np.asarray(selection, np.int64)[record]


class LoadedBatch(NamedTuple):
    """A finished batch.

    Attributes
    ----------
    data, label : arrays or CSR matrices, in the order of their names; no data where not one record
        of the batch could be used
    pad : rows at the end that are there only to fill the batch
    keys : uint64 (B,), the records' keys or the rows' numbers, on the host; None where the source
        has none
    bad : the records that were left out or replaced
    copied : a CUDA event: the arrays are complete when it is done; None: they are complete
    """

    data: list[Any]
    label: list[Any]
    pad: int
    keys: NDArray[np.uint64] | None = None
    bad: tuple[BadRecord, ...] = ()
    copied: Any = None


class BadRecordResolution(NamedTuple):
    """How a batch with bad records is made whole.

    Attributes
    ----------
    rows : intp (B,), the sample that each row of the batch shows; None: each its own; empty: there
        is no good sample to show
    pad : rows at the end that are there only to fill the batch
    """

    rows: NDArray[np.intp] | None
    pad: int

    @property
    def all_bad(self) -> bool:
        """Whether not one record of the batch is good."""
        return self.rows is not None and len(self.rows) == 0


def resolve_bad_records(work: Work, records: Records, policy: str) -> BadRecordResolution:
    """Decide what stands in the place of a batch's bad records.

    Parameters
    ----------
    policy : "raise": the first bad record's error is raised, with its place; "skip": the good
        samples close up, and `pad` counts the rows missing at the end, which repeat them;
        "substitute": the next good sample of the batch stands in the bad one's place

    Raises
    ------
    Error : under "raise".
    """
    if not work.errors:
        return BadRecordResolution(None, work.take.pad)
    count = len(work)
    good = np.array([row for row in range(count) if row not in work.errors], np.intp)
    if policy == "raise":
        row = min(work.errors)
        error = work.errors[row]
        raise type(error)(
            f"{records.locate(int(work.ordinal[row]))}: {error}; "
            "on_error='skip' or 'substitute' goes on without it"
        ) from error
    if not len(good):
        return BadRecordResolution(good, count)
    if policy == "substitute":
        following = np.searchsorted(good, np.arange(count)) % len(good)
        return BadRecordResolution(good[following], work.take.pad)
    kept = int((good < count - work.take.pad).sum())
    return BadRecordResolution(np.resize(good, count), count - kept)


def finish(work: Work, data: Any, settlement: BadRecordResolution, records: Records) -> LoadedBatch:
    """The finished batch; `data` is already in the rows that `settlement` gives."""
    ordinal, label = work.ordinal, work.label
    if settlement.rows is not None and not settlement.all_bad:
        ordinal, label = ordinal[settlement.rows], label[settlement.rows]
    bad = tuple(
        BadRecord(
            int(records.keys[number]),
            records.locate(number),
            str(work.errors[row]),
            *records.place(number),
        )
        for row, number in sorted((row, int(work.ordinal[row])) for row in work.errors)
    )
    keys = records.keys[ordinal].astype(np.uint64)
    return LoadedBatch([] if data is None else [data], [label], settlement.pad, keys, bad)
