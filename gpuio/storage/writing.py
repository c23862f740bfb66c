"""Files that are written: errors that name the file, and new files that replace old ones whole.

`replacing` is how everything but a record file in progress is written. The content goes to a
temporary file next to the target, ``NAME.RANDOM.part``, which is renamed to the target when it is
complete. Nobody can guess that name, and an existing file or link of that name is never opened. A
process that is killed leaves the temporary file behind; the next one that writes the same target
removes it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from gpuio.errors import RecordError, RecordFileNotFoundError
from gpuio.storage.local import Path, local_path

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Suffix of files that are being written.
PART = ".part"

# Longest file name of Linux's file systems, in bytes.
NAME_MAX = 255

# Bytes of a temporary name's random part, which is written in hexadecimal digits.
RANDOM = 8

# Names of open files, which are written through the descriptor.
_DESCRIPTORS = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")

# Why a system does not copy between two files itself.
_NOT_WITHIN = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM)

# Bytes that are collected before they are written to a range of a file.
RANGE_BUFFER = 1 << 20

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OutputFile(io.FileIO):
    """A file whose errors while it is written name it, also when a buffer is flushed.

    Parameters
    ----------
    path : the file's name in errors
    descriptor : the open file, which this closes
    mode : "wb" or "ab+"
    name : its name now; None: `path`
    """

    def __init__(self, path: str, descriptor: int, mode: str, name: str | None = None) -> None:
        super().__init__(descriptor, mode)
        self._path = path
        self.name = path if name is None else name

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes, and return how many.

        Raises
        ------
        RecordError : they cannot be written.
        """
        try:
            return super().write(data)
        except OSError as error:
            raise write_error(self._path, error) from error


def write_error(path: str, error: Exception) -> RecordError:
    """The error of a file that cannot be created or written."""
    if isinstance(error, FileNotFoundError):
        return RecordFileNotFoundError(f"{path}: its directory does not exist; create it first")
    reason = getattr(error, "strerror", None) or str(error)
    advice = "choose a location with write permission"
    if getattr(error, "errno", None) in _NO_SPACE:
        advice = "make room, or choose another location"
    return RecordError(f"{path} cannot be written: {reason}; {advice}")


class AppendedFile:
    """A file that is emptied and then appended to, in place. Once a write has failed, nothing more
    is written, and the file is closed.

    An exception of a signal handler, such as KeyboardInterrupt, leaves no half of what is written.
    So none of Python's code may run while a buffer is written, as OutputFile's would: what it has
    written would be written again.

    Parameters
    ----------
    path : the file

    Attributes
    ----------
    position : bytes written so far

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._buffer = io.BufferedWriter(io.FileIO(_open_emptied(path), "wb"))
        self.position = 0

    def write(self, pieces: Sequence[ReadableBuffer], size: int) -> None:
        """Append pieces of `size` bytes in total.

        Raises
        ------
        RecordError : they cannot be written.
        """
        try:
            self._buffer.writelines(pieces)
        except OSError as error:
            self.abandon()
            raise write_error(self._path, error) from error
        except BaseException:  # of a signal handler
            self._complete(pieces)
            self.position += size
            raise
        self.position += size

    def _complete(self, pieces: Sequence[ReadableBuffer]) -> None:
        """Append what an interrupted write has left out."""
        try:
            written = self._buffer.tell() - self.position
            self._buffer.write(b"".join(pieces)[written:])
        except OSError as error:
            self.abandon()
            raise write_error(self._path, error) from error
        except BaseException:  # another signal
            self.abandon()
            raise

    def flush(self) -> None:
        """Hand what is in the buffer to the operating system.

        Raises
        ------
        RecordError : it cannot be written.
        """
        try:
            self._buffer.flush()
        except OSError as error:
            self.abandon()
            raise write_error(self._path, error) from error

    def close(self) -> None:
        """Flush and close the file, whatever happens. May be called repeatedly.

        Raises
        ------
        RecordError : what is in the buffer cannot be written.
        """
        try:
            self._buffer.close()
        except OSError as error:
            raise write_error(self._path, error) from error

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._buffer.closed

    def abandon(self) -> None:
        """Close the file without writing what is in the buffer."""
        self._buffer.raw.close()


def create(path: str, mode: str) -> IO[Any]:
    """Open a file for writing, in text ("w", UTF-8) or binary mode ("wb"); an existing file is
    emptied. Text may have surrogates for bytes that are not UTF-8.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """
    return _buffered(OutputFile(path, _open_emptied(path), "wb"), mode)


def _open_emptied(path: str) -> int:
    """Open a file for writing; an existing one is emptied. Its descriptor.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise write_error(path, error) from error


def _buffered(raw: OutputFile, mode: str) -> IO[Any]:
    binary = io.BufferedWriter(raw)
    if "b" in mode:
        return binary
    return io.TextIOWrapper(binary, "utf-8", "surrogateescape", newline="\n")


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


def copy_range(source: int, target: int, size: int, offset: int) -> None:
    """Copy the beginning of a file into another one: within the file system, if it can do that.

    Parameters
    ----------
    source, target : descriptors; the target's is not for appending
    size : bytes to copy
    offset : where to in the target, in bytes

    Raises
    ------
    OSError : the files cannot be read or written, or the source is shorter.
    """
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(source, target, size - done, done, offset + done)
        except OSError as error:
            if error.errno not in _NOT_WITHIN:
                raise
            piece = os.pread(source, min(RANGE_BUFFER, size - done), done)
            count = os.pwrite(target, piece, offset + done) if piece else 0
        if not count:
            raise OSError(errno.EIO, "the file to copy from has become shorter")
        done += count


@contextmanager
def writing_at(path: str, offset: int, shown: str) -> Iterator[IO[bytes]]:
    """Write a range of an existing file: yields a file to write to, at an offset in bytes. What was
    written is on the disk when the ``with`` block has ended.

    Parameters
    ----------
    shown : the file's name in errors

    Raises
    ------
    FileNotFoundError : the file does not exist.
    RecordError : it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    raw = OutputFile(shown, descriptor, "wb", path)
    try:
        file = io.BufferedWriter(raw, RANGE_BUFFER)
        file.seek(offset)
        yield file
        file.flush()
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise write_error(shown, error) from error
    finally:
        raw.close()  # without flushing: either that is done, or it failed


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
            file = _buffered(raw, mode)
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
        if _lock(descriptor) is False or not _is_at(descriptor, name, folder):
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
        if own and _lock(descriptor):
            os.remove(path, dir_fd=folder)
    finally:
        os.close(descriptor)


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
            if _lock(descriptor) is False:
                raise RecordError(
                    f"{path} is being written by another run; wait until that has finished"
                )
            if _is_at(descriptor, path):
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


def _lock(descriptor: int) -> bool | None:
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


def _is_at(descriptor: int, path: str, folder: int | None = None) -> bool:
    """Whether an open file has this name (still)."""
    try:
        found = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), found)


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
