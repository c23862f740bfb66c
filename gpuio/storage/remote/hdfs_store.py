"""HDFS, by hdfs-native: no Java, and data from the DataNodes themselves."""

from __future__ import annotations

import ctypes
import os
import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
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
from gpuio.storage.remote.calls import TransientError, repeated, translated
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.secrets import scrub
from gpuio.storage.remote.store import NOTHING, ObjectInfo, Upload, check_range, check_version
from gpuio.storage.remote.temporary_upload import TemporaryUpload, temporary_name
from gpuio.storage.remote.url import RemoteURL

T = TypeVar("T")

# Open files whose blocks' places are remembered.
MOST_READERS = 64

# Arguments of the client; all other options are Hadoop's properties.
_ARGUMENTS = ("config_dir", "kerberos_principal", "kerberos_keytab", "kerberos_cache")

_REFUSALS = ("AccessControlException", "SaslException", "GSS", "Kerberos", "authenticat")
# Exceptions of the NameNode that it would raise again.
_FINAL = re.compile(
    r'RPCError\("[\w.$]*(InvalidPath|IllegalState|IllegalArgument|NotDirectory|NotEmptyDirectory|'
    r'QuotaExceeded|TooLong|ItemsExceeded)Exception"'
)
_CREDENTIALS = (
    "set HADOOP_USER_NAME, or for Kerberos call kinit, or set kerberos_principal and "
    "kerberos_keytab in storage_options"
)


_stores: weakref.WeakSet[HdfsStore] = weakref.WeakSet()


def _keep_clients() -> None:
    """Keep inherited clients for ever, in a forked process: the end of one would wait for threads
    that only the other process has.
    """
    for store in _stores:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(store.inherited))


os.register_at_fork(after_in_child=_keep_clients)


