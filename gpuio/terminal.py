"""Text for a terminal or a pipe, whatever is in the names that it shows."""

from __future__ import annotations

from typing import IO

# Control characters, with which a file's name could change the terminal, except tab and newline.
_CONTROLS = {code: f"\\x{code:02x}" for code in [*range(9), *range(11, 32), *range(127, 160)]}


def counted(count: int, what: str) -> str:
    """A number of things, such as "1 record" or "1,200 records"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """Escape control characters, and what stands for bytes that are not UTF-8."""
    return text.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


def echo(text: str = "", *, file: IO[str] | None = None, flush: bool = False) -> None:
    """Print a line that `printable` has made harmless.

    Parameters
    ----------
    file : where to; None: standard output
    flush : do not wait until a buffer is full
    """
    print(printable(text), file=file, flush=flush)
