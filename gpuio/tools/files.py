"""Record files and their indexes: how pairs are found, and what new ones must not overwrite."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any

from gpuio.errors import ArgumentError
from gpuio.recordio import RecordSet
from gpuio.storage.local import Path
from gpuio.storage.output_file import write_error
from gpuio.storage.remote.identity import store_identity
from gpuio.storage.remote.opening import any_remote, exists, location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.output import check_writable
from gpuio.storage.remote.url import is_remote, parse_url, shown, with_extension
from gpuio.storage.writing import replaced_status, unfinished


def index_of(rec: Path) -> str:
    """Default path or URL of a record file's index: FILE.idx for FILE.rec."""
    return renamed(rec, ".idx")


def renamed(path: Path, extension: str) -> str:
    """A path or URL with another extension."""
    where = location(path)
    if is_remote(where):
        return with_extension(where, extension)
    return f"{os.path.splitext(where)[0]}{extension}"


def find_index(
    rec: Path, idx: Path | None = None, remote: RemoteOptions | None = None
) -> str | None:
    """The given index, or else the record file's default one; None if that does not exist, or if
    the record file's URL is signed: its signature is not that of another file.
    """
    if idx is not None:
        return location(idx)
    default = index_of(rec)
    if is_remote(default) and parse_url(location(rec)).query:
        return None
    return default if exists(default, remote) else None


def open_records(
    rec: Path, idx: Path | None = None, remote: RemoteOptions | None = None
) -> RecordSet:
    """Open a record file with the index that `find_index` finds."""
    index = find_index(rec, idx, remote)
    return RecordSet([location(rec)], None if index is None else [index], remote)


def iterator_files(
    rec: Path, idx: Path | None = None, remote: RemoteOptions | None = None
) -> dict[str, Any]:
    """The same files as arguments of ImageRecordIter; as lists, so that no name is split at ";"."""
    index = find_index(rec, idx, remote)
    files: dict[str, Any] = {
        "path_imgrec": [location(rec)],
        "path_imgidx": None if index is None else [index],
    }
    if remote is not None and any_remote([location(rec), *([index] if index else [])]):
        files |= remote.arguments()
    return files


def check_outputs(
    outputs: Iterable[Path],
    inputs: Iterable[Path] = (),
    *,
    indexes: bool = True,
    remote: RemoteOptions | None = None,
) -> None:
    """Check that output files overwrite neither inputs nor each other.

    Parameters
    ----------
    outputs : files to be written
    inputs : files that must not change
    indexes : nor must the inputs' default indexes
    remote : how remote files are reached, which may say where; None: by the default options

    Raises
    ------
    ArgumentError : an output is one of the inputs, or given twice, or not a regular file.
    RecordError : this user may not write an output, or its name is too long.
    """
    targets = [location(path) for path in outputs]
    originals = [location(path) for path in inputs]
    if indexes:
        originals += [index_of(path) for path in originals]
    for target in targets:
        if is_remote(target):
            check_writable(target)
            name = _identity(target, remote)
            same = [path for path in originals if _identity(path, remote) == name]
        else:
            names = (target, unfinished(target))
            same = [path for path in originals if any(_is_same_file(path, name) for name in names)]
        if same:
            raise ArgumentError(
                f"{shown(target)} would overwrite the original {shown(same[0])}; choose another "
                "output file"
            )
        if not is_remote(target):
            _check_replaceable(target)
    if len({_identity(path, remote) for path in targets}) < len(targets):
        raise ArgumentError(
            f"the outputs {', '.join(map(shown, targets))} must be different files; the index of a "
            "record file has the same name with the extension .idx"
        )


def _is_same_file(path: str, target: str) -> bool:
    """Whether an input, wherever it is, is a local file."""
    if is_remote(path) or not os.path.exists(target) or not os.path.exists(path):
        return False
    return os.path.samefile(target, path)


def _identity(path: str, remote: RemoteOptions | None) -> tuple[str, str]:
    """Equal for two names of one file or object: its store, "" for this machine, and its name."""
    if not is_remote(path):
        return "", os.path.realpath(path)
    url = parse_url(path)
    return store_identity(url, remote or RemoteOptions()), url.key


def _check_replaceable(target: str) -> None:
    """Check that a local file can be written.

    Raises
    ------
    ArgumentError : there is something that is not a regular file.
    RecordError : this user may not write it, or its name is too long.
    """
    try:
        found = replaced_status(target)
    except (OSError, ValueError) as error:
        raise write_error(target, error) from error
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise ArgumentError(
            f"{target} exists and is not a regular file; choose another output file"
        )
