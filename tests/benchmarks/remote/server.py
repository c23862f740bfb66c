"""A fast server of a folder's files, as an S3 bucket without authentication, in a process of its
own.

It answers HEAD and GET of ranges, after a delay, and counts. Peers of a benchmark compete with it
for the CPUs, so it does as little as possible; tests/servers/faulty.py does more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# The path that gives the counts.
COUNTS = "/-counts"

ROOT = Path(__file__).parents[3]


class Counts(NamedTuple):
    """What a server has sent.

    Attributes
    ----------
    requests : GET requests of files
    nbytes : bytes of their answers
    """

    requests: int
    nbytes: int

    def __sub__(self, other: Counts) -> Counts:  # type: ignore[override]
        return Counts(self.requests - other.requests, self.nbytes - other.nbytes)


class _Connection(asyncio.Protocol):
    """One connection; requests follow each other."""

    def __init__(self, files: dict[str, mmap.mmap], delay: float, sent: list[int]) -> None:
        self._files, self._delay, self._sent = files, delay, sent
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end].decode(), self._received[end + 4 :]
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._answer, head)
            else:
                self._answer(head)

    def _answer(self, head: str) -> None:
        line, *headers = head.split("\r\n")
        method, path, _ = line.split(" ")
        path = path.partition("?")[0]
        if path == COUNTS:
            self._send("200 OK", json.dumps(self._sent).encode())
            return
        file = self._files.get(path)
        if file is None:
            self._send("404 Not Found", b"")
            return
        begin, end, status, more = 0, len(file), "200 OK", ""
        for header in headers:
            name, _, value = header.partition(": ")
            if name.lower() == "range":
                first, _, last = value.removeprefix("bytes=").partition("-")
                begin, end = int(first), min(int(last) + 1 if last else end, end)
                status = "206 Partial Content"
                more = f"Content-Range: bytes {begin}-{end - 1}/{len(file)}\r\n"
        more += (
            f'ETag: "{len(file):x}"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n'
            "Accept-Ranges: bytes\r\n"
        )
        if method == "GET":
            self._sent[0] += 1
            self._sent[1] += end - begin
        self._send(status, memoryview(file)[begin:end], more, method == "GET")

    def _send(
        self, status: str, body: bytes | memoryview, more: str = "", with_body: bool = True
    ) -> None:
        if self._transport.is_closing():
            return
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
        self._transport.write(head)
        if with_body:
            self._transport.write(body)


class Server(NamedTuple):
    """A server that runs.

    Attributes
    ----------
    url : of its root, such as "http://127.0.0.1:1234"
    """

    url: str

    def counts(self) -> Counts:
        """What it has sent so far."""
        with urllib.request.urlopen(self.url + COUNTS) as answer:
            return Counts(*json.loads(answer.read()))


@contextmanager
def serving(folder: Path, bucket: str, delay: float) -> Iterator[Server]:
    """Serve the files below a folder by another process, within a ``with`` statement.

    Parameters
    ----------
    bucket : files are at ``/bucket/name``
    delay : seconds before each answer
    """
    command = [sys.executable, "-m", __name__, str(folder), bucket, str(delay)]
    pipe = subprocess.PIPE  # the server ends with its stdin, also if this process is killed
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


async def _serve(folder: Path, bucket: str, delay: float) -> None:
    files = {}
    for path in filter(Path.is_file, folder.rglob("*")):
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        files[f"/{bucket}/{path.relative_to(folder).as_posix()}"] = data
    sent = [0, 0]
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(files, delay, sent), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("bucket")
    parser.add_argument("delay", type=float)
    given = parser.parse_args()
    asyncio.run(_serve(given.folder, given.bucket, given.delay))
