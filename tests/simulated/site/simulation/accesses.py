"""Which work reads and writes which memory, and reports of accesses without an order.

Two accesses to the same bytes, at least one of which writes, need an order: the same stream, a
stream that waits for the other's event, or the host having seen that the first is done. This is
checked when work is queued, and so does not depend on when it runs. A pool's giving and taking back
of memory count as writes on the pool's stream.
"""

from __future__ import annotations

import atexit
import os
import sys
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simulation import allocations

if TYPE_CHECKING:
    from simulation.streams import Queue

# Folders of modules that say nothing about the mistake.
_OTHERS = ("site", "site-packages", f"python{sys.version_info[0]}.{sys.version_info[1]}")

# Reports since the last `take_reports`.
_reports: list[str] = []


class Access(NamedTuple):
    """Work of a stream that accesses bytes of an allocation."""

    queue: Queue
    position: int
    begin: int
    end: int
    writes: bool
    name: str

    def before(self, queue: Queue) -> bool:
        """Whether it is done before what is queued next on a stream."""
        return (
            self.queue is queue
            or self.position <= self.queue.observed
            or self.position <= queue.clock.get(self.queue, 0)
        )


def note(
    queue: Queue, reads: Iterable[np.ndarray], writes: Iterable[np.ndarray], name: str
) -> None:
    """Note what the work just queued accesses, and report what has no order with it."""
    for regions, writing in ((reads, False), (writes, True)):
        for region in regions:
            if region.size:
                _note(queue, region, writing, name)


def _note(queue: Queue, region: np.ndarray, writes: bool, name: str) -> None:
    begin, end = np.lib.array_utils.byte_bounds(region)
    allocation = allocations.find(begin)
    if allocation is None:
        report(f"{name} on the {queue} accesses {begin:#x}, which is not a device's memory")
        return
    access = Access(queue, queue.queued, begin, end, writes, name)
    kept = []
    for each in allocation.accesses:
        overlap = each.begin < end and begin < each.end
        ordered = each.before(queue)
        if overlap and not ordered and (writes or each.writes):
            verb = "writes" if writes else "reads"
            earlier = "written" if each.writes else "read"
            report(
                f"{name} on the {queue} {verb} memory that {each.name} on the {each.queue} has "
                f"{earlier}, or will: neither stream nor the host waits for it"
            )
        inside = begin <= each.begin and each.end <= end
        superseded = inside and (writes or not each.writes)
        if each.position > each.queue.observed and not (ordered and superseded):
            kept.append(each)
    kept.append(access)
    allocation.accesses = kept


def report(message: str) -> None:
    """Report a mistake, with the calls of gpuio and its tests that led to it."""
    ours = [
        frame
        for frame in traceback.extract_stack()
        if not any(os.sep + each + os.sep in frame.filename for each in _OTHERS)
    ]
    _reports.append(f"{message}\n{''.join(traceback.format_list(ours[-10:]))}")


def take_reports() -> list[str]:
    """The reports since the last call."""
    taken = list(_reports)
    _reports.clear()
    return taken


@atexit.register
def print_reports() -> None:
    """Print what was not taken, at the end of a process that a test has started."""
    for each in take_reports():
        print("simulated device:", each, file=sys.stderr)
