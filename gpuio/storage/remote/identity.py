"""What tells remote stores and objects apart in the cache: where they are, not who asks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from gpuio.storage.remote.advice import PREFIXES
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.secrets import plain_name
from gpuio.storage.remote.url import RemoteURL

# What says where a store is, in options and variables without their providers' prefixes; names of
# the same thing together.
_PLACES = {
    "endpoint": "endpoint", "endpoint_url": "endpoint", "endpoint_url_s3": "endpoint",
    "storage_endpoint": "endpoint", "base_url": "endpoint", "account_name": "account",
    "storage_account_name": "account", "use_emulator": "emulator", "use_fabric_endpoint": "fabric",
    "host": "host", "port": "port",
}  # fmt: skip

# Parameters of a query that sign it, or say who signs it; and those of Azure's signatures, whose
# names are too short to mean the same elsewhere.
_SIGNING_PREFIXES = ("x-amz-", "x-goog-")
_SIGNING = frozenset(
    {"awsaccesskeyid", "expires", "googleaccessid", "key-pair-id", "policy", "sig", "signature"}
)
_AZURE = frozenset(
    {"se", "ske", "skoid", "sks", "skt", "sktid", "skv", "sp", "spr", "sr", "srt", "ss", "st", "sv"}
)


def store_identity(url: RemoteURL, options: RemoteOptions) -> str:
    """What tells a store apart from others with the same URL: also the endpoint and the account, of
    `storage_options` or, without them, of the URL or the provider's variables in the environment.
    """
    store, places = url.store, dict(_sorted_places(_variables(url.scheme)))
    if url.scheme == "az":  # container@account.dfs.core.windows.net, as the client takes it
        container, _, host = url.host.partition("@")
        store = f"az://{container}"
        if host:
            places["account"] = host.partition(".")[0]
    places |= dict(_sorted_places(_flat(options.storage_options)))
    return " ".join([store, *(f"{name}={places[name]}" for name in sorted(places))])


def object_identity(url: RemoteURL) -> str:
    """What tells an object apart in its store: the key, and of an http(s) URL whatever else the
    server may choose an object by. What only signs the URL is left out.
    """
    if not url.is_http:
        return url.key
    parts = [part for part in url.query.split("&") if part]
    names = [unquote(part.partition("=")[0]).lower() for part in parts]
    signing = _SIGNING | _AZURE if "sig" in names else _SIGNING
    kept = [
        part
        for part, name in zip(parts, names, strict=True)
        if name not in signing and not name.startswith(_SIGNING_PREFIXES)
    ]
    return f"{url.path}?{'&'.join(kept)}" if kept else url.path


def _sorted_places(settings: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """What settings say about each kind of place; all of it, where several say something."""
    found: dict[str, set[str]] = {}
    for name, value in settings:
        kind = _PLACES.get(plain_name(name))
        if kind is not None:
            found.setdefault(kind, set()).add(str(value).rstrip("/"))
    for kind, values in found.items():
        yield kind, ",".join(sorted(values))


def _variables(scheme: str) -> Iterator[tuple[str, str]]:
    """The variables of the environment that a store's client reads."""
    prefix = PREFIXES.get(scheme, "").partition("_")[0]
    if prefix:
        for name, value in os.environ.items():
            if name.startswith(f"{prefix}_") and value:
                yield name, value


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All options, also within nested ones."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield name, value
