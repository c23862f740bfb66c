"""Uploads to file systems: a file with a temporary name, which is renamed when it is complete."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Protocol

from gpuio.errors import Error

_logger = logging.getLogger("gpuio")

# Bytes that are written at a time, so that each call ends within the timeout.
PIECE = 8 << 20


class Writable(Protocol):
    """A file of a client."""

    def write(self, data: memoryview, /) -> object:
        """Append bytes."""

    def close(self) -> None:
        """Send what is left."""


def temporary_name(key: str) -> str:
    """``NAME.RANDOM.part``, in the same folder."""
    return f"{key}.{secrets.token_hex(8)}.part"


class TemporaryUpload:
    """An `Upload` to a file system.

    Parameters
    ----------
    file : the file with the temporary name
    call : calls a function of the client, with gpuio's errors
    rename : gives the file of so many bytes its name, in place of another one that has it, with
        gpuio's errors
    remove : removes the file
    """

    def __init__(
        self,
        file: Writable,
        call: Callable[[Callable[[], object]], object],
        rename: Callable[[int], object],
        remove: Callable[[], object],
    ) -> None:
        self._file = file
        self._call = call
        self._rename = rename
        self._remove = remove
        self._size = 0
        self._ended = self._completed = False

    def write(self, data: bytes | memoryview) -> None:
        """See `Upload`."""
        self._check_running()
        view = memoryview(data).cast("B")
        for begin in range(0, len(view), PIECE):
            piece = view[begin : begin + PIECE]
            self._call(lambda piece=piece: self._file.write(piece))  # type: ignore[misc]
            self._size += len(piece)

    def complete(self) -> None:
        """See `Upload`. If it fails, call `abort`."""
        if self._completed:
            return
        self._check_running()
        self._call(self._file.close)
        self._rename(self._size)
        self._ended = self._completed = True

    def abort(self) -> None:
        """See `Upload`. Does not raise: it is called while another error is handled."""
        if self._ended:
            return
        self._ended = True
        # Closed first, as a client may hold the rest back; without a chance if writing has failed.
        for function in (self._file.close, self._remove):
            try:
                self._call(function)
            except Error as error:
                if function is self._remove:
                    _logger.warning("%s; its temporary file may be left", error)

    def _check_running(self) -> None:
        if self._ended:
            raise ValueError("the upload has ended")
