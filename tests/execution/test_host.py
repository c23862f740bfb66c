"""The host executor: threads, errors, cancelling, closing."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuio import native
from gpuio.errors import FILE_ERRORS, DecodeError, Error, RecordError
from gpuio.execution.host import HostExecutor, PlanRenderer
from gpuio.execution.native_samples import NativeRenderer
from gpuio.execution.output import OutputSpec
from gpuio.loading.batch import ImageBatch
from gpuio.loading.outcome import Outcome
from gpuio.loading.reader import BatchReader
from gpuio.loading.source import RecordSource
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.recordio.record_set import RecordSet
from tests.io.records import jpeg, write_records
from tests.io.threads import gpuio_threads
from tests.loading.fakes import MemorySource, indices


class Numbers:
    """Writes a record's number to its row; may wait, or fail for some records."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.errors: dict[int, BaseException] = {}
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()
        self.barrier: threading.Barrier | None = None
        self.written: list[int] = []
        self.closed = 0

    def prepare(self, batch: ImageBatch) -> Any:
        return np.full(len(batch), -1)

    def write(self, batch: ImageBatch, row: int, data: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        assert self.may_go_on.wait(60)
        if self.barrier is not None:
            self.barrier.wait(60)
        number = int(batch.record[row])
        if number in self.errors:
            raise self.errors[number]
        data[row] = number
        self.written.append(number)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def opened() -> Any:
    executors: list[HostExecutor] = []

    def make(renderer: Any, payloads: list[Any] | None = None, **options: Any) -> HostExecutor:
        source = options.pop("source", MemorySource(payloads or [b"x"] * 12))
        planner = options.pop("planner", None)
        values = {"on_error": "raise", "threads": 3, **options}
        executors.append(HostExecutor(BatchReader(source, planner, ()), renderer, **values))
        return executors[-1]

    yield make
    for executor in executors:
        executor.renderer.may_go_on.set() if isinstance(executor.renderer, Numbers) else None
        executor.close()


def result(future: Outcome[Any]) -> Any:
    return future.result(60)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 12])
def test_every_row_is_written_once(threads: int, batch_size: int, opened: Any) -> None:
    numbers = Numbers()
    executor = opened(numbers, threads=threads)
    futures = [executor.submit(indices(12, batch_size, at)) for at in range(0, 12, batch_size)]
    found = [result(future).data[0].tolist() for future in futures]
    assert [number for batch in found for number in batch] == list(range(12))
    assert sorted(numbers.written) == list(range(12))


def test_all_threads_work_on_one_batch(opened: Any) -> None:
    numbers = Numbers()
    numbers.barrier = threading.Barrier(3)  # three rows are written at the same time
    executor = opened(numbers, threads=3)
    result(executor.submit(indices(12, 3)))
    assert numbers.threads == {f"gpuio-host-{number}" for number in range(3)}


def test_bad_records_are_told_by_their_on_error(opened: Any) -> None:
    numbers = Numbers()
    numbers.errors = {1: DecodeError("one"), 2: RecordError("two")}
    with pytest.raises(DecodeError, match=r"memory\.rec, key 10, byte 100: one"):
        result(opened(numbers).submit(indices(12, 4)))
    loaded = result(opened(numbers, on_error="skip").submit(indices(12, 4)))
    assert loaded.data[0].tolist() == [0, 3, 0, 3] and loaded.pad == 2
    assert [(bad.key, bad.reason) for bad in loaded.bad] == [(10, "one"), (20, "two")]
    loaded = result(opened(numbers, on_error="substitute").submit(indices(12, 4)))
    assert loaded.data[0].tolist() == [0, 3, 3, 3] and loaded.pad == 0


@pytest.mark.parametrize("on_error", ["raise", "skip", "substitute"])
@pytest.mark.parametrize("kind", FILE_ERRORS)
def test_what_records_are_not_to_blame_for_is_raised(
    opened: Any, kind: type[Error], on_error: str
) -> None:
    numbers = Numbers()
    numbers.errors = {1: kind("the server is away")}
    with pytest.raises(kind, match="the server is away"):
        result(opened(numbers, on_error=on_error).submit(indices(12, 4)))


def test_a_batch_of_bad_records_has_no_data(opened: Any) -> None:
    executor = opened(Numbers(), [None] * 12, on_error="skip")
    loaded = result(executor.submit(indices(12, 4)))
    assert loaded.data == [] and len(loaded.bad) == 4


def test_records_that_cannot_be_read_are_not_rendered(opened: Any) -> None:
    numbers = Numbers()
    executor = opened(numbers, [b"x", None, b"x", b"x"], on_error="skip")
    assert result(executor.submit(indices(4, 4))).data[0].tolist() == [0, 2, 3, 0]
    assert sorted(numbers.written) == [0, 2, 3]


def test_other_exceptions_fail_their_batch_only(opened: Any) -> None:
    numbers = Numbers()
    numbers.errors = {5: ZeroDivisionError("a bug")}
    executor = opened(numbers, on_error="skip")
    futures = [executor.submit(indices(12, 4, at)) for at in (0, 4, 8)]
    assert result(futures[0]).data[0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ZeroDivisionError, match="a bug"):
        result(futures[1])
    assert result(futures[2]).data[0].tolist() == [8, 9, 10, 11]


