"""The stores that a process uses."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Mapping
from typing import Any

from gpuio.errors import RemoteError
from gpuio.storage.remote.advice import PREFIXES, missing_secrets
from gpuio.storage.remote.fsspec_store import FsspecStore
from gpuio.storage.remote.hdfs_store import HdfsStore
from gpuio.storage.remote.obstore_client import SCHEMES, needs_own_client
from gpuio.storage.remote.obstore_store import ObstoreStore
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.store import Store
from gpuio.storage.remote.url import RemoteURL, parse_url

# Stores that are kept for those who ask again.
MOST = 64

_stores: dict[Hashable, Store] = {}
_lock = threading.Lock()


def _forget() -> None:
    """Drop all stores, in a forked process: their clients belong to the other one."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _stores.clear()


os.register_at_fork(after_in_child=_forget)


def open_store(url: str, options: RemoteOptions | None = None) -> tuple[Store, str]:
    """The store that has a URL's object, and the object's key in it.

    The same store and options give the same client, as long as the provider's variables in the
    environment are the same.

    Parameters
    ----------
    url : of an object, or of a folder for `Store.list`
    options : None: the default ones

    Raises
    ------
    ArgumentError : the URL or an option is wrong.
    RemoteError : credentials are missing that a pickle does not have.
    MissingPackageError : the package for this kind of store is not installed.
    """
    parsed = parse_url(url)
    options = RemoteOptions() if options is None else options
    if missing := missing_secrets(parsed.scheme, options):
        raise RemoteError(
            f"{parsed.store}: storage_options were pickled, which leaves secrets out, and this "
            f"process lacks {', '.join(missing)}; set them here"
        )
    key = _identity(parsed, options)
    store = _stores.get(key)
    if store is None:  # without the lock: some file systems wait for their server now
        store = _make(parsed, options)
    with _lock:
        store = _stores.pop(key, store)
        _stores[key] = store  # the latest last
        while len(_stores) > MOST:
            del _stores[next(iter(_stores))]
    return store, parsed.key


def _make(url: RemoteURL, options: RemoteOptions) -> Store:
    if url.scheme in SCHEMES:
        return ObstoreStore(url, options)
    if url.scheme == "hdfs":
        return HdfsStore(url, options)
    return FsspecStore(url, options)


def _identity(url: RemoteURL, options: RemoteOptions) -> Hashable:
    """Equal for URLs and options that may share a store."""
    address = url.full if url.is_http and needs_own_client(url) else (url.store, url.user)
    prefix = "HADOOP" if url.scheme == "hdfs" else PREFIXES.get(url.scheme, "").partition("_")[0]
    environment = tuple(
        sorted((name, value) for name, value in os.environ.items() if name.startswith(prefix))
    ) if prefix else ()  # fmt: skip
    return (
        address, _frozen(options.storage_options), options.retries, options.timeout, environment
    )  # fmt: skip


def _frozen(value: Any) -> Hashable:
    """A hashable twin of an option's value; an object that has none stands for itself."""
    if isinstance(value, Mapping):
        return tuple(sorted((name, _frozen(each)) for name, each in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(each) for each in value)
    if isinstance(value, Hashable):
        return type(value), value
    return id(value)
