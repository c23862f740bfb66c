"""Records of coming batches that are read ahead, where reading takes long."""

from __future__ import annotations

import collections
from contextlib import suppress

from gpuio.loading.source import ImageSource
from gpuio.sampling.order import Order

# Batches that are asked for at a time: the caller waits for its batch meanwhile.
AT_ONCE = 8


class ReadAhead:
    """Asks a source for the records of the batches that come after those that are being read, up to
    its `readahead` bytes; also those of epochs to come. Not thread-safe.

    Parameters
    ----------
    source : where the records come from
    order : their order
    """

    def __init__(self, source: ImageSource, order: Order) -> None:
        self._source = source
        self._order = order
        # The positions after the batches that were asked for, and their bytes.
        self._asked: collections.deque[tuple[int, int]] = collections.deque()
        self._bytes = 0

    def advance(self, position: int) -> None:
        """Ask for batches at `position`, up to which batches are being read, and after it."""
        most = self._source.readahead
        if not most:
            return
        while self._asked and self._asked[0][0] <= position:
            self._bytes -= self._asked.popleft()[1]
        with suppress(Exception):  # reading the batch will raise it, too
            for _ in range(AT_ONCE):
                if self._bytes >= most:
                    return
                after = self._asked[-1][0] if self._asked else position
                indices = self._order.batch_at(after)
                size = self._source.read_ahead(indices.record)
                self._asked.append((indices.next_position, size))
                self._bytes += size

    def restart(self) -> None:
        """Begin anew, at another position."""
        self._asked.clear()
        self._bytes = 0
