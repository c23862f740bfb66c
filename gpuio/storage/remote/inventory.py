"""What the cache holds, for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from gpuio.storage.remote.eviction import DESCRIPTION, entries, folders, remove_empty

# The URL of a version whose description is damaged or missing.
UNKNOWN = "?"


class Version(NamedTuple):
    """One version of an object in the cache.

    Attributes
    ----------
    url : the object's, without secrets, or UNKNOWN
    size : of the object, in bytes
    etag : the store's name for its content; None: it gave none
    on_disk : bytes that it takes in the cache
    used : when it was last read or written, in seconds since the epoch
    folder : where it is
    segments : the numbers of its segments, ascending
    """

    url: str
    size: int
    etag: str | None
    on_disk: int
    used: float
    folder: str
    segments: tuple[int, ...]


def versions(root: str) -> list[Version]:
    """What is in the cache, by URL and time.

    Parameters
    ----------
    root : folder of the cache, `Cache.root`
    """
    return sorted(_versions(root), key=lambda each: (each.url, each.used))


def _versions(root: str) -> Iterator[Version]:
    for folder in folders(root):
        found = [each for each in entries(folder) if each.is_segment]
        try:
            with open(os.path.join(folder, DESCRIPTION), encoding="utf-8") as file:
                facts = json.load(file)
            url, size, etag = str(facts["url"]), int(facts["size"]), facts["etag"]
        except (OSError, ValueError, KeyError, TypeError):  # damaged, or just being removed
            url, size, etag = UNKNOWN, 0, None
        numbers = [os.path.basename(each.path).partition(".")[0] for each in found]
        yield Version(
            url,
            size,
            etag,
            sum(each.on_disk for each in found),
            max((each.used for each in found), default=0.0),
            folder,
            tuple(sorted(int(number) for number in numbers if number.isdecimal())),
        )


def remove(version: Version) -> None:
    """Remove a version; whoever reads it goes on by fetching it again."""
    for each in entries(version.folder):
        if each.is_segment:
            with suppress(FileNotFoundError):
                os.unlink(each.path)
    remove_empty(version.folder)
