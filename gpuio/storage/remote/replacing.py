"""Writing files, wherever they are: they replace existing ones when they are complete."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import IO, Any, TypeAlias

from gpuio.storage import writing
from gpuio.storage.local import Path
from gpuio.storage.output_file import AppendedFile
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.output import RemoteOutput, check_writable, uploading
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.url import is_remote

AppendedOutput: TypeAlias = AppendedFile | RemoteOutput


def replacing(
    path: Path, mode: str = "wb", options: RemoteOptions | None = None
) -> AbstractContextManager[IO[Any]]:
    """Replace a file or an object atomically; see `gpuio.storage.writing.replacing`.

    Parameters
    ----------
    path : a path, or a URL
    mode : "wb", or "w" for text
    options : of a remote object; None: the default ones

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : a local file cannot be written; an existing one is as it was.
    RemoteError : a remote object cannot be; an existing one is as it was.
    ArgumentError, UnsupportedError : no object can be written by this URL.
    """
    where = location(path)
    return uploading(where, mode, options) if is_remote(where) else writing.replacing(where, mode)


def write_file(path: Path, data: bytes, options: RemoteOptions | None = None) -> None:
    """Write a whole file or object atomically; see `replacing`."""
    with replacing(path, "wb", options) as file:
        file.write(data)


def check_creatable(path: Path) -> None:
    """Check that a missing local file can be created, or that a URL can be that of an object.

    Raises
    ------
    RecordFileNotFoundError, RecordError, ArgumentError, UnsupportedError : it cannot.
    """
    where = location(path)
    if is_remote(where):
        check_writable(where)
    else:
        writing.check_creatable(where)


def open_appended(path: Path, options: RemoteOptions | None = None) -> AppendedOutput:
    """Open a file that is emptied and then appended to, or an object that is visible when it is
    closed.

    Raises
    ------
    RecordFileNotFoundError, RecordError : a local file cannot be written.
    RemoteError, ArgumentError, UnsupportedError : see `RemoteOutput`.
    """
    where = location(path)
    return RemoteOutput(where, options) if is_remote(where) else AppendedFile(where)


def remove_object(url: str, options: RemoteOptions | None = None) -> None:
    """Remove an object; nothing happens if there is none.

    Raises
    ------
    RemoteError : the store refuses.
    """
    store, key = open_store(url, options)
    store.remove(key)
