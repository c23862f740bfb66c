"""Single samples of a batch, decoded on the host by a pool of threads."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import DecodeError
from gpuio.execution.output import OutputSpec
from gpuio.execution.resample import render_sample
from gpuio.loading.batch import ImageBatch
from gpuio.loading.workers import Workers


class HostSamples:
    """A pool of threads that decodes and resamples what the DALI graph refuses.

    The threads start with the first sample.

    Parameters
    ----------
    output : what the batches look like
    antialias : see `CropOptions`
    threads : number of threads
    """

    def __init__(self, output: OutputSpec, antialias: bool, threads: int) -> None:
        self._output = output
        self._antialias = antialias
        self._threads = threads
        self._workers: Workers | None = None
        self._lock = threading.Lock()

    def start(self, batch: ImageBatch, rows: list[int]) -> PendingSamples:
        """Start decoding some samples of a batch. Safe to call from several threads."""
        pending = PendingSamples(self._output, self._antialias, batch, rows)
        with self._lock:
            if self._workers is None and rows:
                self._workers = Workers(self._threads, "gpuio-dali-host")
            workers = self._workers
        for place in range(len(rows)):
            assert workers is not None, "there are rows"
            workers.submit(partial(pending.render, place))
        return pending

    @property
    def runs_current_thread(self) -> bool:
        """Whether this is called by one of the threads."""
        return self._workers is not None and self._workers.runs_current_thread

    def close(self) -> None:
        """Stop at once; samples that have not been started never will be."""
        with self._lock:
            if self._workers is not None:
                self._workers.stop()


class PendingSamples:
    """Samples that are being decoded.

    Attributes
    ----------
    rows : which samples of the batch they are
    errors : row -> why it cannot be decoded; complete after `wait`
    """

    def __init__(
        self, output: OutputSpec, antialias: bool, batch: ImageBatch, rows: list[int]
    ) -> None:
        self.rows = rows
        self.errors: dict[int, DecodeError] = {}
        self._output = output
        self._antialias = antialias
        self._batch = batch
        shape = (len(rows), output.height, output.width, output.channels)
        self._pixels = np.zeros(shape, np.uint8)
        self._failure: BaseException | None = None
        self._missing = len(rows)
        self._lock = threading.Lock()
        self._done = threading.Event()
        if not rows:
            self._done.set()

    def render(self, place: int) -> None:
        """Decode one of the samples."""
        try:
            # Jitter is left to the postprocessing, as for the graph's samples.
            self._pixels[place] = render_sample(
                self._batch,
                self.rows[place],
                (self._output.width, self._output.height),
                self._output.channels,
                self._antialias,
                jitter=False,
            )
        except DecodeError as error:
            self.errors[self.rows[place]] = error
        except BaseException as error:
            self._failure = error
        with self._lock:
            self._missing -= 1
            if not self._missing:
                self._done.set()

    def wait(self) -> NDArray[np.uint8]:
        """Wait for the samples: uint8 (M, height, width, channels).

        Those that cannot be decoded are black; see `errors`.
        """
        self._done.wait()
        if self._failure is not None:
            raise self._failure
        return self._pixels
