"""Local files, and the same on a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.servers.faulty import FaultyServer

BUCKET = "bucket"


def upload(server: FaultyServer, files: dict[str, Path | bytes]) -> str:
    """Put files into the server's bucket; the URL of the bucket, with a slash at the end."""
    for name, content in files.items():
        server.put(
            f"{BUCKET}/{name}", content if isinstance(content, bytes) else content.read_bytes()
        )
    return f"s3://{BUCKET}/"


def remote_arguments(server: FaultyServer, cache: Path) -> dict[str, Any]:
    """The arguments for remote files of whatever reads them."""
    return {
        "storage_options": server.s3_options,
        "cache_dir": str(cache),
        "cache_limit": "1GB",
        "retries": 2,
        "timeout": 20,
    }
