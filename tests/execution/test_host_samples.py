"""Single samples of a batch, decoded on the host in threads."""

import threading
from typing import Any

import numpy as np
import pytest

from gpuio.errors import DecodeError
from gpuio.execution import host_samples
from gpuio.execution.host_samples import HostSamples
from gpuio.execution.output import OutputSpec
from gpuio.execution.resample import render_sample
from gpuio.loading.batch import ImageBatch
from gpuio.loading.reader import BatchReader
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from tests.io.records import jpeg
from tests.io.threads import gpuio_threads
from tests.loading.fakes import MemorySource, indices

OUTPUT = OutputSpec(3, 24, 28, "uint8", "NHWC")
CUT = jpeg(2)[: jpeg(2).index(b"\xff\xda")] + b"\xff\xd9"  # without a scan


def planned(payloads: list[Any]) -> ImageBatch:
    reader = BatchReader(MemorySource(payloads), CropPlanner(CropOptions(24, 28), 0, 1), ())
    return reader.read(indices(len(payloads), len(payloads)))


@pytest.fixture
def samples() -> Any:
    made = HostSamples(OUTPUT, False, 3)
    yield made
    made.close()
    made.close()
    assert not gpuio_threads()


def test_they_are_what_one_thread_makes(samples: HostSamples) -> None:
    batch = planned([jpeg(number, 60 + number, 50) for number in range(12)])
    assert not gpuio_threads()  # none has been needed
    rows = [7, 0, 3, 11]
    pending = [samples.start(batch, rows), samples.start(batch, rows[::-1])]
    for each, order in zip(pending, (rows, rows[::-1]), strict=True):
        expected = np.stack([render_sample(batch, row, (28, 24), 3, False).copy() for row in order])
        np.testing.assert_array_equal(each.wait(), expected)
        assert each.rows == order and each.errors == {}
    assert len(gpuio_threads()) == 3


def test_none_at_all_need_no_thread(samples: HostSamples) -> None:
    pending = samples.start(planned([jpeg(0)]), [])
    assert pending.wait().shape == (0, 24, 28, 3) and not gpuio_threads()


def test_what_cannot_be_decoded_is_black_and_has_an_error(samples: HostSamples) -> None:
    batch = planned([jpeg(0), CUT])
    pending = samples.start(batch, [1, 0])
    found = pending.wait()
    assert not found[0].any() and found[1].any()
    assert [*pending.errors] == [1] and isinstance(pending.errors[1], DecodeError)
    assert batch.errors == {}  # the batch belongs to another thread


def test_another_exception_is_raised(samples: HostSamples, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = planned([jpeg(0), jpeg(1)])
    batch.headers[0] = None  # a mistake of the caller's
    with pytest.raises(AssertionError):
        samples.start(batch, [0, 1]).wait()
    samples.start(batch, [1]).wait()


def test_the_work_is_shared_by_the_threads(
    samples: HostSamples, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = threading.Barrier(3)
    inside: list[bool] = []

    def render(*arguments: Any, **options: Any) -> np.ndarray:
        barrier.wait(20)  # until three threads are here
        inside.append(samples.runs_current_thread)
        return render_sample(*arguments, **options)

    monkeypatch.setattr(host_samples, "render_sample", render)
    samples.start(planned([jpeg(number) for number in range(3)]), [0, 1, 2]).wait()
    assert inside == [True] * 3 and not samples.runs_current_thread