class HdfsStore:
    """A `Store` by hdfs-native.

    A forked process gets a client of its own: the parent's does not survive.

    Parameters
    ----------
    url : of any file; without a host, HADOOP_CONF_DIR's file system is meant
    options : Hadoop's properties in `storage_options`, retries and timeout

    Raises
    ------
    MissingPackageError : hdfs-native is not installed.
    ArgumentError : an option is wrong.

    Attributes
    ----------
    inherited : what a forked process must keep
    """

    def __init__(self, url: RemoteURL, options: RemoteOptions) -> None:
        try:
            import hdfs_native  # noqa: F401
        except ImportError as error:
            raise MissingPackageError(
                f"{url}: this kind of URL needs hdfs-native: pip install 'gpuio[hdfs]'"
            ) from error
        self._url = url
        self._options = options
        self._connect()
        _stores.add(self)

    def _connect(self) -> None:
        """Create what belongs to one process."""
        import hdfs_native

        settings = dict(self._options.storage_options)
        arguments = {name: settings.pop(name) for name in _ARGUMENTS if name in settings}
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._readers: OrderedDict[tuple[str, ObjectInfo], Any] = OrderedDict()
        failure: Exception
        try:
            self._client = hdfs_native.Client(
                self._url.store if self._url.host else None,
                {name: str(value) for name, value in settings.items()},
                **arguments,
            )
            self.inherited = (self._client, self._readers)
            return
        except Exception as error:
            reason = scrub(_first_line(error), self._options.storage_options)
            failure = ArgumentError(f"{self._url.store}: {reason}; check the host and the options")
        raise failure

    def info(self, key: str) -> ObjectInfo:
        """See `Store`."""
        return self._call(key, partial(self._info, key))

    def begin(self, key: str, most: int) -> tuple[ObjectInfo, NDArray[np.uint8]]:
        """See `Store`; they would take another request."""
        return self.info(key), NOTHING

    def _info(self, key: str) -> ObjectInfo:
        status = self._client.get_file_info(self._path(key))
        if status.isdir:
            raise RecordFileNotFoundError(f"{self._name(key)} is a folder, no file")
        return ObjectInfo(status.length, f"modified {status.modification_time}")

    def read(self, key: str, begin: int, end: int, version: ObjectInfo) -> NDArray[np.uint8]:
        """See `Store`."""
        check_range(self._name(key), begin, end, version)
        if begin == end:
            return np.frombuffer(b"", np.uint8)
        return self._call(key, partial(self._read, key, begin, end, version))

    def _read(self, key: str, begin: int, end: int, version: ObjectInfo) -> NDArray[np.uint8]:
        """Read from blocks, which never change; they belong to the version that the file had both
        before and after their places were asked for.
        """
        with self._lock:
            reader = self._readers.get((key, version))
        if reader is None:
            self._check(key, version)
            reader = self._client.read(self._path(key))
            self._check(key, version)
            with self._lock:
                self._readers[key, version] = reader
                if len(self._readers) > MOST_READERS:
                    self._readers.popitem(last=False)
        try:
            data = np.frombuffer(reader.read_range(begin, end - begin), np.uint8)
        except Exception:
            with self._lock:  # the blocks may have moved, or are gone
                self._readers.pop((key, version), None)
            self._check(key, version)
            raise
        if len(data) != end - begin:
            raise TransientError(f"{len(data)} bytes came instead of {end - begin} at {begin}")
        return data

    def _check(self, key: str, version: ObjectInfo) -> None:
        """Check that a file still is the same.

        Raises
        ------
        FileChangedError : it is not.
        """
        try:
            found = self._info(key)
        except FileNotFoundError:
            found = None
        check_version(self._name(key), found, version)

    def list(self, folder: str, recursive: bool = True) -> Iterator[tuple[str, int]]:
        """See `Store`."""

        def collect() -> list[tuple[str, int]]:
            try:
                found = list(self._client.list_status(f"/{folder}".rstrip("/") or "/", recursive))
            except FileNotFoundError:
                return []
            # Of a file in its place the client lists the file itself.
            inside = (each for each in found if each.path.startswith(f"/{folder}"))
            return [(each.path[1:], each.length) for each in inside if not each.isdir]

        return iter(sorted(self._call(folder, collect)))

    def upload(self, key: str, expected: int = 0) -> Upload:
        """See `Store`."""
        target = self._path(key)
        temporary = f"/{temporary_name(key)}"
        file = self._call(key, lambda: self._client.create(temporary))
        client = self._client  # of this process, now
        return TemporaryUpload(
            file,
            lambda function: self._call(key, function, 0),
            lambda _: self._call(key, lambda: client.rename(temporary, target, True), 0),
            lambda: client.delete(temporary),
        )

    def remove(self, key: str) -> None:
        """See `Store`."""
        path = self._path(key)
        self._call(key, lambda: self._client.delete(path))

    def _call(self, key: str, attempt: Callable[[], T], retries: int | None = None) -> T:
        """Make a request, repeated as the options have it, with gpuio's errors."""
        if self._process != os.getpid():
            self._connect()
        count = self._options.retries if retries is None else retries
        explained = partial(translated, attempt, partial(self._explained, key))
        return repeated(explained, count, self._name(key), self._options.timeout)

    def _explained(self, key: str, error: Exception) -> Error | TransientError:
        """The exception to raise in place of the client's."""
        name = self._name(key)
        reason = scrub(_first_line(error), self._options.storage_options)
        if isinstance(error, FileNotFoundError):
            return RecordFileNotFoundError(f"{name} does not exist; check the URL")
        if isinstance(error, PermissionError) or any(word in str(error) for word in _REFUSALS):
            return RemoteError(f"{name}: access is refused: {reason}; {_CREDENTIALS}")
        if isinstance(error, (ValueError, TypeError, FileExistsError)) or _FINAL.match(reason):
            return RemoteError(f"{name}: {reason}")
        return TransientError(reason, None, "check the NameNode and the DataNodes")

    def _name(self, key: str) -> str:
        return f"{self._url.store}/{key}"

    def _path(self, key: str) -> str:
        if not key or "" in key.split("/"):
            reason = "is the URL of a folder, not of a file"
            if key and not key.endswith("/"):
                reason = "has an empty part between slashes; remove it"
            raise ArgumentError(f"{self._name(key)} {reason}")
        return f"/{key}"


def _first_line(error: Exception) -> str:
    """A client's message without the server's stack trace."""
    return str(error).replace("\\n", "\n").partition("\n")[0].strip() or type(error).__name__
