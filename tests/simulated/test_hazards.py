"""Each mistake that the simulated device is to find is found, and what is right is not reported.

Most is reported when the work is queued, whatever the mode. In hostile mode the values are wrong as
well.
"""

import gc
import threading

import pytest

from tests.simulated import simulation_only  # noqa: F401  # isort: skip

import cupy
import cupyx
import numpy as np
from simulation import accesses, allocations, modes, streams
from simulation.memory import view

pytestmark = pytest.mark.gpu
hostile_only = pytest.mark.skipif(modes.mode.name != "hostile", reason="hostile mode only")


@pytest.fixture(autouse=True)
def forget_reports():
    """What a test provokes does not fail it: it looks for the reports itself."""
    yield
    gc.collect()
    accesses.take_reports()


@pytest.fixture
def legacy():
    """The legacy default stream as the current one, whatever the run's is."""
    with cupy.cuda.Stream.null:
        yield cupy.cuda.Stream.null


def reported(*parts):
    """Whether there is a report with all these parts, and take the reports."""
    gc.collect()
    return any(all(part in each for part in parts) for each in accesses.take_reports())


def test_a_missing_wait_is_found(stream, legacy):
    source = cupy.full(1000, 7)
    with stream:
        copied = source + 1
    assert reported("add on the stream", "reads", "legacy default stream", "written")
    with stream:
        values = copied.get()
    if modes.mode.name == "hostile":
        assert not (values == 8).any()


def test_an_event_makes_it_right(stream, legacy):
    source = cupy.full(1000, 7)
    stream.wait_event(legacy.record())
    with stream:
        copied = source + 1
        assert (copied.get() == 8).all()
    del source, copied
    assert not reported()


def test_so_does_the_host_waiting(stream, legacy):
    source = cupy.full(1000, 7)
    legacy.synchronize()
    with stream:
        copied = source + 1
        assert (copied.get() == 8).all()
    assert not reported()


def test_an_event_counts_for_what_its_stream_waited_for(stream, legacy):
    between = cupy.cuda.Stream(non_blocking=True)
    source = cupy.full(1000, 7)
    between.wait_event(legacy.record())
    stream.wait_event(between.record())
    with stream:
        assert ((source + 1).get() == 8).all()
    assert not reported()


def test_an_event_recorded_too_early_is_found(stream, legacy):
    early = legacy.record()
    source = cupy.full(1000, 7)
    stream.wait_event(early)
    with stream:
        copied = source + 1
    assert reported("reads", "written")
    del copied


def test_the_default_stream_waits_for_blocking_streams_only(stream, legacy):
    blocking = cupy.cuda.Stream()
    source = cupy.full(1000, 7)
    with blocking:
        copied = source + 1
    assert ((copied + 1).get() == 9).all()
    assert not reported()


def test_memory_freed_while_another_stream_reads_it_is_found(stream, legacy):
    source = cupy.full(1000, 7)
    stream.wait_event(legacy.record())
    with stream:
        copied = source + 1
    del source
    assert reported("taking back memory", "writes", "add on the stream", "read")
    del copied


def test_memory_freed_after_the_streams_event_is_done_is_right(stream, legacy):
    source = cupy.full(1000, 7)
    stream.wait_event(legacy.record())
    with stream:
        copied = source + 1
        done = stream.record()
    done.synchronize()
    del source
    assert not reported()
    del copied


def test_freed_memory_is_handed_out_again_and_holds_garbage(legacy):
    first = cupy.full(1000, 7.0, np.float32)
    address = first.data.ptr
    del first
    second = cupy.empty(1000, np.float32)
    assert second.data.ptr == address
    assert (second.get() < -1e30).all()


def test_memory_that_was_freed_holds_garbage(legacy):
    owner = cupy.full(1000, 7.0, np.float32)
    view = cupy.ndarray(
        (1000,),
        np.float32,
        cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(owner.data.ptr, owner.nbytes, None, 0), 0),
    )
    assert (view.get() == 7).all()
    del owner
    assert (view.get() < -1e30).all()


def test_pinned_memory_written_too_early_is_seen(stream):
    pinned = cupyx.empty_pinned((1000,), np.float32)
    pinned.fill(3)
    with stream:
        copied = cupy.empty((1000,), np.float32)
        copied.set(pinned)
    if modes.mode.name == "hostile":
        pinned.fill(4)
        assert (copied.get(stream) == 4).all()
    stream.synchronize()
    del copied
    assert not reported()


def test_pinned_memory_freed_too_early_is_found(stream):
    pinned = cupyx.empty_pinned((1000,), np.float32)
    pinned.fill(3)
    with stream:
        copied = cupy.empty((1000,), np.float32)
        copied.set(pinned)
    del pinned
    assert reported("pinned memory is freed", "a copy on the stream")
    if modes.mode.name == "hostile":
        assert (copied.get(stream) != 3).all()
    del copied


def test_pageable_memory_may_be_changed_at_once(stream):
    pageable = np.full(1000, 3.0, np.float32)
    with stream:
        copied = cupy.empty((1000,), np.float32)
        copied.set(pageable)
    pageable.fill(4)
    assert (copied.get(stream) == 3).all()


