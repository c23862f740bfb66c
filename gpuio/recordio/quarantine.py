"""Quarantine lists: records that should not be used.

A quarantine list is a text file with one line per record: the record file's name without its
folder, the byte at which the record begins, its key, and the reason, separated by tabs. Without
folders, the list can be moved to another machine along with the data.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

from gpuio.errors import RecordError, RecordFileNotFoundError
from gpuio.storage.local import Path, bounded_lines
from gpuio.storage.remote.opening import location, open_stream
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import replacing
from gpuio.storage.remote.url import is_remote, name_of, shown

# The longest excerpt of a line in a message, in characters.
EXCERPT = 200


class Entry(NamedTuple):
    """A record that should not be used.

    Attributes
    ----------
    file : the record file's name, without its folder
    offset : the byte at which the record begins
    key : the record's key
    reason : why the record is listed
    """

    file: str
    offset: int
    key: int
    reason: str


def file_name(path: str) -> str:
    """A record file's name in lists: of a path or a URL, without its folder."""
    return name_of(path) if is_remote(path) else os.path.basename(path)


def write_quarantine(
    path: Path, entries: Iterable[Entry], remote: RemoteOptions | None = None
) -> None:
    """Write a list, at a path or a URL; an existing one is replaced when the new one is complete.

    Raises
    ------
    RecordError, RemoteError : it cannot be written.
    """
    with replacing(path, "wb", remote) as file:
        for entry in entries:
            rest = f"\t{entry.offset}\t{entry.key}\t{' '.join(entry.reason.split())}\n"
            file.write(os.fsencode(entry.file) + rest.encode("utf-8", "backslashreplace"))


def quarantine_fingerprint(entries: Iterable[Entry]) -> str:
    """Fingerprint of a list, for saved states; empty for an empty list."""
    places = sorted({(entry.file, entry.offset) for entry in entries})
    return hashlib.sha256(repr(places).encode()).hexdigest()[:16] if places else ""


def read_quarantine(path: Path, remote: RemoteOptions | None = None) -> list[Entry]:
    """Read a list.

    Parameters
    ----------
    path : the file, or its URL
    remote : how a remote file is reached and cached; None: by the default options

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : it cannot be read, or a line is malformed.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed meanwhile.
    """
    where = location(path, "quarantine")
    path = shown(where)
    encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    entries = []
    try:
        with (
            open_stream(where, remote) as content,
            io.TextIOWrapper(content, encoding, errors) as file,
        ):
            for number, line in enumerate(bounded_lines(file, path), 1):
                try:
                    name, offset, key, *reason = line.rstrip("\n").split("\t")
                    entries.append(Entry(os.path.basename(name), int(offset), int(key), *reason))
                except (TypeError, ValueError) as error:
                    raise RecordError(
                        f"{path}, line {number}: expected file, offset, key and reason separated "
                        f"by tabs, found {line.strip()[:EXCERPT]!r}"
                    ) from error
    except FileNotFoundError as error:
        raise RecordFileNotFoundError(f"the quarantine list {path} does not exist") from error
    except OSError as error:
        raise RecordError(f"the quarantine list {path} cannot be read: {error.strerror}") from error
    return entries
