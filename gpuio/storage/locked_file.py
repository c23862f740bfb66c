"""Files that one process at a time writes, which hold a lock of the system as long as it does."""

from __future__ import annotations

import fcntl
import io
import os
import stat
from contextlib import suppress

from gpuio.errors import RecordError
from gpuio.storage.output_file import OutputFile, write_error


def open_exclusive(path: str) -> io.BufferedRandom:
    """Open a file with a predictable name for reading and appending, locked against other
    processes; existing content stays.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written, another process has it locked, or it may be a trap: a
        link, or another user's.
    """
    while True:
        try:
            descriptor, created = _open_appending(path)
        except (OSError, ValueError) as error:
            raise write_error(path, error) from error
        raw = OutputFile(path, descriptor, "ab+")
        try:
            if not created:
                _check_trusted(path, os.fstat(descriptor))
            if lock(descriptor) is False:
                raise RecordError(
                    f"{path} is being written by another run; wait until that has finished"
                )
            if is_at(descriptor, path):
                return io.BufferedRandom(raw)
        except BaseException:
            raw.close()
            raise
        raw.close()  # the previous owner has just renamed or removed it: create it again


def _open_appending(path: str) -> tuple[int, bool]:
    """Open or create a file, which is not a link: its descriptor, and whether it is new."""
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        with suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666), True
        if os.path.islink(path):
            raise RecordError(f"{path} is a symbolic link; remove it")
        with suppress(FileNotFoundError):  # it has just been renamed or removed
            return os.open(path, flags), False


def _check_trusted(path: str, found: os.stat_result) -> None:
    """Check that an existing file is this user's own. The folder's owner, who could do anything
    there, is trusted; on network file systems files may be created in that name.
    """
    trusted = {os.geteuid(), os.stat(os.path.dirname(path) or ".").st_uid}
    if not stat.S_ISREG(found.st_mode):
        raise RecordError(f"{path} is not a regular file; remove it")
    if found.st_uid not in trusted:
        raise RecordError(f"{path} belongs to another user; remove it, or choose another location")
    if found.st_nlink > 1:
        raise RecordError(f"{path} is a hard link to another file; remove it")


def lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed; False if another process has locked it, None if the
    file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_at(descriptor: int, path: str, folder: int | None = None) -> bool:
    """Whether an open file has this name (still)."""
    try:
        found = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), found)
