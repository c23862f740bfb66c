"""Processes that the tests kill."""

import os
import resource
import signal
from pathlib import Path

import pytest

from tests.faults.processes import Launcher, Setup, address_space, set_limit

HERE = "tests.faults.test_processes"


def report(kind: str) -> int:
    """A job that does as it is told."""
    if kind == "wait":
        signal.pause()
    if kind == "refuse":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        while True:
            signal.pause()  # returns when its stacks are asked for
    if kind == "raise":
        raise ValueError("no")
    if kind == "setup":
        print(os.getcwd(), os.environ.get("GPUIO_FAULT"), os.environ.get("HOME"))
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if kind == "memory":
        set_limit("RLIMIT_AS", 2**20)
        try:
            bytearray(2**26)
        except MemoryError:
            set_limit("RLIMIT_AS", None)
            bytearray(2**26)
            print("refused")
    return 7


def test_how_a_job_ends(launcher: Launcher) -> None:
    assert launcher.run(f"{HERE}:report", "return") == (7, "", "", False)
    raised = launcher.run(f"{HERE}:report", "raise")
    assert raised.status == 1 and raised.err.endswith("ValueError: no\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_job(launcher: Launcher, number: signal.Signals) -> None:
    process = launcher.start(f"{HERE}:report", "wait")
    assert process.runs(0.1)
    process.signal(number)
    ended = process.end()
    assert ended.status == -number and ended.signaled and not ended.hung


def test_what_hangs_is_killed_and_shows_its_stack(launcher: Launcher) -> None:
    ended = launcher.start(f"{HERE}:report", "refuse").end(patience=0.5)
    assert ended.hung and ended.status == -signal.SIGKILL
    assert "in report" in ended.err


def test_setup(launcher: Launcher, tmp_path: Path) -> None:
    environment = {"GPUIO_FAULT": "1", "HOME": None}
    setup = Setup({"RLIMIT_NOFILE": 77}, folder=str(tmp_path), environment=environment)
    ended = launcher.run(f"{HERE}:report", "setup", setup=setup)
    assert ended.out.split() == [str(tmp_path), "1", "None", "77"]


def test_memory_is_limited_and_freed(launcher: Launcher) -> None:
    assert launcher.run(f"{HERE}:report", "memory").out == "refused\n"
    assert address_space() > 2**20
