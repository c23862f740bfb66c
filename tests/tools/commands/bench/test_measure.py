"""Measuring contestants in turns."""

import time

from gpuio.tools.commands.bench.measure import measure


def test_contestants_take_turns_after_warming_up() -> None:
    calls: list[str] = []

    def run(name: str) -> float:
        calls.append(name)
        return 10

    found = measure({name: lambda name=name: run(name) for name in "ab"}, rounds=3)
    assert calls == ["a", "b"] * 4
    assert list(found) == ["a", "b"]


def test_cpu_time_is_counted_per_item() -> None:
    def work() -> float:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return 5

    figures = measure({"work": work}, rounds=2)["work"]
    assert 0.009 < figures.least <= figures.cpu <= figures.most
    assert 0 < figures.per_second < 1 / 0.009
