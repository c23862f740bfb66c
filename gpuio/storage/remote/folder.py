"""RemoteFolder: many files that are read one by one, each as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.opening import open_remote
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.pickling import check_picklable
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.store import ObjectInfo
from gpuio.storage.remote.url import is_remote, join, shown
from gpuio.threads import Call

T = TypeVar("T")

# Seconds between two calls of a function that ends a wait.
LOOK = 0.1


class RemoteFolder:
    """Files that are read as a whole, through the cache. Thread-safe and picklable.

    A file stays the version that it was when it was first read: another one is an error.

    Parameters
    ----------
    url : of the folder; if it is no URL, files are named by their own
    options : how it is reached and cached

    Raises
    ------
    ArgumentError, MissingPackageError, RemoteError : there can be no store for this URL and these
        options; no request is sent.
    """

    def __init__(self, url: str, options: RemoteOptions) -> None:
        self._url = url
        self._options = options
        self._versions: dict[str, ObjectInfo] = {}
        self._reading: set[RemoteFile] = set()
        self._closed = False
        if is_remote(url):
            open_store(url, options)

    def __reduce__(self) -> tuple[Any, ...]:
        check_picklable(self._url, "RemoteFolder")
        return RemoteFolder, (self._url, self._options)

    def url(self, name: str) -> str:
        """The URL of a file.

        Parameters
        ----------
        name : behind the folder's URL; or a URL

        Raises
        ------
        RecordError : it leads out of the folder, or no file can have this name.
        """
        if is_remote(name):
            return name
        if "" in name.split("/"):
            raise RecordError(
                f"{self.path(name)!r} names no file: there is an empty part between its slashes"
            )
        try:
            return join(self._url, name)
        except ArgumentError as error:
            raise RecordError(str(error)) from error

    def path(self, name: str) -> str:
        """A file's URL without secrets, for messages."""
        return shown(name) if is_remote(name) else f"{shown(self._url).rstrip('/')}/{name}"

    def read(self, name: str) -> NDArray[np.uint8]:
        """Read a file: uint8 (bytes,), read-only.

        Raises
        ------
        RecordFileNotFoundError : it does not exist.
        RecordError : no file can have this name; or this is closed.
        FileChangedError : it has changed since it was first read.
        RemoteError : it cannot be read.
        """
        file = self._open(name)
        self._reading.add(file)
        try:
            if self._closed:
                file.close()
            return file[:]
        finally:
            self._reading.discard(file)

    def _open(self, name: str) -> RemoteFile:
        url, version = self.url(name), self._versions.get(name)
        if version is None:
            file = _watched(partial(open_remote, url, self._options), self._check_open)
            version = self._versions.setdefault(name, file.info)
            if version == file.info:  # else another thread was faster, and has found another one
                return file
        return open_remote(url, self._options, version)

    def _check_open(self) -> None:
        if self._closed:
            raise RecordError(f"{shown(self._url)} is closed")

    def close(self) -> None:
        """Have threads raise that read, now and later. May be called repeatedly."""
        self._closed = True
        for file in tuple(self._reading):
            file.close()


def _watched(function: Callable[[], T], check: Callable[[], None]) -> T:
    """Call a function in a thread, and wait for it.

    Parameters
    ----------
    check : called now and then; what it raises ends the wait, and nobody learns of the call's end
    """
    try:
        call = Call(function)
    except RuntimeError:  # refused
        return function()
    while True:
        check()
        if call.wait(LOOK):
            return call.result()