def test_an_exception_while_planning_fails_the_batch(opened: Any) -> None:
    class Broken(CropPlanner):
        def plan(self, *arguments: Any) -> Any:
            raise ZeroDivisionError("a bug")

    planner = Broken(CropOptions(4, 4), 0, 1)
    executor = opened(Numbers(), [jpeg(0)] * 4, planner=planner)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        result(executor.submit(indices(4, 4)))


def test_what_is_canceled_is_not_made(opened: Any) -> None:
    numbers = Numbers()
    numbers.may_go_on.clear()
    executor = opened(numbers, threads=1)
    canceled = [executor.submit(indices(12, 4, at)) for at in (0, 4)]
    assert numbers.begun.wait(60)
    executor.cancel_pending()
    numbers.may_go_on.set()
    assert result(executor.submit(indices(12, 4, 8))).data[0].tolist() == [8, 9, 10, 11]
    assert not any(future.done() for future in canceled)
    assert len(numbers.written) <= 5  # the row that was being written, and the batch after that


def test_close_waits_for_rows_that_are_being_made(opened: Any) -> None:
    numbers = Numbers()
    numbers.may_go_on.clear()
    executor = opened(numbers, threads=2)
    future = executor.submit(indices(12, 12))
    assert numbers.begun.wait(60)
    closing = threading.Thread(target=executor.close)
    closing.start()
    assert not numbers.closed
    numbers.may_go_on.set()
    closing.join(60)
    assert numbers.closed and not gpuio_threads() and not future.done()
    executor.close()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_plan_renderer_decodes_resamples_and_normalizes(layout: str, opened: Any) -> None:
    output = OutputSpec(3, 24, 28, "float32", layout, (10.0,) * 3, (2.0,) * 3)
    plain = OutputSpec(3, 24, 28, "uint8", "NHWC")
    planner = CropPlanner(CropOptions(24, 28, rand_crop=True, rand_mirror=True), 0, 1)
    payloads = [jpeg(number, 60, 50) for number in range(4)]
    loaded, pixels = (
        result(opened(PlanRenderer(each, False), payloads, planner=planner).submit(indices(4, 4)))
        for each in (output, plain)
    )
    expected = (pixels.data[0].astype(np.float32) - 10) / 2
    found = loaded.data[0] if layout == "NHWC" else loaded.data[0].transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not native.state()[0], reason="the native module is not in use")
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_share_what_the_native_module_makes(threads: int, opened: Any) -> None:
    payloads = [jpeg(number % 7, 60, 50) for number in range(60)]
    payloads[7] = payloads[33] = b"no image"
    payloads[20] = jpeg(3)[:700]  # decoded in part, by the other way
    payloads[41] = None
    output = OutputSpec(3, 24, 28, "float32", "NCHW", (10.0,) * 3, (2.0,) * 3)
    planner = CropPlanner(CropOptions(24, 28, rand_crop=True, rand_mirror=True), 0, 1)

    def batches(module: native.Native | None) -> list[Any]:
        renderer = PlanRenderer(output, False)
        kernel = module and NativeRenderer(module, renderer.assembler, False)
        executor = opened(
            renderer, payloads, planner=planner, threads=threads, on_error="skip", native=kernel
        )
        futures = [executor.submit(indices(60, 20, at)) for at in (0, 20, 40)]
        return [result(future) for future in futures]

    for made, expected in zip(batches(native.library()), batches(None), strict=True):
        np.testing.assert_array_equal(made.data[0], expected.data[0])
        assert made.bad == expected.bad and made.pad == expected.pad


class Parts(NativeRenderer):
    """Counts the runs."""

    runs = 0

    def render(self, samples: Any, part: slice, records: Any = None) -> list[int]:
        self.runs += 1
        return super().render(samples, part, records)


@pytest.mark.skipif(not native.state()[0], reason="the native module is not in use")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinities")
def test_more_threads_than_processors_share_what_has_to_be_read(
    opened: Any, tmp_path: Path
) -> None:
    payloads = [jpeg(number, 500, 400) for number in range(48)]
    source = RecordSource(RecordSet(*write_records(tmp_path / "large", payloads).values()))
    module = native.library()
    assert module is not None
    output = OutputSpec(3, 24, 28, "float32", "NCHW")
    runs = []
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, [min(before)])
        for each in (MemorySource(payloads), source):
            renderer = PlanRenderer(output, False)
            kernel = Parts(module, renderer.assembler, False)
            planner = CropPlanner(CropOptions(24, 28), 0, 1)
            executor = opened(renderer, source=each, planner=planner, threads=48, native=kernel)
            result(executor.submit(indices(48, 48)))
            runs.append(kernel.runs)
    finally:
        os.sched_setaffinity(0, before)
    # Runs take 10 ms at most, and with enough threads 1 ms at least.
    assert runs[0] < runs[1] / 2
