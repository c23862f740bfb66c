"""Progress bars on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

# Seconds after which whoever waits wants to know how long it will take.
DELAY = 2.0


def progress(
    text: str, unit: str, total: int | None = None, delay: float = DELAY, initial: int = 0
) -> Any:
    """A progress bar on stderr: a context manager whose ``update(n)`` adds n.

    It appears only on a terminal, only after `delay` seconds, and goes away when it is closed. The
    unit "B", bytes, is shown as kB, MB and so on. `initial` were there before.
    """
    if not sys.stderr.isatty():
        return _Silent()
    from tqdm import tqdm

    return tqdm(
        desc=text,
        unit=unit if unit == "B" else f" {unit}",
        unit_scale=unit == "B",
        total=total,
        initial=initial,
        delay=delay,
        leave=False,
        dynamic_ncols=True,
    )


class _Silent:
    """A bar that does not appear."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def update(self, n: int = 1) -> None:
        pass
