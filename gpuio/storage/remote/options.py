"""How remote files are reached and cached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class RemoteOptions:
    """How remote files are reached and cached.

    Attributes
    ----------
    cache_dir : folder of the cache; None: GPUIO_CACHE_DIR, or else the user's cache folder
    cache_limit : the most bytes on disk of all that is in `cache_dir`
    readahead : bytes that are fetched ahead of the batch in hand
    storage_options : credentials, endpoint, region and the like, as the client has them
    retries : how often a request is repeated
    timeout : seconds that one request may take
    """

    cache_dir: str | None = None
    cache_limit: int = 100 * 10**9
    readahead: int = 256 * 10**6
    storage_options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    retries: int = 10
    timeout: float = 60.0
