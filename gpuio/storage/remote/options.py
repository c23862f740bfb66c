"""How remote files are reached and cached."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gpuio.errors import ArgumentError
from gpuio.sizes import as_bytes
from gpuio.storage.remote.secrets import HIDDEN, secret_names, without_secrets
from gpuio.storage.remote.storage_options import StorageOptions

# Repetitions of a request, and seconds for one, that make sense.
MOST_RETRIES = 1000
MOST_SECONDS = 24 * 3600.0


@dataclass(frozen=True, repr=False)
class RemoteOptions:
    """How remote files are reached and cached. `create` checks the values.

    A pickle has no secrets: of `storage_options` only what is known to be none, such as endpoint
    and region, and the names of the others. What is read from it takes them from the environment.

    Attributes
    ----------
    cache_dir : folder of the cache; None: GPUIO_CACHE_DIR, or else the user's cache folder
    cache_limit : the most bytes on disk of all that is in `cache_dir`
    readahead : bytes that are fetched ahead of the batch in hand
    storage_options : credentials, endpoint, region and the like, as the client has them
    retries : how often a request is repeated
    timeout : seconds that one request may take
    withheld : names of secret options that a pickle left out
    """

    cache_dir: str | None = None
    cache_limit: int = 100 * 10**9
    readahead: int = 256 * 10**6
    storage_options: Mapping[str, Any] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    retries: int = 10
    timeout: float = 60.0
    withheld: tuple[str, ...] = ()

    @classmethod
    def create(
        cls,
        cache_dir: str | os.PathLike[str] | None = None,
        cache_limit: int | str | None = None,
        readahead: int | str = 256 * 10**6,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
    ) -> RemoteOptions:
        """Options from a caller's arguments.

        Parameters
        ----------
        cache_dir : None: the environment variable GPUIO_CACHE_DIR, or else `default_cache_dir`
        cache_limit, readahead : bytes, or a string such as "100GB" or "64MiB"
        cache_limit : None: the environment variable GPUIO_CACHE_LIMIT, or else 100 GB

        Raises
        ------
        ArgumentError : an argument or a variable has an invalid value.
        """
        limit_name = "cache_limit"
        if cache_limit is None:
            limit_name = "the environment variable GPUIO_CACHE_LIMIT"
            cache_limit = os.environ.get("GPUIO_CACHE_LIMIT") or cls.cache_limit
        if isinstance(retries, bool) or not isinstance(retries, int):
            raise ArgumentError(f"retries must be an int, not {retries!r}")
        if not 0 <= retries <= MOST_RETRIES:
            raise ArgumentError(f"retries must be from 0 to {MOST_RETRIES}, not {retries}")
        return cls(
            cache_folder(cache_dir),
            as_bytes(limit_name, cache_limit, 0),
            as_bytes("readahead", readahead, 0),
            _checked_storage_options(storage_options),
            retries,
            _checked_timeout(timeout),
            storage_options.withheld if isinstance(storage_options, StorageOptions) else (),
        )

    def arguments(self) -> dict[str, Any]:
        """The arguments of `create` that give these options; a pickle of them has no secrets."""
        return {
            "cache_dir": self.cache_dir,
            "cache_limit": self.cache_limit,
            "readahead": self.readahead,
            "storage_options": StorageOptions(self.storage_options, self.withheld),
            "retries": self.retries,
            "timeout": self.timeout,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        kept = without_secrets(self.storage_options)
        withheld = dict.fromkeys([*self.withheld, *secret_names(self.storage_options)])
        return _restore, (
            self.cache_dir, self.cache_limit, self.readahead, kept, self.retries, self.timeout,
            tuple(withheld),
        )  # fmt: skip

    def __copy__(self) -> RemoteOptions:
        return self  # copies within a process keep the secrets

    def __deepcopy__(self, memo: object) -> RemoteOptions:
        return self

    def __repr__(self) -> str:
        shown = {name: HIDDEN for name in secret_names(self.storage_options)}
        shown |= without_secrets(self.storage_options)
        withheld = f", withheld={self.withheld!r}" if self.withheld else ""
        return (
            f"RemoteOptions(cache_dir={self.cache_dir!r}, cache_limit={self.cache_limit}, "
            f"readahead={self.readahead}, storage_options={shown!r}, retries={self.retries}, "
            f"timeout={self.timeout}{withheld})"
        )


def _restore(
    cache_dir: str | None,
    cache_limit: int,
    readahead: int,
    storage_options: Mapping[str, Any],
    retries: int,
    timeout: float,
    withheld: tuple[str, ...],
) -> RemoteOptions:
    """Options from a pickle."""
    options = MappingProxyType(dict(storage_options))
    return RemoteOptions(cache_dir, cache_limit, readahead, options, retries, timeout, withheld)


def cache_folder(cache_dir: str | os.PathLike[str] | None) -> str:
    """The absolute path of the cache: the argument, GPUIO_CACHE_DIR, or the default.

    Raises
    ------
    ArgumentError : it is no path.
    """
    name = "cache_dir"
    if cache_dir is None:
        name = "the environment variable GPUIO_CACHE_DIR"
        cache_dir = os.environ.get("GPUIO_CACHE_DIR") or default_cache_dir()
    path = os.fspath(cache_dir) if isinstance(cache_dir, os.PathLike) else cache_dir
    if not isinstance(path, str) or not path or "\0" in path:
        raise ArgumentError(f"{name} must be the path of a folder, not {cache_dir!r}")
    if "://" in path:
        raise ArgumentError(f"{name} must be a folder of this machine, not {cache_dir!r}")
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise ArgumentError(
            f"{name} is {path!r}, and nothing says where that user's folder is"
        ) from error


def default_cache_dir() -> str:
    """``$XDG_CACHE_HOME/gpuio``, or ``~/.cache/gpuio``; for a user without a folder, as containers
    have them, ``$TMPDIR/gpuio-USER``.
    """
    folder = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(folder):  # the specification: relative ones are ignored
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            return os.path.join(os.environ.get("TMPDIR") or "/tmp", f"gpuio-{os.getuid()}")
        folder = os.path.join(home, ".cache")
    return os.path.join(folder, "gpuio")


def _checked_timeout(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise ArgumentError(f"timeout must be a number of seconds, not {timeout!r}")
    if not 0 < timeout <= MOST_SECONDS:
        raise ArgumentError(
            f"timeout must be above 0 and at most {MOST_SECONDS:.0f} seconds, not {timeout!r}"
        )
    return float(timeout)


def _checked_storage_options(options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A read-only copy. What is wrong in it is not shown, as it may be secret."""
    if options is None:
        return MappingProxyType({})
    if not isinstance(options, Mapping):
        raise ArgumentError(
            "storage_options must be a mapping of the client's options, such as {'region': "
            f"'eu-west-1'}}, not {type(options).__name__}"
        )
    if not all(isinstance(name, str) for name in options):
        raise ArgumentError("the names of storage_options must be strings")
    return MappingProxyType(dict(options))
