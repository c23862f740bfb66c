"""Batches that the DALI graph failed: which samples it refuses, and the batch without these.

DALI fails a batch as a whole, and does not always say because of which sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gpuio.execution.dali_errors import GraphError, device_error
from gpuio.execution.dali_graph import Feed
from gpuio.execution.dali_pipeline import DaliPipeline
from gpuio.nd.types import Untyped

# Batches without a failure after which the second graph's memory is released.
IDLE_BATCHES = 64

# Samples that are left out because DALI has named them, one after another, before all are tried.
NAMED = 3


class Canceled(Exception):  # noqa: N818
    """The batch is no longer wanted."""


class Rerun(NamedTuple):
    """A batch that was run again.

    Attributes
    ----------
    tensors : its samples, a DALI TensorList; blanks where samples were refused
    refused : these
    alone : those of them that are refused alone, too
    """

    tensors: Untyped
    refused: set[int]
    alone: set[int]


class RefusedSamples:
    """Runs batches that failed again, without the samples that DALI refuses.

    Other batches are in the graph at that time, so there is a second one, which is built when it is
    needed and dropped when it has not been for a while. For use by one thread.

    Parameters
    ----------
    create : creates a pipeline
    stream : where samples will be used, see `DaliPipeline.collect`
    """

    def __init__(self, create: Callable[[], DaliPipeline], stream: object) -> None:
        self._create = create
        self._stream = stream
        self._pipeline: DaliPipeline | None = None
        self._idle = 0

    def run(
        self,
        make_feed: Callable[[set[int]], Feed],
        rows: list[int],
        failure: GraphError | None,
        wanted: Callable[[], bool],
    ) -> Rerun:
        """Run a batch without the samples that DALI refuses.

        Parameters
        ----------
        make_feed : makes the batch's feed, with blanks in place of some samples
        rows : the samples that DALI may refuse
        failure : how the batch failed; None: it has not been run
        wanted : checked before each run

        Raises
        ------
        DeviceError : DALI failed, and not because of the images.
        Canceled : the batch is no longer wanted.
        """
        self._idle = 0
        refused: set[int] = set()
        untried = set(rows)  # a sample that is named again is not why
        while failure is None or (failure.sample in untried and len(refused) < NAMED):
            if failure is not None and failure.sample is not None:
                refused.add(failure.sample)
                untried.remove(failure.sample)
            try:
                tensors = self._run(make_feed(refused), wanted)
            except GraphError as error:
                failure = error.with_traceback(None)
                continue
            alone = [[row] for row in refused]
            return Rerun(tensors, refused, self._find(make_feed(set()), alone, wanted))
        refused = self._find(make_feed(set()), [rows] if rows else [], wanted)
        try:
            return Rerun(self._run(make_feed(refused), wanted), refused, refused)
        except GraphError as error:
            broken = device_error(str(error))
        raise broken

    def _find(self, feed: Feed, groups: list[list[int]], wanted: Callable[[], bool]) -> set[int]:
        """The samples that fail when they are alone; groups that fail are divided."""
        refused = set()
        while groups:
            group = groups.pop()
            try:
                self._run(feed.take(group), wanted)
            except GraphError as error:
                if len(group) == 1:
                    refused.update(group)
                    continue
                if error.sample is not None and error.sample < len(group):
                    named = group[error.sample]
                    groups.append([named])
                    group = [row for row in group if row != named]
                half = (len(group) + 1) // 2
                groups.extend(part for part in (group[:half], group[half:]) if part)
        return refused

    def _run(self, feed: Feed, wanted: Callable[[], bool]) -> Untyped:
        if not wanted():
            raise Canceled
        if self._pipeline is not None and self._pipeline.broken:
            self.close()
        if self._pipeline is None:
            self._pipeline = self._create()
        return self._pipeline.run(feed, self._stream)

    def count_good(self) -> None:
        """Note that a batch did not fail."""
        self._idle += 1
        if self._idle == IDLE_BATCHES:
            self.close()

    def close(self) -> None:
        """Drop the graph."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()
