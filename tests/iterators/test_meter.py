"""Who waits for whom."""

from collections.abc import Iterator

import pytest

from gpuio.iterators import meter
from gpuio.iterators.meter import Meter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time, as the meter sees it; a test may change it."""
    now = [100.0]
    monkeypatch.setattr(meter.time, "perf_counter", lambda: now[0])
    yield now


def draw(measured: Meter, clock: list[float], waits: float, takes: float) -> None:
    asked = measured.asked()
    clock[0] += waits
    came = measured.came(asked)
    clock[0] += takes
    measured.gave(came)


def test_time_is_divided(clock: list[float]) -> None:
    measured = Meter()
    draw(measured, clock, 5.0, 0.25)
    assert (measured.started, measured.waited, measured.batches) == (5.0, 0.0, 1)
    for _ in range(3):
        clock[0] += 2.0
        draw(measured, clock, 1.0, 0.25)
    assert (measured.started, measured.waited, measured.batches) == (5.0, 3.0, 4)
    assert (measured.worked, measured.handed) == (6.0, 1.0)


def test_the_end_is_waited_for_too(clock: list[float]) -> None:
    measured = Meter()
    draw(measured, clock, 1.0, 0.0)
    asked = measured.asked()
    clock[0] += 4.0
    measured.came(asked)
    clock[0] += 50.0  # after the end
    draw(measured, clock, 1.0, 0.0)
    assert (measured.waited, measured.worked, measured.batches) == (5.0, 0.0, 2)


def test_what_happens_between_epochs_does_not_count(clock: list[float]) -> None:
    measured = Meter()
    draw(measured, clock, 1.0, 0.0)
    clock[0] += 7.0
    measured.pause()
    clock[0] += 50.0
    draw(measured, clock, 1.0, 0.0)
    assert measured.worked == 0.0 and measured.waited == 1.0
