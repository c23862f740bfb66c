"""The DALI executor, on CPU operators: bad records, batches that DALI rejects, closing."""

import gc
import logging
import weakref
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import DecodeError, DeviceError, Error
from gpuio.execution import dali, dali_refused
from gpuio.execution.dali import DaliExecutor
from gpuio.execution.dali_graph import make_feed
from gpuio.execution.dali_pipeline import DaliPipeline
from gpuio.execution.dali_refused import RefusedSamples
from gpuio.execution.host import HostExecutor, PlanRenderer
from gpuio.execution.output import OutputSpec
from gpuio.loading.outcome import Outcome
from gpuio.loading.reader import BatchReader
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from tests.close import LEVELS, assert_images_close
from tests.execution.test_dali_pipeline import DAMAGED, RASTER, failing_feeds
from tests.io.records import jpeg
from tests.io.threads import eventually, gpuio_threads
from tests.loading.fakes import MemorySource, indices

OUTPUT = OutputSpec(3, 24, 28, "uint8", "NHWC")
GOOD = [jpeg(number, 60 + number, 50) for number in range(8)]


def reader(payloads: list[Any]) -> BatchReader:
    planner = CropPlanner(CropOptions(24, 28, rand_crop=True, rand_mirror=True), 3, 1)
    return BatchReader(MemorySource(payloads), planner, ())


@pytest.fixture
def opened() -> Any:
    executors: list[DaliExecutor] = []

    def make(payloads: list[Any], on_error: str = "raise", depth: int = 2) -> DaliExecutor:
        executors.append(DaliExecutor(
            reader(payloads), OUTPUT, mx.cpu(), batch_size=4, antialias=False, on_error=on_error,
            threads=2, depth=depth, hw_decoder_load=0.5,
        ))  # fmt: skip
        return executors[-1]

    yield make
    for executor in executors:
        executor.close()
    assert not gpuio_threads()


def submit(executor: DaliExecutor, count: int = 2) -> list[Outcome[Any]]:
    """Batches of the first eight records, as many as asked for, again and again."""
    return [executor.submit(indices(8, 4, 4 * (number % 2))) for number in range(count)]


def on_host(payloads: list[Any], on_error: str = "raise") -> list[Any]:
    executor = HostExecutor(
        reader(payloads), PlanRenderer(OUTPUT, False), on_error=on_error, threads=2
    )
    loaded = [executor.submit(indices(8, 4, at)).result(60) for at in (0, 4)]
    executor.close()
    return loaded


def assert_same(found: Any, expected: Any) -> None:
    assert_images_close(found.data[0], expected.data[0], LEVELS["dali", 1])
    np.testing.assert_array_equal(found.label[0], expected.label[0])
    assert (found.pad, found.keys.tolist(), found.bad) == (
        expected.pad, expected.keys.tolist(), expected.bad,
    )  # fmt: skip


@pytest.mark.parametrize("depth", [1, 3])
def test_one_batch_needs_no_others(depth: int, opened: Any) -> None:
    (future,) = submit(opened(GOOD, depth=depth), 1)
    assert_same(future.result(60), on_host(GOOD)[0])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_batches_are_those_of_the_host(depth: int, opened: Any) -> None:
    expected = on_host(GOOD)
    for number, future in enumerate(submit(opened(GOOD, depth=depth), 6)):
        assert_same(future.result(60), expected[number % 2])


def test_what_is_handed_out_is_not_written_again(opened: Any) -> None:
    executor = opened(GOOD)
    held = [future.result(60) for future in submit(executor, 2)]
    copies = [loaded.data[0].copy() for loaded in held]
    for future in submit(executor, 10):
        future.result(60)
    for loaded, copy in zip(held, copies, strict=True):
        np.testing.assert_array_equal(loaded.data[0], copy)


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
@pytest.mark.parametrize("bad", [b"no image", b"", None, GOOD[0][:40]], ids=repr)
def test_bad_records_are_found_one_by_one(bad: Any, on_error: str, opened: Any) -> None:
    payloads = [*GOOD[:2], bad, *GOOD[3:]]
    expected = on_host(payloads, on_error)
    for number, future in enumerate(submit(opened(payloads, on_error), 4)):
        assert_same(future.result(60), expected[number % 2])


def test_what_only_fails_in_the_decoder_is_found_on_the_host(opened: Any) -> None:
    start = GOOD[2].index(b"\xff\xda")
    payloads = [*GOOD[:2], GOOD[2][:start] + b"\xff\xd9", *GOOD[3:]]
    futures = submit(opened(payloads), 2)
    with pytest.raises(DecodeError, match=r"memory\.rec, key 20"):
        futures[0].result(60)
    assert_same(futures[1].result(60), on_host(GOOD)[1])  # the next batch is not affected


