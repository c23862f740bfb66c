"""Progress bars on a terminal."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from gpuio.terminal import printable

# Seconds before a bar appears.
DELAY = 2.0


class Bar(Protocol):
    """What a progress bar counts."""

    def update(self, n: int = 1) -> object:
        """Add to the count."""


class _Silent:
    def update(self, n: int = 1) -> None:
        pass


def progress(
    description: str, unit: str, total: int | None = None, delay: float = DELAY, initial: int = 0
) -> AbstractContextManager[Bar]:
    """A progress bar on stderr: a context manager whose ``update(n)`` adds n.

    It appears on a terminal only, after `delay` seconds, and disappears when it is closed. The unit
    "B", bytes, is shown as kB, MB and so on. The count starts at `initial`.
    """
    if sys.stderr is None or not sys.stderr.isatty():  # None: closed before Python started
        return nullcontext(_Silent())
    from tqdm import tqdm

    bar: AbstractContextManager[Bar] = tqdm(
        desc=printable(description),
        unit=unit if unit == "B" else f" {unit}",
        unit_scale=unit == "B",
        total=total,
        initial=initial,
        delay=delay,
        leave=False,
        dynamic_ncols=True,
    )
    return bar