def test_a_copy_to_pinned_memory_is_there_when_its_event_is_done(stream):
    pinned = cupyx.empty_pinned((1000,), np.float32)
    pinned.fill(1)
    with stream:
        made = cupy.full(1000, 3, np.float32)
        made.get(out=pinned, blocking=False)
        done = stream.record()
    if modes.mode.name == "hostile":
        assert (pinned == 1).all()
    done.synchronize()
    assert (pinned == 3).all()


def test_arrays_of_another_device_are_refused():
    with cupy.cuda.Device(1):
        other = cupy.ones(10)
        cupy.cuda.get_current_stream().synchronize()
    for operation in (
        lambda: other + 1,
        other.sum,
        lambda: other[cupy.asarray([0])],
        lambda: other.astype(np.int32),
        lambda: cupy.concatenate([other, cupy.ones(3)]),
        other.sort,
        lambda: other.__setitem__(slice(2), cupy.ones(2, np.float32)),
    ):
        with pytest.raises(ValueError, match=r"array resides \(1\) is different"):
            operation()
    assert other[2:].shape == (8,)  # a view needs no kernel
    assert (other.get() == 1).all()


def test_arrays_move_between_devices(legacy):
    here = cupy.arange(10)
    legacy.synchronize()
    with cupy.cuda.Device(1):
        there = cupy.asarray(here)
        assert there.device.id == 1 and there.get().tolist() == list(range(10))
    assert not reported()


def test_streams_of_another_device_are_refused():
    with cupy.cuda.Device(1):
        other = cupy.cuda.Stream(non_blocking=True)
    with pytest.raises(RuntimeError, match="does not match with the current device"):
        other.__enter__()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="InvalidResourceHandle"):
        other.record()  # an event of the current device
    with cupy.cuda.Device(1):
        done = other.record()
    cupy.cuda.get_current_stream().wait_event(done)  # but events are waited for everywhere


def test_the_copy_to_the_host_runs_on_the_current_devices_stream(stream):
    with cupy.cuda.Device(1):
        made = cupy.ones(10)
    with stream:
        made.get()  # not ordered after the stream above
    assert reported("a copy to the host", "of device 0", "of device 1")


def test_a_destroyed_stream_is_refused():
    stream = cupy.cuda.Stream(non_blocking=True)
    handle = stream.ptr
    del stream
    gc.collect()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="InvalidResourceHandle"):
        cupy.cuda.ExternalStream(handle).record()


def test_work_of_a_destroyed_stream_still_runs(legacy):
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        made = cupy.full(10, 7)
        done = stream.record()
    del stream
    done.synchronize()
    assert (made.get() == 7).all()
    assert not reported()


def test_writes_beyond_an_allocation_are_found(legacy):
    made = cupy.zeros(128, np.float32)
    content = allocations.find(made.data.ptr).bytes
    np.lib.stride_tricks.as_strided(content, (len(content) + 1,))[-1] = 0
    del made, content
    assert reported("written beyond")
    cupy.get_default_memory_pool().free_all_blocks()


def test_addresses_that_were_never_allocated_are_refused():
    with pytest.raises(ValueError, match="no address of device 0"):
        cupy.cuda.UnownedMemory(4096, 10, None, 0)
    made = cupy.zeros(10)
    with pytest.raises(ValueError, match="no address of device 1"):
        cupy.cuda.UnownedMemory(made.data.ptr, 10, None, 1)


@hostile_only
def test_hostile_work_runs_as_late_as_it_can(stream):
    with stream:
        made = cupy.full(10, 7)
        first = stream.record()
        made += 1
    memory = view(made.data.ptr, made.nbytes, 0).view(made.dtype)
    assert (memory != 7).all()  # nothing has run
    assert first.done
    assert (memory == 7).all()  # what the event needs has, and nothing behind it
    assert (made.get(stream) == 8).all()


def test_queries_by_mode(stream):
    with stream:
        made = cupy.full(10, 7)
    done = stream.record()
    assert done.done in {"hostile": {True}, "eager": {True}, "lazy": {False}}.get(
        modes.mode.name, {True, False}
    )
    done.synchronize()
    assert done.done
    assert (made.get(stream) == 7).all()


def test_garbage_indices_take_no_time_and_stay_inside(stream, legacy):
    values = cupy.arange(10.0)
    indices = cupy.empty(1_000_000, np.int64)
    with stream:
        stream.wait_event(legacy.record())
        found = values[indices]
        assert np.isin(found.get(), np.arange(10.0)).all()
    legacy.wait_event(stream.record())
    assert not reported()


def test_memory_of_two_threads_default_streams(legacy):
    """`Stream.ptds` is another stream in each thread."""
    queues = []

    def work():
        queues.append(streams.find(cupy.cuda.Stream.ptds.ptr, 0))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for each in threads:
        each.start()
        each.join()
    assert queues[0] is not queues[1]
    assert streams.find(streams.PER_THREAD, 0) not in queues


def test_an_exception_of_queued_work_reaches_who_waits(stream):
    def fail():
        raise ZeroDivisionError("out of queued work")

    if modes.mode.name not in ("hostile", "lazy"):
        pytest.skip("it may run at once")
    streams.launch(streams.find(stream.ptr, 0), fail, name="work that fails")
    with pytest.raises(ZeroDivisionError):
        stream.synchronize()
    stream.synchronize()  # once
