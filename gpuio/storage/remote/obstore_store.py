"""S3, Google Cloud Storage, Azure Blob Storage and web servers, by obstore."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import (
    ArgumentError,
    Error,
    RecordFileNotFoundError,
    RemoteError,
    UnsupportedError,
)
from gpuio.storage.remote.calls import FEW, TransientError, repeated, translated
from gpuio.storage.remote.obstore_client import make_client, needs_own_client
from gpuio.storage.remote.obstore_errors import REFUSED, explained
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.store import NOTHING, ObjectInfo, Upload, changed, check_range, removed
from gpuio.storage.remote.url import RemoteURL

T = TypeVar("T")

AFTER_FORK = (
    "remote files were used before this process was forked, and their client does not survive a "
    "fork; use multiprocessing's start method 'spawn' or 'forkserver', or open remote files in the "
    "forked processes only"
)

# Answers to a request for a first byte that there is not, and for a range where there are none.
_NO_BYTE = re.compile(r"status code: 416|CONTENT_RANGE header|RangeNotSupported")

# The process that has made a request: the threads of obstore's runtime are in it.
_user: int | None = None


def _claim_process() -> None:
    """Note that this process uses the client.

    Raises
    ------
    RemoteError : the process that this one was forked from has used it; no record is bad.
    """
    global _user  # noqa: PLW0603
    if _user is None:
        _user = os.getpid()
    elif _user != os.getpid():
        raise RemoteError(AFTER_FORK)


class ObstoreStore:
    """A `Store` by obstore.

    Parameters
    ----------
    url : of an object or a folder; its store is meant
    options : credentials, retries and timeout

    Raises
    ------
    MissingPackageError : obstore is not installed.
    ArgumentError : an option is wrong.
    """

    def __init__(self, url: RemoteURL, options: RemoteOptions) -> None:
        self._url = url
        self._options = options
        self._exact = url.is_http and needs_own_client(url)
        self._client = make_client(url, options, retries=0)
        self._answered = False  # then an address is right, and a refused connection may pass

    def info(self, key: str) -> ObjectInfo:
        """See `Store`."""
        # Not by HEAD: its answer never says what is wrong, what is signed for GET need not be for
        # HEAD, and some servers know no HEAD.
        return self._call(key, partial(self._first_bytes, self._path(key), 1))[0]

    def begin(self, key: str, most: int) -> tuple[ObjectInfo, NDArray[np.uint8]]:
        """See `Store`."""
        return self._call(key, partial(self._first_bytes, self._path(key), most))

    def _first_bytes(self, path: str, most: int) -> tuple[ObjectInfo, NDArray[np.uint8]]:
        """The version of an object, as an answer with its first bytes has it, and these."""
        import obstore

        try:
            answer = obstore.get(self._client, path, options={"range": (0, most)})
        except obstore.exceptions.BaseError as error:
            if not _NO_BYTE.search(str(error)):
                raise
            # An empty object has no byte; what does not support ranges will say so when it is read.
            return _version(obstore.get(self._client, path).meta), NOTHING
        version, expected = _version(answer.meta), min(most, answer.meta["size"])
        data = np.frombuffer(answer.bytes(), np.uint8)
        # If it is another range, reading that range says what is wrong.
        is_right = answer.range == (0, expected) and len(data) == expected
        return version, data if is_right else NOTHING

    def read(self, key: str, begin: int, end: int, version: ObjectInfo) -> NDArray[np.uint8]:
        """See `Store`."""
        check_range(self._name(key), begin, end, version)
        if begin == end:
            return np.frombuffer(b"", np.uint8)
        with suppress(RecordFileNotFoundError):
            return self._call(key, partial(self._read, key, begin, end, version))
        raise removed(self._name(key))

    def _read(self, key: str, begin: int, end: int, version: ObjectInfo) -> NDArray[np.uint8]:
        """One request."""
        import obstore

        options: dict[str, Any] = {"range": (begin, end)}
        if version.etag is not None and version.etag.startswith('"'):
            options["if_match"] = version.etag  # a weak one never matches
        answer = obstore.get(self._client, self._path(key), options=options)  # type: ignore[arg-type]
        found = _version(answer.meta)
        if found.etag != version.etag or (found.etag is None and found.size != version.size):
            raise changed(self._name(key))
        data = np.frombuffer(answer.bytes(), np.uint8)
        if answer.range != (begin, end) or len(data) != end - begin or found.size != version.size:
            raise TransientError(
                f"the server answers with {len(data)} of {found.size} bytes at {answer.range[0]} "
                f"instead of {end - begin} of {version.size} at {begin}", FEW
            )  # fmt: skip
        return data

    def list(self, folder: str, recursive: bool = True) -> Iterator[tuple[str, int]]:
        """See `Store`.

        Raises
        ------
        UnsupportedError : web servers have no lists.
        """
        import obstore

        if self._url.is_http:
            raise UnsupportedError(f"{self._name(folder)}: web servers list no files; name each")

        def collect() -> list[tuple[str, int]]:
            found: Iterable[Any]
            if recursive:
                found = chain.from_iterable(obstore.list(self._client, folder, chunk_size=1000))
            else:
                found = obstore.list_with_delimiter(self._client, folder)["objects"]
            return [(each["path"], each["size"]) for each in found]

        return iter(sorted(self._call(folder, collect)))

    def upload(self, key: str, expected: int = 0) -> Upload:
        """See `Store`.

        Raises
        ------
        UnsupportedError : web servers take no files.
        """
        from gpuio.storage.remote.obstore_upload import MOST_PARTS, ObstoreUpload

        self._check_writable(key)
        _claim_process()
        # The parts are sent in the client's own threads: it repeats them itself.
        client = make_client(self._url, self._options, self._options.retries)
        path = self._path(key)
        explain = partial(self._explained, key)
        parts = MOST_PARTS[self._url.scheme]
        return ObstoreUpload(
            client, path, self._name(key), explain, self._options.timeout, parts, expected
        )

    def remove(self, key: str) -> None:
        """See `Store`."""
        import obstore

        self._check_writable(key)
        path = self._path(key)

        def delete() -> None:
            with suppress(FileNotFoundError):
                obstore.delete(self._client, path)

        self._call(key, delete)

    def _check_writable(self, key: str) -> None:
        if self._url.is_http:
            raise UnsupportedError(
                f"{self._name(key)}: web servers take no files; write to s3://, gs://, az:// or "
                "hdfs://, or to a local file"
            )

    def _call(self, key: str, attempt: Callable[[], T]) -> T:
        """Make requests, repeated as the options have it, with gpuio's errors."""
        _claim_process()

        def answered() -> T:
            result = attempt()
            self._answered = True
            return result

        def explain(error: Exception) -> Error | TransientError:
            failure = self._explained(key, error)
            if str(failure) == REFUSED and isinstance(failure, TransientError):
                failure.most = None if self._answered else FEW
            return failure

        attempted = partial(translated, answered, explain)
        return repeated(attempted, self._options.retries, self._name(key))

    def _explained(self, key: str, error: Exception) -> Error | TransientError:
        return explained(error, self._name(key), self._url.scheme, self._options.storage_options)

    def _name(self, key: str) -> str:
        """An object's URL, without secrets."""
        if self._exact:
            return str(self._url)
        return f"{self._url.store}/{key}"

    def _path(self, key: str) -> str:
        """The client's name of an object.

        Raises
        ------
        ArgumentError : the client has no name for it.
        """
        if self._exact:
            if key != self._url.key:
                raise ArgumentError(f"{self._name(key)}: this store has no other file than this")
            return ""
        if not key or "" in key.split("/"):
            reason = "is the URL of a folder, not of a file"
            if key and not key.endswith("/"):
                reason = "has an empty part between slashes; remove it"
            raise ArgumentError(f"{self._name(key)} {reason}")
        return key


def _version(meta: Any) -> ObjectInfo:
    """The version that a client's answer has."""
    etag, changed = meta["e_tag"], meta["last_modified"]
    if etag is None and isinstance(changed, datetime) and changed.timestamp() > 0:
        etag = f"modified {changed.astimezone(timezone.utc).isoformat()}"
    return ObjectInfo(meta["size"], etag)
