"""When JAX's work is done: shown by a computation that is dispatched behind it."""

import pytest

from gpuio.jax_work import DeviceWork, mark_all, work_on


@pytest.fixture
def work() -> DeviceWork:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    return DeviceWork(jax.devices()[0])


def test_work_is_done_when_the_computation_behind_it_is(work: DeviceWork) -> None:
    first = work.record()
    assert not first.done  # nothing has been dispatched that could show it
    work.mark()
    first.result.block_until_ready()
    assert first.done


def test_a_mark_shows_only_what_was_recorded_before_it(work: DeviceWork) -> None:
    first = work.record()
    work.mark()
    later = work.record()
    first.result.block_until_ready()
    assert first.done and not later.done
    work.mark()
    later.result.block_until_ready()
    assert later.done and later.result is not first.result


def test_waiting_marks_what_is_not_marked_yet(work: DeviceWork) -> None:
    marked = work.record()
    work.mark()
    unmarked = work.record()
    for each in (marked, unmarked):
        each.synchronize()
        assert each.done


def test_what_could_not_be_marked_is_marked_later(
    work: DeviceWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(argument: object) -> None:
        raise RuntimeError("out of memory")

    work.record().synchronize()
    first = work.record()
    with monkeypatch.context() as broken:
        broken.setattr(work, "_compute", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            work.mark()
    assert not first.done
    first.synchronize()
    assert first.done


def test_nothing_is_dispatched_without_need(work: DeviceWork) -> None:
    work.mark()
    first, second = work.record(), work.record()
    work.mark()
    assert first.result is second.result


def test_a_mark_while_jax_traces_runs_all_the_same(work: DeviceWork) -> None:
    import jax

    def traced(number: object) -> object:
        work.mark()
        return number

    first = work.record()
    work.mark()
    second = work.record()
    jax.jit(traced)(1)
    second.result.block_until_ready()
    assert first.done and second.done


def test_all_devices_are_marked(work: DeviceWork) -> None:
    import jax

    (device, *_) = jax.devices()
    recorded = work_on(device).record()
    assert work_on(device) is work_on(device)
    mark_all()
    recorded.result.block_until_ready()
    assert recorded.done
