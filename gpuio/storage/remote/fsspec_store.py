"""All other protocols, by fsspec and the packages that it finds for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import (
    ArgumentError,
    Error,
    MissingPackageError,
    RecordFileNotFoundError,
    RemoteError,
)
from gpuio.storage.remote.calls import FEW, TransientError, repeated, translated
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.secrets import scrub
from gpuio.storage.remote.store import NOTHING, ObjectInfo, Upload, check_range, check_version
from gpuio.storage.remote.temporary_upload import TemporaryUpload, temporary_name
from gpuio.storage.remote.url import RemoteURL

T = TypeVar("T")

# Bytes that a file system copies within the timeout, at least.
COPIED = 32 << 20

# What file systems call an object's version, the best first.
_VERSIONS = (
    "ETag",
    "etag",
    "e_tag",
    "md5",
    "mtime",
    "LastModified",
    "last_modified",
    "modified",
    "created",
)


class FsspecStore:
    """A `Store` by fsspec.

    fsspec cannot ask for a certain version of an object. So its version is looked up after each
    read, by a request of its own: what was read before it had changed is of the version in hand.

    Parameters
    ----------
    url : of any file in it
    options : the file system's arguments in `storage_options`, retries and timeout

    Raises
    ------
    MissingPackageError : fsspec, or what it needs for this protocol, is not installed.
    ArgumentError : there is no such protocol, or an option is wrong.
    RemoteError : the server cannot be reached; most file systems ask it only later.
    """

    def __init__(self, url: RemoteURL, options: RemoteOptions) -> None:
        self._url = url
        self._options = options
        # A client may show those of the URL, too, and not as a part of it.
        name, _, password = url.user.partition(":")
        self._secrets = {"username": name, "password": password, **options.storage_options}
        self._connect()

    def _connect(self) -> None:
        """Create what belongs to one process."""
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingPackageError(
                f"{self._url}: URLs other than s3://, gs://, az://, http(s):// and hdfs:// need "
                f"fsspec: pip install fsspec, and what fsspec needs for {self._url.scheme}://"
            ) from error
        self._process = os.getpid()
        user = f"{self._url.user}@" if self._url.user else ""
        root = f"{self._url.scheme}://{user}{self._url.host}/"

        def create() -> Any:
            return url_to_fs(root, **self._options.storage_options, skip_instance_cache=True)

        # Some file systems send requests already now.
        attempt = partial(translated, create, self._refused)
        options, store = self._options, self._url.store
        self._files, path = repeated(attempt, options.retries, store, options.timeout)
        self._root = str(path).rstrip("/")

    def _refused(self, error: Exception) -> Error | TransientError:
        """The exception to raise where a file system cannot be created."""
        if isinstance(error, ImportError):
            return MissingPackageError(f"{self._url.store}: {error}")
        reason = scrub(str(error), self._secrets)
        if isinstance(error, (OSError, EOFError)):
            return TransientError(reason, FEW, "check the host and the network")
        return ArgumentError(f"{self._url.store} cannot be opened: {reason}")

    def info(self, key: str) -> ObjectInfo:
        """See `Store`."""
        return self._call(key, partial(self._info, key))

    def begin(self, key: str, most: int) -> tuple[ObjectInfo, NDArray[np.uint8]]:
        """See `Store`; they would take another request."""
        return self.info(key), NOTHING

    def _info(self, key: str) -> ObjectInfo:
        self._files.invalidate_cache()
        found = self._files.info(self._path(key))
        if found["type"] != "file":
            raise RecordFileNotFoundError(f"{self._name(key)} is a folder, no file")
        if found["size"] is None:
            raise RemoteError(f"{self._name(key)}: the server does not tell the file's size")
        version = next((str(found[name]) for name in _VERSIONS if found.get(name)), None)
        return ObjectInfo(int(found["size"]), version)

    def read(self, key: str, begin: int, end: int, version: ObjectInfo) -> NDArray[np.uint8]:
        """See `Store`."""
        check_range(self._name(key), begin, end, version)
        if begin == end:
            return np.frombuffer(b"", np.uint8)
        return self._call(key, partial(self._read, key, begin, end, version))

    def _read(self, key: str, begin: int, end: int, version: ObjectInfo) -> NDArray[np.uint8]:
        try:
            data = np.frombuffer(self._files.cat_file(self._path(key), begin, end), np.uint8)
            found = self._info(key)
        except FileNotFoundError:
            found = None
        check_version(self._name(key), found, version)
        if len(data) != end - begin:
            raise TransientError(f"{len(data)} bytes came instead of {end - begin} at {begin}", FEW)
        return data

    def list(self, folder: str, recursive: bool = True) -> Iterator[tuple[str, int]]:
        """See `Store`."""

        def collect() -> list[tuple[str, int]]:
            self._files.invalidate_cache()
            path = f"{self._root}/{folder}".rstrip("/") or "/"
            try:
                if recursive:
                    found = self._files.find(path, detail=True).values()
                else:
                    found = self._files.ls(path, detail=True)
            except FileNotFoundError:
                return []
            files = (each for each in found if each["type"] == "file")
            sizes = ((self._key(each["name"]), each["size"]) for each in files)
            # Of a file in its place some file systems list the file itself.
            return [(key, size) for key, size in sizes if key.startswith(folder)]

        return iter(sorted(self._call(folder, collect)))

    def upload(self, key: str, expected: int = 0) -> Upload:
        """See `Store`."""
        target = self._path(key)
        temporary = self._path(temporary_name(key))

        def create() -> Any:
            self._files.makedirs(target.rpartition("/")[0] or "/", exist_ok=True)
            return self._files.open(temporary, "wb")

        return TemporaryUpload(
            self._call(key, create),
            lambda function: self._call(key, function, 0),
            lambda size: self._rename(key, temporary, target, size),
            lambda: self._files.rm_file(temporary),
        )

    def _rename(self, key: str, source: str, target: str, size: int) -> None:
        """Rename a file; where there are only copies, each COPIED bytes may take the timeout."""
        timeout = self._options.timeout * (1 + size // COPIED)
        self._call(key, partial(self._try_to_rename, key, source, target), 0, timeout)

    def _try_to_rename(self, key: str, source: str, target: str) -> None:
        """Rename a file. fsspec's general `mv` takes names for patterns, and copies, too.

        Raises
        ------
        RemoteError : the file system has left it as it was, as WebHDFS does where there is another
            file, without an error.
        """
        from fsspec import AbstractFileSystem

        if type(self._files).mv is not AbstractFileSystem.mv:
            self._files.mv(source, target)
            self._files.invalidate_cache()
            if self._files.exists(source):
                raise RemoteError(
                    f"{self._name(key)} is not replaced: the file system renames no file to the "
                    "name of another one; remove that first"
                )
        else:
            self._files.cp_file(source, target)
            self._files.rm_file(source)

    def remove(self, key: str) -> None:
        """See `Store`."""
        path = self._path(key)

        def delete() -> None:
            with suppress(FileNotFoundError):
                self._files.rm_file(path)

        self._call(key, delete)

    def _call(
        self,
        key: str,
        attempt: Callable[[], T],
        retries: int | None = None,
        timeout: float | None = None,
    ) -> T:
        """Make a request, repeated as the options have it, with gpuio's errors."""
        if self._process != os.getpid():  # fsspec's threads do not survive a fork
            self._connect()
        count = self._options.retries if retries is None else retries
        explained = partial(translated, attempt, partial(self._explained, key))
        return repeated(explained, count, self._name(key), timeout or self._options.timeout)

    def _explained(self, key: str, error: Exception) -> Error | TransientError:
        """The exception to raise in place of a file system's."""
        name = self._name(key)
        reason = scrub(f"{type(error).__name__}: {error}", self._secrets)
        if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
            return RecordFileNotFoundError(f"{name} does not exist; check the URL")
        if isinstance(error, PermissionError):
            return RemoteError(f"{name}: access is refused: {reason}; check storage_options")
        if isinstance(error, (OSError, TimeoutError, EOFError)):
            return TransientError(reason, None, "check the network and the server")
        return RemoteError(f"{name}: {reason}")

    def _name(self, key: str) -> str:
        return f"{self._url.store}/{key}"

    def _path(self, key: str) -> str:
        if not key or key.endswith("/"):
            raise ArgumentError(f"{self._name(key)} is the URL of a folder, not of a file")
        return self._root + "/" + key

    def _key(self, path: str) -> str:
        """The key of a path that the file system gives."""
        return path.removeprefix(self._root).removeprefix("/")
