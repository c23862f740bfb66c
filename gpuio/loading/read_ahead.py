"""Records of coming batches that are read ahead, where reading takes long."""

from __future__ import annotations

import collections
from contextlib import suppress
from typing import NamedTuple

from gpuio.loading.source import ImageSource
from gpuio.sampling.order import Order

# Batches or pools that are asked for at a time: the caller waits for its batch meanwhile.
AT_ONCE = 8


class _Asked(NamedTuple):
    """Records that were asked for together.

    Attributes
    ----------
    begin, end : the positions from and up to which they are needed
    nbytes : their size
    """

    begin: int
    end: int
    nbytes: int


class ReadAhead:
    """Asks a source for the records of the batches that are read next, up to its `readahead` bytes;
    also those of epochs to come. With shuffle="blocks" it asks for whole
    pools, of which the last one may exceed that. Not thread-safe.

    Parameters
    ----------
    source : where the records come from
    order : their order
    """

    def __init__(self, source: ImageSource, order: Order) -> None:
        self._source = source
        self._order = order
        self._asked: collections.deque[_Asked] = collections.deque()
        self._bytes = 0  # of all of these

    def advance(self, position: int) -> None:
        """Ask for what follows `position`, up to which batches have been read or are being read."""
        most = self._source.readahead
        if not most:
            return
        while self._asked and self._asked[0].end <= position:
            self._bytes -= self._asked.popleft().nbytes
        with suppress(Exception):  # reading the batch will raise it, too
            for _ in range(AT_ONCE):
                if self._bytes - self._used(position) >= most:
                    return
                begin = self._asked[-1].end if self._asked else position
                records, end = self._order.read_together(begin, not self._asked)
                nbytes = self._source.read_ahead(records)
                self._asked.append(_Asked(begin, end, nbytes))
                self._bytes += nbytes

    def _used(self, position: int) -> int:
        """The bytes, of those that were asked for, up to a position: about, as a part of a pool."""
        if not self._asked:
            return 0
        begin, end, nbytes = self._asked[0]
        return nbytes * max(position - begin, 0) // (end - begin)

    def restart(self) -> None:
        """Begin anew, at another position."""
        self._asked.clear()
        self._bytes = 0
