"""What several tests of loading use: a source in memory, batches, and an executor that waits."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpuio.errors import DecodeError, Error, RecordError
from gpuio.loading.batch import EncodedRows, ImageBatch
from gpuio.loading.outcome import Outcome
from gpuio.loading.source import Encoded, EncodedBatch, read_or_error
from gpuio.recordio.record_set import Location
from gpuio.sampling.order import BatchIndices, Order
from gpuio.storage.parts import Bulk


class MemorySource:
    """Records in memory: payloads by index, with keys 0, 10, 20, …; None: reading it fails."""

    fingerprint = "memory"
    immutable = True
    readahead = 0

    def __init__(self, payloads: list[bytes | None], labels: list[Any] | None = None) -> None:
        self.payloads = payloads
        self.labels = [float(n) for n in range(len(payloads))] if labels is None else labels
        self.keys = np.arange(len(payloads)) * 10
        self.images = range(len(payloads))
        self.closed = False

    def __len__(self) -> int:
        return len(self.payloads)

    def read(self, index: int) -> Encoded:
        payload = self.payloads[index]
        if payload is None:
            raise RecordError("the record is damaged")
        return Encoded(self.labels[index], np.frombuffer(payload, np.uint8))

    def read_ahead(self, indices: np.ndarray) -> int:
        return 0

    def read_batch(self, indices: np.ndarray, bulk: Bulk | None = None) -> list[Encoded | Error]:
        return [read_or_error(self.read, index) for index in indices.tolist()]

    def location(self, index: int) -> Location:
        return Location("memory.rec", 100 * index, int(self.keys[index]))

    def label_blocks(self, skip_damaged: bool = False) -> Iterator[Any]:
        return iter(())

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def indices(size: int, batch_size: int, position: int = 0, **options: Any) -> BatchIndices:
    """The indices of a batch."""
    return Order(size, batch_size, last_batch="pad", **options).batch_at(position)


def image_batch(at: BatchIndices, bad: dict[int, str] | None = None) -> ImageBatch:
    """A batch whose labels are the numbers of its records, with some that are bad."""
    record = at.record
    errors: dict[int, Error] = {row: DecodeError(said) for row, said in (bad or {}).items()}
    return ImageBatch(
        indices=at, epoch=at.epoch, record=record,
        encoded=EncodedRows(EncodedBatch.of([DecodeError("not read")] * len(record))),
        codes=np.zeros(len(record), np.uint64), plan=None,
        labels=record[:, None].astype(np.float32), errors=errors,
    )  # fmt: skip


class HeldExecutor:
    """Makes batches when it is told to; notes what is asked of it."""

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth
        self.submitted: list[tuple[BatchIndices, Outcome[list[int]]]] = []
        self.canceled = 0
        self.closed = 0

    def submit(self, at: BatchIndices) -> Outcome[list[int]]:
        outcome: Outcome[list[int]] = Outcome()
        self.submitted.append((at, outcome))
        return outcome

    def finish(self, number: int) -> None:
        """Finish one of the batches that were submitted."""
        at, outcome = self.submitted[number]
        outcome.set_result(at.record.tolist())

    def cancel_pending(self) -> None:
        self.canceled += 1

    def close(self) -> None:
        self.closed += 1


class ReadyExecutor(HeldExecutor):
    """Makes each batch at once; or fails for those with a record."""

    def __init__(self, depth: int = 1) -> None:
        super().__init__(depth)
        self.fail_on: int | None = None

    def submit(self, at: BatchIndices) -> Outcome[list[int]]:
        outcome = super().submit(at)
        records = at.record.tolist()
        if self.fail_on in records:
            outcome.set_exception(RecordError(f"record {self.fail_on}"))
        else:
            outcome.set_result(records)
        return outcome
