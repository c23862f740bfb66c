"""One built DALI graph: numbered batches go in on one thread and come out on another.

An exception while a batch is scheduled can leave some of its inputs queued in DALI, which then
combines later batches' inputs wrongly. So a pipeline that failed in this way is not used again; and
each batch has a number, the first of its inputs, which goes through the graph and is compared.
"""

from __future__ import annotations

import collections
import ctypes
import itertools
import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuio.errors import DeviceError, Error
from gpuio.execution.dali_errors import GraphError, device_error, explain
from gpuio.execution.dali_graph import Feed
from gpuio.nd.types import Untyped

Source = Callable[[], list[Any]]


class MisplacedBatchError(Exception):
    """DALI gave another batch than the one that was awaited."""


# What DALI says where there is no batch to collect.
NOTHING_LEFT = "All pending outputs were already popped"

PRIMING = -1  # the number of the batches that start a pipeline


class DaliPipeline:
    """A graph and the batches in it.

    One thread calls `schedule`; one, which may be another, `collect` and, when no other call can
    come, `close`. What DALI's Python class shares between the two is a count, each change of which
    is one step under the interpreter's lock.

    Parameters
    ----------
    build : builds the graph, see `build_graph`
    depth : batches that the graph was built for
    blank : a feed of one black pixel
    sample_shape : that each sample must have; None: the graph ensures it

    Raises
    ------
    DeviceError : building failed because memory, the driver or the device did.

    Attributes
    ----------
    broken : its inputs may no longer belong together; schedule no further batches
    """

    def __init__(
        self,
        build: Callable[[Source], Any],
        depth: int,
        blank: Feed,
        sample_shape: tuple[int, ...] | None = None,
    ) -> None:
        feeds: collections.deque[tuple[Feed, int]] = collections.deque()
        self._feeds = feeds
        self._depth = depth
        self._blank = blank
        self._sample_shape = sample_shape
        self._primed = self.broken = False
        self._scheduled = self._collected = 0
        self._numbers = itertools.count()

        def source() -> list[Any]:  # DALI accepts plain functions only
            feed, number = feeds.popleft()
            return [np.full(len(feed.encoded), number, np.int64), *feed.arrays()]

        self._pipe: Any = _build(build, source)
        _pipes.add(self._pipe)

    def schedule(self, feed: Feed) -> int:
        """Start a batch; its number. Does not wait.

        Raises
        ------
        Exception : whatever went wrong; the pipeline is broken.
        """
        try:
            if not self._primed:
                self._prime()
            number = next(self._numbers)
            self._feeds.append((feed, number))
            self._pipe.schedule_run()
        except BaseException:
            self.broken = True
            raise
        self._scheduled += 1
        return number

    def _prime(self) -> None:
        """Start the graph. Its first run asks for `depth` batches at once, of which one may not
        have come yet when another is awaited: they are blank.
        """
        self._feeds.extend([(self._blank, PRIMING)] * self._depth)
        self._pipe.schedule_run()
        for _ in range(self._depth):
            try:
                self._share(PRIMING, None)
            except GraphError as error:
                raise device_error(str(error)) from None
        self._primed = True

    def collect(self, number: int, stream: object) -> Untyped:
        """Wait for the oldest batch: the samples, a DALI TensorList.

        Parameters
        ----------
        number : of the batch that is expected
        stream : where the samples will be used, see DALI's `share_outputs`

        Raises
        ------
        GraphError : DALI failed the batch, perhaps because of an image.
        DeviceError : DALI failed; the pipeline is broken.
        MisplacedBatchError : DALI gave another batch; the pipeline is broken.
        """
        self._collected += 1
        return self._share(number, stream)

    def _share(self, number: int, stream: object) -> Untyped:
        try:
            samples, numbers = self._pipe.share_outputs(stream)
            self._pipe.release_outputs()  # invalidates nothing, see `build_graph`
            found = int(np.asarray(numbers.as_tensor())[0])
        except Exception as error:  # operators raise several classes
            failure: Exception = explain(error)
            if isinstance(error, StopIteration) or NOTHING_LEFT in str(error):
                failure = MisplacedBatchError(f"no batch came where {number} was expected")
        else:
            wrong = self._find_misshapen(samples)
            if found != number:
                failure = MisplacedBatchError(f"batch {found} came where {number} was expected")
            elif wrong is not None:
                failure = GraphError(f"sample #{wrong} has another number of channels", wrong)
            else:
                return samples
        self.broken |= not isinstance(failure, GraphError)
        raise failure  # here, so that it does not hold DALI's frames, and these the graph

    def _find_misshapen(self, samples: Untyped) -> int | None:
        """The first sample of another shape than it should have."""
        if self._sample_shape is None:
            return None
        shapes = enumerate(samples.shape())
        return next((row for row, shape in shapes if tuple(shape) != self._sample_shape), None)

    def run(self, feed: Feed, stream: object) -> Untyped:
        """Schedule and collect one batch, with no others in flight."""
        return self.collect(self.schedule(feed), stream)

    def close(self) -> None:
        """Wait until DALI reads none of the inputs any more, and drop the graph."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        try:
            for _ in range(self._scheduled - self._collected):
                try:
                    pipe.share_outputs()
                except Exception:
                    continue
        finally:
            _pipes.discard(pipe)
            self._feeds.clear()


def _build(build: Callable[[Source], Any], source: Source) -> Any:
    failed: DeviceError | None = None
    try:
        return build(source)
    except Error:
        raise
    except RuntimeError as error:  # DALI's
        explained = explain(error)
        if not isinstance(explained, DeviceError):
            raise
        failed = explained
    raise failed  # here, so that it does not hold DALI's frames


_pipes: weakref.WeakSet[Any] = weakref.WeakSet()


def _abandon_pipelines() -> None:
    """In a child process, prevent the graphs of its parent from being destroyed: that would wait
    for threads which a fork does not copy.
    """
    for pipe in list(_pipes):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(pipe._pipe))
        pipe._pipe = None  # DALI's own check for whether there is something to destroy


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_pipelines)
