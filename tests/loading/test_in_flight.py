"""Batches on a GPU stay until the caller's work on them is done."""

import weakref

import numpy as np
import pytest

import gpuio as mx
from gpuio.loading.in_flight import InFlightBatches

pytestmark = pytest.mark.gpu


class Held(list[object]):
    """A batch that a weak reference can refer to."""


def test_a_batch_stays_while_its_work_is_queued() -> None:
    import cupy

    with cupy.cuda.Device(0):
        in_flight = InFlightBatches(mx.gpu(0))
        stream = cupy.cuda.Stream(non_blocking=True)
        first = Held([cupy.full(1 << 22, 3, np.float32)])
        gone = weakref.ref(first)
        in_flight.retain(first)
        with stream:
            result = first[0] * 0
            for _ in range(200):  # work that takes a while
                result += first[0]
            del first
            in_flight.retain(Held())
        assert gone() is not None or stream.done
        stream.synchronize()
        assert (result == 600).all()
        in_flight.retain(Held())
        assert gone() is None


def test_memory_is_not_used_again_before_the_work_is_done() -> None:
    import cupy

    with cupy.cuda.Device(0):
        in_flight = InFlightBatches(mx.gpu(0))
        stream = cupy.cuda.Stream(non_blocking=True)
        results = []
        for number in range(20):
            batch = Held([cupy.full(1 << 20, number, np.float32)])
            in_flight.retain(batch)
            cupy.cuda.get_current_stream().synchronize()
            with stream:
                total = batch[0] * 1
                for _ in range(50):
                    total += batch[0]
                results.append(total)
                del batch
                in_flight.retain(Held())
        stream.synchronize()
        for number, total in enumerate(results):
            assert (total == 51 * number).all()
