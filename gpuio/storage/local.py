"""Local files: paths, memory mapping, and creating files."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError, RecordFileNotFoundError, UnsupportedError

Path = str | os.PathLike[str]

# Files that an error suggests instead of a missing one.
MAX_SIMILAR = 3


def listed(paths: Sequence[str]) -> str:
    """The first of several paths, and how many more there are."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def local_path(uri: Path) -> str:
    """Convert a path or a ``file://`` URI to a path.

    Raises
    ------
    UnsupportedError : the URI has another scheme.
    TypeError : `uri` is not str or os.PathLike[str].
    """
    path = os.fspath(uri)
    if not isinstance(path, str):
        raise TypeError(f"a path must be str or os.PathLike[str], not {type(path).__name__}")
    scheme, separator, rest = path.partition("://")
    if not separator:
        return path
    if scheme == "file":
        return rest
    raise UnsupportedError(
        f"{path}: remote files are not supported yet; copy it to this machine first"
    )


def map_file(path: str) -> NDArray[np.uint8]:
    """Map a file into memory: uint8 (bytes,), read-only. The mapping lives as long as any view of
    it.

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : it is not a regular file, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RecordError(
                    f"{path} is a pipe or a device, not a regular file; save its content as one "
                    "first"
                )
            if not status.st_size:  # mmap rejects empty files
                return np.empty(0, np.uint8)
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(f"{path} does not exist{_similar(path)}") from error
    except IsADirectoryError as error:
        raise RecordError(f"{path} is a directory, not a file") from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error


def _similar(path: str) -> str:
    """Files whose names begin like a missing one's, such as photos_train.rec for photos.rec."""
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return ""
    found = [each for each in names if each.startswith(stem) and each.endswith(extension)]
    if not stem or not extension or not found:
        return ""
    more = ", …" if len(found) > MAX_SIMILAR else ""
    return f"; its folder has {', '.join(found[:MAX_SIMILAR])}{more}"


def create(path: str, mode: str) -> IO[Any]:
    """Open a file for writing, in text (UTF-8) or binary mode; an existing file is emptied.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """
    try:
        return open(
            path,
            mode,
            encoding=None if "b" in mode else "utf-8",
            newline=None if "b" in mode else "\n",
        )
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(
            f"{path}: its directory does not exist; create it first"
        ) from error
    except OSError as error:
        raise RecordError(
            f"{path} cannot be written: {error.strerror}; choose a location with write permission"
        ) from error
