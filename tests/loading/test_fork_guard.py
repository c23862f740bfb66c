"""The guard against use in another process."""

import os
import subprocess
import sys

import pytest

from gpuio.errors import Error
from gpuio.loading.fork_guard import ForkGuard


def test_its_own_process_passes() -> None:
    guard = ForkGuard()
    guard.check()
    guard.check("a message")


def test_another_process_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = ForkGuard()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(Error, match="another process; create one in each process"):
        guard.check()
    with pytest.raises(Error, match="a message"):
        guard.check("a message")
    ForkGuard().check()


FORK = """
import os
from gpuio.errors import Error
from gpuio.loading.fork_guard import ForkGuard
guard = ForkGuard()
child = os.fork()
if not child:
    try:
        guard.check()
    except Error:
        os._exit(7)
    os._exit(1)
guard.check()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_is_noticed() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "7\n", done.stderr
