"""How long the stages of making batches take."""

import subprocess
import sys
import threading
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

import gpuio as mx
from gpuio.loading.stages import DECODE, PLAN, READ, STAGES, StageTimes, nvtx_for


def test_seconds_of_all_threads_are_added() -> None:
    times = StageTimes()
    assert times.totals() == dict.fromkeys(STAGES, 0.0)

    def add() -> None:
        for _ in range(1000):
            times.add(READ, 1.0)
            times.add(DECODE, 0.5)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert times.totals() == {"read": 4000.0, "plan": 0.0, "decode": 2000.0, "finish": 0.0}


def test_a_measurement_counts_also_if_it_fails() -> None:
    times = StageTimes()
    with pytest.raises(ValueError), times.measure(PLAN):
        raise ValueError
    found = times.totals()
    assert found["plan"] > 0 and found["read"] == 0


def test_stages_are_ranges_of_a_profile() -> None:
    calls: list[Any] = []
    nvtx = SimpleNamespace(RangePush=calls.append, RangePop=lambda: calls.append(None))
    times = StageTimes(nvtx)
    with times.measure(READ), times.measure(DECODE):
        pass
    assert calls == ["gpuio read", "gpuio decode", None, None]


def test_cupys_ranges_are_taken() -> None:
    """They need no GPU; in a process of its own, as others do without CuPy."""
    if find_spec("cupy") is None:
        pytest.skip("CuPy is not installed")
    code = (
        "from cupy.cuda import nvtx\n"
        "from gpuio.loading.stages import READ, StageTimes\n"
        "times = StageTimes(nvtx)\n"
        "with times.measure(READ): pass\n"
        "print(times.totals()['read'] > 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr


def test_ranges_are_made_on_a_gpu_if_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUIO_NVTX", "1")
    assert nvtx_for(mx.cpu()) is None
    monkeypatch.setenv("GPUIO_NVTX", "0")
    assert nvtx_for(mx.gpu(0)) is None


@pytest.mark.gpu
@pytest.mark.real_gpu("the substitute for CuPy has no NVTX")
def test_ranges_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUIO_NVTX", "1")
    times = StageTimes(nvtx_for(mx.gpu(0)))
    with times.measure(READ):
        pass
    assert times.totals()["read"] > 0
