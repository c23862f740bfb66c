"""Measuring contestants in turns."""

import subprocess
import sys
import time

from gpuio.tools.commands.bench.measure import has_runnable_thread, measure


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


class Counted:
    """A contestant that counts what it uses, and has work left for a while after each round."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.used, self.left = seconds, 0.0, 0

    def run(self) -> float:
        self.used += self.seconds / 2
        self.left = 3
        return 2

    def cpu_seconds(self) -> float:
        return self.used

    def is_runnable(self) -> bool:
        self.left -= 1
        if not self.left:
            self.used += self.seconds / 2
        return self.left > 0


def test_contestants_may_be_other_processes() -> None:
    """They have ended when they have nothing left to do, not when they only get no CPU."""
    contestants = {"a": Counted(6.0), "b": Counted(3.0)}
    runs = {name: each.run for name, each in contestants.items()}
    figures = measure(runs, rounds=3, meters=contestants)
    assert {name: (each.least, each.most) for name, each in figures.items()} == {
        "a": (3, 3),
        "b": (1.5, 1.5),
    }
    assert all(each.slowest <= each.per_second <= each.fastest for each in figures.values())


def test_runnable_threads_of_a_process() -> None:
    command = [sys.executable, "-c", "print(flush=True); input(); print(flush=True)\nwhile 1: pass"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        while has_runnable_thread(process.pid):
            pass  # on its way to the input, where it waits
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert has_runnable_thread(process.pid)
        process.kill()
    assert not has_runnable_thread(process.pid)