def test_a_batch_that_dali_rejects_is_decoded_on_the_host(
    opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    payloads = [GOOD[0], RASTER, *GOOD[2:]]
    expected = on_host(payloads)
    with caplog.at_level(logging.WARNING, "gpuio"):
        for number, future in enumerate(submit(opened(payloads), 4)):
            assert_same(future.result(60), expected[number % 2])
    assert len(caplog.records) == 1 and "decoded on the host" in caplog.text


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Receives a number for each batch that is run again."""
    found: list[int] = []

    class Counting(RefusedSamples):
        def run(self, *arguments: Any) -> Any:
            found.append(1)
            return super().run(*arguments)

    monkeypatch.setattr(dali, "RefusedSamples", Counting)
    return found


def test_what_dali_refused_is_remembered(opened: Any, runs: list[int]) -> None:
    payloads = [*GOOD[:2], DAMAGED, *GOOD[3:]]
    executor, expected = opened(payloads, "skip"), on_host(payloads, "skip")
    for _ in range(3):
        for number, future in enumerate(submit(executor, 2)):
            assert_same(future.result(60), expected[number])
        assert len(runs) == 1


def test_the_second_graph_is_dropped_after_good_batches(
    opened: Any, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dali_refused, "IDLE_BATCHES", 3)
    graphs: list[Any] = []

    class Noting(DaliPipeline):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            graphs.append(self)

        def close(self) -> None:
            super().close()
            graphs.remove(self)

    monkeypatch.setattr(dali, "DaliPipeline", Noting)
    executor = opened([DAMAGED, *GOOD[1:]], "skip")
    counts = []
    for number in (1, 0, 1, 0, 1, 1):
        executor.submit(indices(8, 4, 4 * number)).result(60)
        counts.append(len(graphs))
    assert counts == [1, 2, 2, 2, 1, 1] and len(runs) == 1
    monkeypatch.undo()
    executor.close()


def test_no_more_is_remembered_than_there_is_room_for(
    opened: Any, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dali, "MAX_REFUSED", 1)
    payloads = [DAMAGED, *GOOD[1:4], DAMAGED, *GOOD[5:]]
    executor, expected = opened(payloads, "skip"), on_host(payloads, "skip")
    for count in (2, 4):
        for number in range(2):  # one after the other
            found = executor.submit(indices(8, 4, 4 * number)).result(60)
            assert_same(found, expected[number])
        assert len(runs) == count  # each forgets the other


@pytest.mark.parametrize("bad", [RASTER, DAMAGED], ids=["not named", "named"])
@pytest.mark.parametrize("rows", [(2,), (0, 3), (0, 1, 2)], ids=str)
def test_the_others_have_the_pixels_of_a_batch_that_did_not_fail(
    rows: tuple[int, ...], bad: bytes, opened: Any
) -> None:
    whole = [future.result(60).data[0] for future in submit(opened(GOOD), 2)]
    payloads = [bad if row in rows else each for row, each in enumerate(GOOD)]
    others = [row for row in range(4) if row not in rows]
    executor = opened(payloads, "substitute")
    for _ in range(2):
        failed, after = [future.result(60).data[0] for future in submit(executor, 2)]
        np.testing.assert_array_equal(failed[others], whole[0][others])
        np.testing.assert_array_equal(after, whole[1])


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("name", failing_feeds())
def test_after_an_exception_while_scheduling_the_next_batches_are_right(
    name: str, at: int, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def make_feed_or_fail(*arguments: Any) -> Any:
        made.append(make_feed(*arguments))
        return failing_feeds()[name][0] if len(made) == at + 1 else made[-1]

    monkeypatch.setattr(dali, "make_feed", make_feed_or_fail)
    executor, expected = opened(GOOD, depth=3), on_host(GOOD)
    futures = submit(executor, 8)
    for number, future in enumerate(futures):
        if number == at:
            kind = failing_feeds()[name][1]
            with pytest.raises(DeviceError if kind is MemoryError else kind):
                future.result(60)
        else:
            assert_same(future.result(60), expected[number % 2])


def test_batches_of_a_graph_that_is_out_of_step_are_made_again(
    opened: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As if DALI had lost one."""

    class Losing(DaliPipeline):
        lost = False

        def collect(self, number: int, stream: object) -> Any:
            if number == 1 and not Losing.lost:
                Losing.lost = True
                super().collect(number, stream)
            return super().collect(number, stream)

    monkeypatch.setattr(dali, "DaliPipeline", Losing)
    executor, expected = opened(GOOD, depth=3), on_host(GOOD)
    for number, future in enumerate(submit(executor, 8)):
        assert_same(future.result(60), expected[number % 2])
    # Depending on time, the next one came in its place, or none.
    assert "the DALI graph is replaced" in caplog.text


def test_a_failed_device_is_an_error_and_nothing_is_remembered(
    opened: Any, monkeypatch: pytest.MonkeyPatch, runs: list[int]
) -> None:
    class Failing(DaliPipeline):
        failed = False

        def collect(self, number: int, stream: object) -> Any:
            tensors = super().collect(number, stream)
            if number == 1 and not Failing.failed:
                Failing.failed = self.broken = True
                raise DeviceError("CUDA runtime API error cudaErrorMemoryAllocation (2)")
            return tensors

    monkeypatch.setattr(dali, "DaliPipeline", Failing)
    executor, expected = opened(GOOD, "skip", depth=3), on_host(GOOD)
    futures = submit(executor, 3)
    assert_same(futures[0].result(60), expected[0])
    with pytest.raises(DeviceError, match="cudaErrorMemoryAllocation"):
        futures[1].result(60)
    assert_same(futures[2].result(60), expected[0])  # was in the graph that failed
    before = len(runs)
    for number, future in enumerate(submit(executor, 4)):
        assert_same(future.result(60), expected[number % 2])
    assert len(runs) == before


def test_the_first_batches_may_fail(opened: Any) -> None:
    """No batch waits for another to be submitted."""
    executor = opened(GOOD, depth=3)
    for _ in range(2):
        with pytest.raises(IndexError):
            executor.submit(indices(9, 4, 8)).result(60)
    (future,) = submit(executor, 1)
    assert_same(future.result(60), on_host(GOOD)[0])


def test_an_exception_while_reading_fails_its_batch(opened: Any) -> None:
    executor = opened(GOOD)
    broken = executor.submit(indices(9, 4, 8))  # there is no ninth record
    good = submit(executor, 3)
    with pytest.raises(IndexError):
        broken.result(60)
    assert_same(good[0].result(60), on_host(GOOD)[0])


def test_what_is_canceled_is_not_handed_out(opened: Any) -> None:
    executor = opened(GOOD)
    canceled = submit(executor, 3)
    executor.cancel_pending()
    good = submit(executor, 4)
    expected = on_host(GOOD)
    for number, future in enumerate(good[:3]):
        assert_same(future.result(60), expected[number % 2])
    assert not canceled[2].done()


def test_an_idle_executor_keeps_no_batch(opened: Any) -> None:
    executor = opened([RASTER, *GOOD[1:]])
    for future in submit(executor, 4):
        kept = weakref.ref(future.result(60).data[0])
    del future
    assert eventually(lambda: gc.collect() >= 0 and kept() is None)


class ClosingSource(MemorySource):
    """Closes the executor when its fifth record is read, as the garbage collector may do."""

    executor: Any = None

    def read(self, index: int) -> Any:
        if index == 4:
            self.executor.close()
        return super().read(index)


def test_it_may_be_closed_by_a_thread_of_its_own() -> None:
    planner = CropPlanner(CropOptions(24, 28), 3, 1)
    source = ClosingSource(GOOD)
    executor = source.executor = DaliExecutor(
        BatchReader(source, planner, ()), OUTPUT, mx.cpu(), batch_size=4, antialias=False,
        on_error="raise", threads=2, depth=2, hw_decoder_load=0.5,
    )  # fmt: skip
    submit(executor, 3)
    assert eventually(lambda: not gpuio_threads())


def test_it_closes_before_anything_has_begun() -> None:
    for _ in range(20):
        DaliExecutor(
            reader(GOOD), OUTPUT, mx.cpu(), batch_size=4, antialias=False, on_error="raise",
            threads=2, depth=2, hw_decoder_load=0.5,
        ).close()  # fmt: skip
    assert not gpuio_threads()


def test_waiting_for_a_batch_ends_when_the_loader_is_closed() -> None:
    """The executor's threads survive that the outcome is set under them."""
    executor = DaliExecutor(
        reader(GOOD), OUTPUT, mx.cpu(), batch_size=4, antialias=False, on_error="raise", threads=2,
        depth=2, hw_decoder_load=0.5,
    )  # fmt: skip
    futures = submit(executor, 4)
    futures[0].set_exception(Error("canceled"))
    assert futures[0].done()
    assert_same(futures[1].result(60), on_host(GOOD)[1])
    executor.close()


def test_it_closes_at_once() -> None:
    executor = DaliExecutor(
        reader(GOOD), OUTPUT, mx.cpu(), batch_size=4, antialias=False, on_error="raise", threads=2,
        depth=2, hw_decoder_load=0.5,
    )  # fmt: skip
    submit(executor, 50)
    executor.close()
    executor.close()
    assert not gpuio_threads()


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
def test_images_that_dali_must_not_be_given_are_decoded_on_the_host(
    on_error: str, opened: Any, runs: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """DALI dies of those with other markers before the frame, and of PNGs that are cut."""
    fill = GOOD[2][:2] + b"\xff" * 9 + GOOD[2][2:]  # valid, but unusual
    payloads = [*GOOD[:2], fill, DAMAGED[:60], RASTER, *GOOD[5:]]
    expected = on_host(payloads, on_error)
    for number, future in enumerate(submit(opened(payloads, on_error), 4)):
        assert_same(future.result(60), expected[number % 2])
    assert [bad.key for bad in expected[0].bad] == [30] and not expected[1].bad
    assert not runs, "DALI refused nothing"
    (record,) = caplog.records
    assert "key 20" in record.message and "lengths of its segments" in record.message
