"""URLs of remote files.

What identifies a user or signs a request, user information and the query, never appears in what
`str` and `repr` show.

``http(s)`` URLs are percent-encoded, as everywhere; their query is kept as it is. In all other
schemes the text behind the store is the key itself, as the stores' own tools have it: ``%20``,
``?`` and ``#`` are characters like others.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit

from gpuio.errors import ArgumentError

# Other names of schemes, as Hadoop and gcsfs have them.
_SAME = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "az", "abfss": "az", "azure": "az"}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")

# What pathlib and os.path.normpath make of a URL.
_ONE_SLASH = re.compile(r"(s3|s3a|gs|az|abfss?|https?|hdfs):/(?=[^/])")

# Whatever else is in an http(s) URL is encoded when it is sent.
_UNRESERVED = "/~:@!$&'()*+,;="


@dataclass(frozen=True)
class RemoteURL:
    """The parts of a URL. `str` shows it without secrets; `full` has all.

    Attributes
    ----------
    scheme : in lower case; "s3", "gs" and "az" also for their other names
    host : bucket, container, or host with port
    path : what follows the host, without the first slash; percent-encoded for http(s)
    user : what is before the host's ``@``, for http(s) ``name:password``; secret
    query : what follows ``?``, for http(s); secret
    """

    scheme: str
    host: str
    path: str
    user: str = ""
    query: str = ""

    @property
    def is_http(self) -> bool:
        """Whether it is percent-encoded, and may have a query."""
        return self.scheme in ("http", "https")

    @property
    def key(self) -> str:
        """What the store calls the object: the path, decoded."""
        return unquote(self.path) if self.is_http else self.path

    @property
    def store(self) -> str:
        """The URL of the store, without a slash at the end and without secrets."""
        return f"{self.scheme}://{self.host}"

    @property
    def full(self) -> str:
        """The URL with all secrets."""
        user = f"{self.user}@" if self.user else ""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{user}{self.host}/{self.path}{query}"

    def __str__(self) -> str:
        return f"{self.store}/{self.path}"

    def __repr__(self) -> str:
        return f"RemoteURL({str(self)!r})"


def is_remote(path: object) -> bool:
    """Whether this is the URL of a remote file, and no path and no ``file://`` URL."""
    if not isinstance(path, str):
        return False
    found = _SCHEME.match(path)
    return found is not None and found[1].lower() != "file"


def check_slashes(path: str) -> None:
    """Check that a path is not a URL with one slash.

    Raises
    ------
    ArgumentError : it looks like one, and there is no local folder of this name.
    """
    found = _ONE_SLASH.match(path)
    if found is None or os.path.isdir(found[0]):
        return
    url = path.replace(":/", "://", 1)
    raise ArgumentError(
        f"{shown(url)!r} was given with one slash after '{found[1]}:'; give URLs with two slashes, "
        "as str, not as pathlib.Path"
    )


def parse_url(url: str) -> RemoteURL:
    """Split a URL.

    Raises
    ------
    ArgumentError : it is not a URL of a remote file, or no file can have it.
    """
    found = _SCHEME.match(url)
    if found is None or not is_remote(url):
        raise ArgumentError(f"{shown(url)!r}: expected a URL such as s3://bucket/key")
    scheme = found[1].lower()
    scheme = _SAME.get(scheme, scheme)
    parsed = _parse_http(url, scheme) if scheme in ("http", "https") else _parse(url, scheme)
    if any(ord(character) < 32 or ord(character) == 127 for character in parsed.key):
        raise ArgumentError(f"{str(parsed)!r}: a URL has no control characters")
    try:
        parsed.key.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{str(parsed)!r}: no remote file can have this name") from error
    if {".", ".."} & set(parsed.key.split("/")):
        raise ArgumentError(
            f"{parsed}: '.' and '..' mean nothing in a remote store; write the path without them"
        )
    if not parsed.host and scheme in ("s3", "gs", "az", "http", "https"):
        raise ArgumentError(f"{parsed}: the bucket, container or host is missing")
    return parsed


def _parse(url: str, scheme: str) -> RemoteURL:
    """Split a URL whose text behind the host is the key."""
    host, _, path = url.partition("://")[2].partition("/")
    user, _, rest = host.rpartition("@")
    if scheme == "az":  # container@account.dfs.core.windows.net
        return RemoteURL(scheme, host, path)
    return RemoteURL(scheme, rest, path, user)


def _parse_http(url: str, scheme: str) -> RemoteURL:
    """Split a percent-encoded URL."""
    if re.search(r"[\x00-\x1f\x7f]", url):  # urlsplit leaves them out
        raise ArgumentError(f"{shown(url)!r}: a URL has no control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ArgumentError(f"{shown(url)!r} is not a URL: {error}") from None
    if parts.fragment or url.endswith("#"):
        raise ArgumentError(f"{shown(url)}: '#' begins no part of a file's URL; write %23")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    host = host if port is None else f"{host}:{port}"
    user = parts.netloc.rpartition("@")[0]
    path = quote(parts.path.removeprefix("/"), safe=_UNRESERVED + "%")
    return RemoteURL(scheme, host, path, user, parts.query)


def is_signed(path: str) -> bool:
    """Whether this is a URL with a query, which may sign it, and no other one."""
    return is_remote(path) and bool(parse_url(path).query)


def is_folder(path: str) -> bool:
    """Whether this is the URL of a folder: it ends with a slash, which is not that of a query."""
    return path.endswith("/") and is_remote(path) and not is_signed(path)


def shown(url: str) -> str:
    """A URL, or a path, without secrets: no user information, no query."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    if scheme.lower() in ("http", "https"):
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    if _SAME.get(scheme.lower(), scheme.lower()) != "az":
        host = host.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path}"


def name_of(url: str) -> str:
    """The last part of a URL's path, decoded: "" at the top of a store."""
    return parse_url(url).key.rstrip("/").rpartition("/")[2]


def join(url: str, name: str) -> str:
    """The URL of a file in a folder; the folder's user information and query stay.

    Parameters
    ----------
    name : not encoded; may have slashes

    Raises
    ------
    ArgumentError : it would name a file outside the folder.
    """
    folder = parse_url(url)
    encoded = quote(name, safe=_UNRESERVED) if folder.is_http else name
    path = f"{folder.path.rstrip('/')}/{encoded}".removeprefix("/")
    return parse_url(replace(folder, path=path).full).full


def with_extension(url: str, extension: str) -> str:
    """The URL with another extension, such as that of an index.

    The query is left out: what signs one file does not sign another one.
    """
    parsed = parse_url(url)
    folder, slash, name = parsed.path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    stem = stem if dot and stem else name
    return replace(parsed, path=f"{folder}{slash}{stem}{extension}", query="").full
