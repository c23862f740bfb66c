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


def test_the_clock_may_be_of_other_processes() -> None:
    used = dict.fromkeys("ab", 0.0)

    def run(name: str) -> float:
        used[name] += {"a": 6.0, "b": 3.0}[name]
        return 2

    contestants = {name: lambda name=name: run(name) for name in used}
    figures = measure(contestants, rounds=3, clock=used.__getitem__)
    assert {name: (each.least, each.most) for name, each in figures.items()} == {
        "a": (3, 3),
        "b": (1.5, 1.5),
    }
    assert all(each.slowest <= each.per_second <= each.fastest for each in figures.values())
