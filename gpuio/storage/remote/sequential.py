"""SequentialFile: a file that is read from its beginning again and again."""

from __future__ import annotations

import io
import os
from typing import IO

from gpuio.storage.local import Path
from gpuio.storage.remote.opening import forwards, location, open_remote
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.stream import ForwardReader, RemoteStream
from gpuio.storage.remote.url import is_remote, shown

# Bytes that are read at a time of a remote file of which only a little is wanted.
LITTLE = 1 << 14


class SequentialFile:
    """A file that is read forwards, as often as it is asked for. A remote one is always the version
    that it was at first.

    Parameters
    ----------
    path : a path, or a URL
    options : of a remote file; None: the default ones

    Attributes
    ----------
    path : the file, a URL without secrets

    Raises
    ------
    RecordFileNotFoundError : a remote file does not exist; local ones are opened later.
    RemoteError : a remote file cannot be read.
    """

    def __init__(self, path: Path, options: RemoteOptions | None = None) -> None:
        where = location(path)
        self.path = shown(where)
        self._options = RemoteOptions.create() if options is None else options
        self._remote = open_remote(where, self._options) if is_remote(where) else None

    @property
    def version(self) -> str | None:
        """What identifies a remote file's content; None: only the content itself does."""
        return None if self._remote is None else self._remote.version

    def size(self) -> int:
        """Its size, in bytes; of a local file, the present one."""
        return os.path.getsize(self.path) if self._remote is None else len(self._remote)

    def open(self, little: bool = False) -> IO[bytes]:
        """Open it at its beginning.

        Parameters
        ----------
        little : only a little of a remote file will be read; read nothing ahead

        Raises
        ------
        OSError : a local file cannot be opened.
        """
        if self._remote is None:
            return open(self.path, "rb")
        if little:
            reader = ForwardReader(self._remote, LITTLE, ahead=0)
        else:
            reader = forwards(self._remote, self._options)
        return io.BufferedReader(RemoteStream(reader))

    def close(self) -> None:
        """Have threads raise that wait for a remote file, which can then no longer be read. May be
        called repeatedly.
        """
        if self._remote is not None:
            self._remote.close()
