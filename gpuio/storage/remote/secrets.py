"""What must not be shown or stored: credentials in options, signatures in clients' messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Options that are no secrets, without the providers' prefixes. Any other one is taken for one.
_HARMLESS = """
    account_name allow_http allow_invalid_certificates anon authority_host base_url bucket
    bucket_name client_options config connect_timeout container_name default_region endpoint
    endpoint_url host imdsv1_fallback path_style_request pool_idle_timeout
    pool_max_idle_per_host port profile project protocol proxy_excludes randomize_addresses
    read_timeout region request_payer role_arn root_certificate skip_signature storage_endpoint
    timeout unsigned_payload use_azure_cli use_emulator use_fabric_endpoint use_ssl user_agent
    virtual_hosted_style_request web_identity_token_file
"""
HARMLESS = frozenset(_HARMLESS.split())

_PREFIX = re.compile(r"^(aws|azure_storage|azure|google|container)_(?!name$)")

# A query or user information in a URL, wherever it ends in a sentence.
_QUERY = re.compile(r"(\w+://[^\s\"'<>?]*)\?[^\s\"'<>]*")
_USER = re.compile(r"(\w+://)[^\s\"'<>/]*@")

# What takes the place of a secret.
HIDDEN = "…"


def plain_name(option: str) -> str:
    """An option's name without its provider's prefix, in lower case."""
    return _PREFIX.sub("", option.lower())


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are no secrets, also within nested ones."""
    kept: dict[str, Any] = {}
    for name, value in options.items():
        if plain_name(name) not in HARMLESS:
            continue
        if isinstance(value, Mapping):
            kept[name] = without_secrets(value)
        elif not (isinstance(value, str) and scrub(value) != value):
            kept[name] = value
    return kept


def secret_names(options: Mapping[str, Any], within: str = "") -> tuple[str, ...]:
    """The names of all other options; ``client_options.default_headers`` for a nested one."""
    kept = without_secrets(options)
    names: list[str] = []
    for name, value in options.items():
        if name not in kept:
            names.append(within + name)
        elif isinstance(value, Mapping):
            names += secret_names(value, f"{within}{name}.")
    return tuple(names)


def _secrets(options: Mapping[str, Any], secret: bool = False) -> Iterator[str]:
    """The strings among the secret options' values."""
    kept = without_secrets(options)
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secrets(value, secret or name not in kept)
        elif isinstance(value, str) and (secret or name not in kept):
            yield value


def scrub(text: str, options: Mapping[str, Any] | None = None) -> str:
    """A client's message without queries and user information in URLs, and without the values of
    secret options.
    """
    text = _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))
    for value in sorted(set(_secrets(options or {})), key=len, reverse=True):
        if len(value) > 3:  # shorter ones would tear words
            text = text.replace(value, HIDDEN)
    return text
