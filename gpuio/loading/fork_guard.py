"""A guard for objects whose threads do not survive a fork."""

from __future__ import annotations

import os

from gpuio.errors import Error

OTHER_PROCESS = "the iterator belongs to another process; create one in each process"


class ForkGuard:
    """Remembers the process that created it."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def check(self, message: str = OTHER_PROCESS) -> None:
        """Check that this is still the same process.

        Raises
        ------
        Error : it is not.
        """
        if os.getpid() != self._process:
            raise Error(message)
