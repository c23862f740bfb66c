"""The progress bar of everything that takes a while."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

# Seconds before the bar appears.
PATIENCE = 2.0


def progress(
    total: int, name: str, quiet: bool = False, unit: str = "img", at_once: bool = False
) -> Any:
    """A bar with rate and time left, on standard error; silent where that is not a terminal.

    Parameters
    ----------
    total : how many steps there are; ``update(n)`` makes some
    name : what is going on
    quiet : never show it
    at_once : show it from the beginning, not after two seconds
    """
    hidden = quiet or not sys.stderr.isatty()
    delay = 0.0 if at_once else PATIENCE
    return tqdm(total=total, desc=name, unit=unit, disable=hidden, delay=delay, leave=False)
