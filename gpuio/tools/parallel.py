"""Ordered mapping in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import TypeVar

from gpuio.loading.outcome import Outcome
from gpuio.loading.workers import Workers

In = TypeVar("In")
Out = TypeVar("Out")


def map_ordered(
    threads: int,
    function: Callable[[In], Out],
    items: Iterable[In],
    ahead: int,
    *,
    name: str = "gpuio-tools",
    waits: bool = False,
) -> Generator[Out, None, None]:
    """Map items in threads, and yield the results in the order of the items.

    Unlike ``concurrent.futures``, it takes at most `ahead` items before their results are consumed,
    so items may be endless; when the generator is closed, what is queued is dropped.

    Parameters
    ----------
    threads : their number
    name : prefix of their names, as debuggers show them
    waits : the function may wait for other machines: when the generator is closed, or something is
        raised, calls that have not returned are not waited for

    Raises
    ------
    ArgumentError : the system refuses a thread.
    """
    pool = Workers(threads, name)
    pending: deque[Outcome[Out]] = deque()
    try:
        for item in items:
            outcome: Outcome[Out] = Outcome()
            pool.submit(partial(_run, function, item, outcome), outcome)
            pending.append(outcome)
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.stop(wait=not waits)


def _run(function: Callable[[In], Out], item: In, outcome: Outcome[Out]) -> None:
    try:
        outcome.set_result(function(item))
    except BaseException as error:
        outcome.set_exception(error)
