"""Ordered mapping in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

from gpuio.errors import ArgumentError
from gpuio.loading.workers import REFUSED

In = TypeVar("In")
Out = TypeVar("Out")


def map_ordered(
    pool: Executor, function: Callable[[In], Out], items: Iterable[In], ahead: int
) -> Iterator[Out]:
    """Map items in a pool and yield the results in the order of the items.

    Unlike ``pool.map``, it takes at most `ahead` items before their results are consumed, so items
    may be endless; when the generator is closed, queued items are cancelled.

    Raises
    ------
    ArgumentError : the system refuses a thread of the pool.
    """
    pending: deque[Future[Out]] = deque()
    try:
        for item in items:
            pending.append(_submit(pool, function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _submit(pool: Executor, function: Callable[[In], Out], item: In) -> Future[Out]:
    try:
        return pool.submit(function, item)
    except RuntimeError as error:
        if str(error) != REFUSED:
            raise
        raise ArgumentError(
            "the system refused a thread; ask for fewer, about one for each CPU"
        ) from error
