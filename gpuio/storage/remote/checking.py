"""Comparing what is cached with what the store has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from gpuio.errors import FileChangedError, RecordFileNotFoundError
from gpuio.storage.remote.fetch import LONGEST
from gpuio.storage.remote.filling import RemoteObject
from gpuio.storage.remote.segment import MISSING, ForeignSegmentError


def compare(remote: RemoteObject, numbers: tuple[int, ...]) -> Iterator[tuple[int, bool]]:
    """Fetch what is cached of an object again, and compare it.

    Parameters
    ----------
    remote : the object
    numbers : segments that are cached

    Yields
    ------
    bytes that were compared since the last time, and whether they differ; a segment that differs
    has been removed

    Raises
    ------
    FileChangedError, RecordFileNotFoundError : the store has another version, or none.
    """
    cached = remote.cached
    for number in numbers:
        segment = cached.open(number)
        if segment is None:
            continue
        base, nbytes = number * cached.segment, cached.shape(number).nbytes
        with segment:
            try:
                states = segment.states()
            except (ForeignSegmentError, OSError):
                states = b""
            for first, last in _present(states, LONGEST // cached.page):
                begin, end = first * cached.page, min(last * cached.page, nbytes)
                expected = remote.fetch(base + begin, base + end).tobytes()
                differs = os.pread(segment.descriptor, end - begin, begin) != expected
                if differs:
                    with suppress(FileNotFoundError):
                        os.unlink(cached.path(number))
                yield end - begin, differs
                if differs:
                    break


def is_outdated(error: Exception) -> bool:
    """Whether an error means that the store has no longer what is cached."""
    return isinstance(error, (FileChangedError, RecordFileNotFoundError))


def _present(states: bytes, most: int) -> Iterator[tuple[int, int]]:
    """Runs of at most `most` pages that are there: the first, and the one after the last."""
    at = 0
    while at < len(states):
        if states[at : at + 1] == MISSING:
            at += 1
            continue
        end = states.find(MISSING, at)
        end = min(len(states) if end < 0 else end, at + most)
        yield at, end
        at = end
