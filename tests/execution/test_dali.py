"""The DALI executor, on CPU operators: bad records, batches that DALI rejects, closing."""

import logging
from concurrent.futures import Future
from typing import Any

import cv2
import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import DecodeError
from gpuio.execution.dali import DaliExecutor
from gpuio.execution.host import HostExecutor, PlanRenderer
from gpuio.execution.output import OutputSpec
from gpuio.loading.reader import BatchReader
from gpuio.planning.crop import CropOptions, CropPlanner
from tests.close import LEVELS, assert_images_close
from tests.io.records import jpeg
from tests.io.threads import gpuio_threads
from tests.loading.fakes import MemorySource, indices

OUTPUT = OutputSpec(3, 24, 28, "uint8", "NHWC")
GOOD = [jpeg(number, 60 + number, 50) for number in range(8)]
# A format that the host decodes, and DALI does not.
RASTER = cv2.imencode(".ras", np.full((40, 50, 3), 80, np.uint8))[1].tobytes()


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


def submit(executor: DaliExecutor, count: int = 2) -> list["Future[Any]"]:
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


def test_it_closes_at_once() -> None:
    executor = DaliExecutor(
        reader(GOOD), OUTPUT, mx.cpu(), batch_size=4, antialias=False, on_error="raise", threads=2,
        depth=2, hw_decoder_load=0.5,
    )  # fmt: skip
    submit(executor, 50)
    executor.close()
    executor.close()
    assert not gpuio_threads()
