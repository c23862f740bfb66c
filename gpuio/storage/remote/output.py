"""Remote objects that are written: visible when they are complete, or else not at all."""

from __future__ import annotations

import io
import logging
import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.store import Upload
from gpuio.storage.remote.url import parse_url, shown
from gpuio.threads import Call

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

log = logging.getLogger("gpuio")

# Bytes that are collected before they are handed to the store's client, which makes parts of them.
BUFFER = 1 << 20

# Seconds that dropping an upload may take; a server that hangs shall not keep anybody waiting.
PATIENCE = 5.0


class RemoteOutput:
    """An object that is appended to, with the methods of `AppendedFile`. It becomes visible, and
    replaces an existing one, by `close`; `abandon` drops it.

    Once a write has failed, or was interrupted while bytes were sent, it is dropped: what the store
    has of it is unknown. Memory is bounded, see `Store.upload`. A forked process can only drop its
    copy, which changes nothing.

    Parameters
    ----------
    url : of the object
    options : None: the default ones
    expected : about how many bytes it will have; 0: that is not known

    Raises
    ------
    ArgumentError : the URL is not that of a file, or an option is wrong.
    UnsupportedError : it is of a web server.
    RemoteError : the store cannot be used.
    """

    def __init__(self, url: str, options: RemoteOptions | None = None, expected: int = 0) -> None:
        check_writable(url)
        store, key = open_store(url, options)
        self.path = shown(url)
        self._buffer = bytearray()
        self._sent = 0
        self.closed = False
        self._upload = store.upload(key, expected)
        # Also where it is forgotten, at the latest when the process ends.
        self._drop = weakref.finalize(self, _drop, self._upload, self.path, os.getpid())

    @property
    def position(self) -> int:
        """Bytes written so far."""
        return self._sent + len(self._buffer)

    def write(self, pieces: Sequence[ReadableBuffer], size: int) -> None:
        """Append pieces of `size` bytes in total; after an interrupt all of them or none.

        Raises
        ------
        RemoteError : they cannot be sent.
        """
        self._check_open()
        self._buffer += b"".join(pieces)
        if len(self._buffer) >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand what was written to the store's client, which sends full parts of it. The object
        remains invisible.

        Raises
        ------
        RemoteError : it cannot be sent.
        """
        self._check_open()
        try:
            self._upload.write(bytes(self._buffer))
            self._sent += len(self._buffer)
            self._buffer.clear()
        except BaseException:
            self.abandon()
            raise

    def close(self) -> None:
        """Make the object visible. May be called repeatedly.

        Raises
        ------
        RemoteError : it cannot be; it is dropped.
        """
        if self.closed:
            return
        self.flush()
        try:
            self._upload.complete()
        except BaseException:
            self.abandon()
            raise
        self.closed = True

    def abandon(self) -> None:
        """Drop the object, if it is not complete. May be called repeatedly; does not raise."""
        if self.closed:
            return
        self.closed = True
        self._buffer.clear()
        self._drop()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self.path} is closed")


def _drop(upload: Upload, path: str, pid: int) -> None:
    """Drop an upload of this process; it is not waited for long."""
    if pid != os.getpid():
        return

    def drop() -> None:
        try:
            upload.abort()
        except Exception as error:
            log.warning("%s: parts of it may be left in the store: %s", path, error)

    try:
        call = Call(drop)
    except RuntimeError:  # refused, or the interpreter ends
        drop()
        return
    if not call.wait(PATIENCE):
        log.warning("%s: the store does not answer; parts of it may be left there", path)


class _Stream(io.RawIOBase):
    """A RemoteOutput as a binary file object, which does not close it."""

    def __init__(self, output: RemoteOutput) -> None:
        super().__init__()
        self._output = output
        self.name = output.path

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes, and return how many."""
        size = memoryview(data).nbytes
        self._output.write([data], size)
        return size


@contextmanager
def uploading(
    url: str, mode: str = "wb", options: RemoteOptions | None = None
) -> Iterator[IO[Any]]:
    """Write an object, within a ``with`` statement: yields a file in binary ("wb") or text mode
    ("w", UTF-8; surrogates stand for bytes that are not). When the block ends without an error, its
    content becomes the object; otherwise nothing changes.

    Raises
    ------
    ArgumentError, UnsupportedError, RemoteError : see `RemoteOutput`.
    """
    output = RemoteOutput(url, options)
    raw = _Stream(output)
    try:
        binary = io.BufferedWriter(raw)
        file: IO[Any] = binary
        if "b" not in mode:
            file = io.TextIOWrapper(binary, "utf-8", "surrogateescape", newline="\n")
        yield file
        file.flush()
        output.close()
    finally:
        raw.close()  # without flushing: either that is done, or it failed
        output.abandon()


def check_writable(url: str) -> None:
    """Check that a URL can be that of an object that is written.

    Raises
    ------
    ArgumentError : it is that of a folder.
    UnsupportedError : it is of a web server.
    """
    parsed = parse_url(url)
    if parsed.is_http:
        raise UnsupportedError(
            f"{parsed}: web servers take no files; write to s3://, gs://, az:// or hdfs://, or to "
            "a local file"
        )
    if not parsed.key or parsed.key.endswith("/"):
        raise ArgumentError(f"{parsed} is the URL of a folder; add the name of the file to write")
