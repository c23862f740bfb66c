"""Servers that are programs of their own: found, started on free ports, stopped.

Tests that want one are skipped where its program is not installed, with a reason;
``GPUIO_REQUIRE_SERVERS=1`` makes them fail instead.
"""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

# Seconds until a server must answer.
START = 120


def unavailable(reason: str) -> None:
    """Skip the test, or fail it if servers are required."""
    if os.environ.get("GPUIO_REQUIRE_SERVERS") == "1":
        pytest.fail(f"GPUIO_REQUIRE_SERVERS=1, and {reason}")
    pytest.skip(reason)


def program(name: str, variable: str, package: str) -> str:
    """The path of a program: what an environment variable says, what is beside Python, or what
    PATH or /usr/sbin has.

    Parameters
    ----------
    package : where it comes from, for the message
    """
    folders = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin")
    found = os.environ.get(variable) or shutil.which(name, path=os.pathsep.join(folders))
    if not found:
        unavailable(f"{name} is not here; it comes from {package}, or set {variable}")
    return str(found)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def answers_http(url: str) -> bool:
    """Whether an HTTP server answers, whatever."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, http.client.HTTPException):  # it begins or ends meanwhile
        return False
    return True


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends.

    Parameters
    ----------
    folder : its working directory; its output goes to a file there
    ready : whether it answers
    """
    log = folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(
                    f"{command[0]} does not start: {log.read_text('utf-8', 'replace')[-3000:]}"
                )
            Event().wait(0.05)
        yield process
    finally:
        process.kill()  # its data is of no use to anybody
        process.wait()
