"""New files that replace old ones whole.

`replacing` is how everything but a record file in progress is written. The content goes to a
temporary file next to the target, ``NAME.RANDOM.part``, which is renamed to the target when it is
complete. Nobody can guess that name, and an existing file or link of that name is never opened. A
process that is killed leaves the temporary file behind; the next one that writes the same target
removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from gpuio.storage.local import Path, local_path
from gpuio.storage.locked_file import is_at, lock
from gpuio.storage.output_file import OutputFile, buffered, create, write_error

# Suffix of files that are being written.
PART = ".part"

# Longest file name of Linux's file systems, in bytes.
NAME_MAX = 255

# Bytes of a temporary name's random part, which is written in hexadecimal digits.
RANDOM = 8

# Names of open files, which are written through the descriptor.
_DESCRIPTORS = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


def followed(path: str) -> str:
    """The file that a path names: where its symbolic links end, if it is one.

    Raises
    ------
    RecordError : the system does not follow the link.
    """
    try:
        # Where users share a folder, the system refuses links that others have made there.
        with suppress(FileNotFoundError):
            os.stat(path)
        return os.path.realpath(path) if os.path.islink(path) else path
    except (OSError, ValueError) as error:
        raise write_error(path, error) from error


def unfinished(path: Path, suffix: str = PART) -> str:
    """The name of a file next to `path` that a later run can find: its own name with a suffix,
    shortened if it would be too long.

    Raises
    ------
    RecordError : see `followed`.
    """
    folder, name = os.path.split(followed(local_path(path)))
    encoded = os.fsencode(name)
    if len(encoded) + len(suffix) > NAME_MAX:
        digest = f"~{hashlib.sha256(encoded).hexdigest()[:8]}"
        name = os.fsdecode(encoded[: NAME_MAX - len(suffix) - len(digest)]) + digest
    return os.path.join(folder, name + suffix)


def open_temporary(path: Path) -> OutputFile:
    """Create a file next to `path` with a name that nobody can guess, locked until it is closed,
    which the caller renames or removes. `remove_abandoned` removes it if the caller is killed.

    Returns
    -------
    the file; its attribute `name` is where it is

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : it cannot be created.
    """
    shown = local_path(path)
    target = followed(shown)
    try:
        while True:
            raw = _create_temporary(_temporary_name(target), shown, None, None)
            if raw is not None:
                return raw
    except OSError as error:
        raise write_error(shown, error) from error


@contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Replace a file atomically: yields a temporary file to write to, in binary ("wb") or text mode
    ("w"), which is renamed to `path` on success and removed on failure.

    The content is on the disk before it gets the name. An existing file's owner, if possible, and
    permissions are kept; if `path` is a symbolic link, the file that it names is replaced. Devices,
    pipes, and files in a folder where no others can be created are written directly.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written; an existing one is as it was.
    """
    shown = local_path(path)
    target = followed(shown)
    folder = os.path.dirname(target) or "."
    try:
        old = replaced_status(shown)
        in_place = old is not None and (
            not stat.S_ISREG(old.st_mode)
            or os.path.abspath(shown).startswith(_DESCRIPTORS)
            or not _allows(folder, os.W_OK | os.X_OK)
        )
        if not in_place:
            remove_abandoned(folder, os.path.basename(target))
    except (OSError, ValueError) as error:
        raise write_error(shown, error) from error
    if in_place:
        with create(shown, mode) as file:
            yield file
    else:
        with _renamed(target, shown, mode, old) as file:
            yield file


@contextmanager
def replacing_in(folder: int, name: str, shown: str) -> Iterator[IO[bytes]]:
    """Replace a file in an open folder, or create it, as `replacing` does, but without waiting for
    the disk. A symbolic link is replaced itself.

    Parameters
    ----------
    folder : the folder's descriptor
    name : the file's name in it
    shown : its path in errors
    """
    try:
        old = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        old = None
    with _renamed(name, shown, "wb", old, folder) as file:
        yield file


def check_creatable(path: Path) -> None:
    """Check that a missing file can be created, by creating a temporary one next to it.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """
    with suppress(_NothingWrittenError), replacing(path):
        raise _NothingWrittenError


class _NothingWrittenError(Exception):
    """Leaves `replacing` without replacing anything."""


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file atomically; see `replacing`."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def _renamed(
    target: str, shown: str, mode: str, old: os.stat_result | None, folder: int | None = None
) -> Iterator[IO[Any]]:
    """Yield a temporary file that is renamed to the target, relative to `folder` if given."""
    raw, temporary = None, ""
    try:
        try:
            while raw is None:
                temporary = _temporary_name(target)
                raw = _create_temporary(temporary, shown, old, folder)
            file = buffered(raw, mode)
        except OSError as error:
            raise write_error(shown, error) from error
        yield file
        file.flush()
        try:
            if folder is None:
                os.fsync(raw.fileno())
            os.replace(temporary, target, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            raise write_error(shown, error) from error
    except BaseException:
        with suppress(OSError):
            os.remove(temporary, dir_fd=folder)
        raise
    finally:
        if raw is not None:
            raw.close()  # without flushing: either that is done, or it failed


def _create_temporary(
    name: str, shown: str, old: os.stat_result | None, folder: int | None
) -> OutputFile | None:
    """Create and lock a temporary file with the permissions of the old file; None if another
    process has taken it for an abandoned one.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o666 if old is None else 0o600, dir_fd=folder)
    raw = OutputFile(shown, descriptor, "wb", name)
    try:
        if lock(descriptor) is False or not is_at(descriptor, name, folder):
            raw.close()
            return None
        if old is not None:
            adopt(descriptor, old)
    except BaseException:
        raw.close()
        raise
    return raw


def adopt(descriptor: int, old: os.stat_result) -> None:
    """Give an open file the owner and the permissions of the file that it will replace, as far as
    this user may and the file system has them.
    """
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):
            os.fchown(descriptor, old.st_uid, old.st_gid)
    with suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & 0o777)


def _temporary_name(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, f"{_stem(name)}.{secrets.token_hex(RANDOM)}{PART}")


def _stem(name: str) -> str:
    """A file name, shortened so that a temporary name has room for it."""
    return os.fsdecode(os.fsencode(name)[: NAME_MAX - 2 * RANDOM - 1 - len(PART)])


def remove_abandoned(folder: str | int, name: str | None = None) -> None:
    """Remove temporary files that killed processes of this user have left in a folder.

    Parameters
    ----------
    folder : its path or descriptor
    name : only those of the target of this name; None: all
    """
    stem = ".+" if name is None else re.escape(_stem(name))
    pattern = re.compile(rf"{stem}\.[0-9a-f]{{{2 * RANDOM}}}{re.escape(PART)}", re.DOTALL)
    try:
        found = [each for each in os.listdir(folder) if pattern.fullmatch(each)]
    except OSError:  # a folder where files may be created need not be readable
        return
    for each in found:
        where = os.path.join(folder, each) if isinstance(folder, str) else each
        with suppress(OSError):
            _remove_abandoned(where, folder if isinstance(folder, int) else None)


def _remove_abandoned(path: str, folder: int | None) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if own and lock(descriptor):
            os.remove(path, dir_fd=folder)
    finally:
        os.close(descriptor)


def replaced_status(path: str) -> os.stat_result | None:
    """The status of a file that will be replaced, where links are followed; None if there is none.

    Raises
    ------
    OSError : this user may not write it, or not look for it.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if not _allows(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return found


def _allows(path: str, access: int) -> bool:
    return os.access(path, access, effective_ids=os.access in os.supports_effective_ids)
