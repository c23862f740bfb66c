"""What a remote store does, whatever its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, FileChangedError
from gpuio.storage.local import ByteSequence

# Of an object whose first bytes did not come with its version.
NOTHING: NDArray[np.uint8] = np.frombuffer(b"", np.uint8)


class ObjectInfo(NamedTuple):
    """An object's version.

    Attributes
    ----------
    size : in bytes
    etag : the store's name for its content; for a server without ETags, the time of its last
        change; None: the store tells neither
    """

    size: int
    etag: str | None


class Upload(Protocol):
    """An object that is being written. It becomes visible, or replaces an existing one, when it is
    complete. Not thread-safe.
    """

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""

    def complete(self) -> None:
        """Make the object visible."""

    def abort(self) -> None:
        """Drop what was written. May be called repeatedly, also after `complete`."""


class Store(Protocol):
    """A bucket, a container, a web server or a file system. Thread-safe.

    A key is the part of a URL behind its store's, without a leading slash. All methods retry what
    may pass, as `RemoteOptions.retries` has it, and raise

    - RecordFileNotFoundError : there is no such object.
    - FileChangedError : the object is not the one that was asked for.
    - RemoteError : the store refuses, does not answer, or answers wrongly.
    """

    def info(self, key: str) -> ObjectInfo:
        """The version of an object."""

    def begin(self, key: str, most: int) -> tuple[ObjectInfo, NDArray[np.uint8]]:
        """The version of an object, and its first bytes if they come with the same answer: uint8
        (bytes,), `most` or all of them; else none.
        """

    def read(self, key: str, begin: int, end: int, version: ObjectInfo) -> ByteSequence:
        """Read the bytes from `begin` to `end` of this version: uint8 (end - begin,), read-only.

        Raises
        ------
        FileChangedError : the object has changed, or is no longer there.
        ArgumentError : this version has no such bytes; else as above.
        """

    def list(self, folder: str, recursive: bool = True) -> Iterator[tuple[str, int]]:
        """Keys and sizes of the objects in a folder, sorted; none if it does not exist.

        Parameters
        ----------
        folder : its key, with a slash at the end; "": the whole store
        recursive : also those in its subfolders
        """

    def upload(self, key: str, expected: int = 0) -> Upload:
        """Begin to write an object.

        Parameters
        ----------
        expected : about how many bytes it will have; 0: that is not known
        """

    def remove(self, key: str) -> None:
        """Remove an object; nothing happens if there is none."""


def check_range(name: str, begin: int, end: int, version: ObjectInfo) -> None:
    """Check that an object has the bytes from `begin` to `end`.

    Raises
    ------
    ArgumentError : it has not.
    """
    if not 0 <= begin <= end <= version.size:
        raise ArgumentError(
            f"{name}: there are no bytes from {begin} to {end}, it has {version.size}"
        )


def check_version(name: str, found: ObjectInfo | None, version: ObjectInfo) -> None:
    """Check that an object still is the same; `found` is None if there is none any more.

    Raises
    ------
    FileChangedError : it is not.
    """
    if found is None:
        raise removed(name)
    if found != version:
        raise changed(name)


def removed(name: str) -> FileChangedError:
    """The error of an object that does not exist any more."""
    return FileChangedError(f"{name} was removed after it was opened")


def changed(name: str) -> FileChangedError:
    """The error of an object that is not the one that was opened."""
    return FileChangedError(f"{name} has changed since it was opened; open it again")
