"""Clients of obstore: what a URL and options mean for each kind of store."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from gpuio.errors import ArgumentError, Error, MissingPackageError, RemoteError
from gpuio.storage.remote.advice import credentials_advice
from gpuio.storage.remote.obstore_errors import option_error
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import RemoteURL

SCHEMES = ("s3", "gs", "az", "http", "https")

# Variables that may have an endpoint.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")

# Requests that one process may have running at a time with as many open connections.
_IDLE_CONNECTIONS = "128"


def needs_own_client(url: RemoteURL) -> bool:
    """Whether an http(s) URL has parts that are lost when it is put together again from its host
    and its decoded path.
    """
    return bool(url.query) or "%2f" in url.path.lower() or "" in url.key.split("/")


def make_client(url: RemoteURL, options: RemoteOptions, retries: int) -> Any:
    """A client of obstore for the store of a URL.

    Raises
    ------
    MissingPackageError : obstore is not installed.
    ArgumentError : an option is wrong.
    """
    try:
        from obstore import store
    except ImportError as error:
        raise MissingPackageError(
            f"{url}: this kind of URL needs obstore: pip install 'gpuio[remote]'"
        ) from error
    settings = dict(options.storage_options)
    given = settings.pop("client_options", {})
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"{url.store}: client_options in storage_options must be a mapping, not "
            f"{type(given).__name__}"
        )
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=min(options.timeout, 10)),
        "timeout": timedelta(seconds=options.timeout),
        "pool_max_idle_per_host": _IDLE_CONNECTIONS,
        **given,
    }
    retry: Any = {"max_retries": retries, "retry_timeout": timedelta(seconds=10 * options.timeout)}
    endpoints = [settings.get(name) for name in ("endpoint", "endpoint_url", "base_url")]
    endpoints += [os.environ.get(name) for name in _ENDPOINTS]
    if url.scheme == "http" or any(
        str(each).startswith("http://") for each in endpoints
    ):  # somebody has written that
        client.setdefault("allow_http", True)
    if "allow_http" in settings:
        client["allow_http"] = settings.pop("allow_http")
    client_options: Any = client
    try:
        if url.scheme == "s3":
            return store.S3Store(
                url.host, client_options=client_options, retry_config=retry, **settings
            )
        if url.scheme == "gs":
            return store.GCSStore(
                url.host, client_options=client_options, retry_config=retry, **settings
            )
        if url.scheme == "az":
            container, _, host = url.host.partition("@")
            if host:
                settings.setdefault("account_name", host.partition(".")[0])
            return store.AzureStore(
                container, client_options=client_options, retry_config=retry, **settings
            )
        if settings:
            names = ", ".join(settings)
            raise ValueError(f"web servers have no options but client_options, not {names}")
        if url.user:
            basic = base64.b64encode(unquote(url.user).encode()).decode()
            headers = dict(client.get("default_headers", {}))
            client["default_headers"] = {"authorization": f"Basic {basic}", **headers}
        address = f"{url.store}/{url.path}" if needs_own_client(url) else url.store
        address += f"?{url.query}" if url.query else ""
        return store.HTTPStore(address, client_options=client_options, retry_config=retry)
    except Exception as error:
        failure: Error = option_error(error, url.store, options.storage_options)
        if re.search("Missing|must be specified", str(error)) and url.scheme in ("s3", "gs", "az"):
            advice = credentials_advice(url.scheme)
            failure = RemoteError(f"{url.store}: the credentials are incomplete; {advice}")
    raise failure
