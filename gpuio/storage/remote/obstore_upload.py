"""Objects that are written by obstore."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from gpuio.errors import Error, RecordFileNotFoundError, RemoteError
from gpuio.storage.remote.calls import TransientError, interruptible

_logger = logging.getLogger("gpuio")

# Bytes of a part, at least, and parts that a store takes: of these it holds 335 GB in S3.
PART = 32 << 20
MOST_PARTS = {"s3": 10_000, "gs": 10_000, "az": 50_000}

# The part of an object that may come beyond what is expected.
MARGIN = 0.1

# Seconds to wait beyond the timeout of a request that is running when the upload is dropped.
GRACE = 5.0

# Parts that are sent at a time.
PARALLEL = 4


class ObstoreUpload:
    """An `Upload` by obstore: in parts, or by one request if it is small. Up to PARALLEL + 1 parts
    are in memory. They are as large as the number of them and the expected size ask for.

    Parameters
    ----------
    client, path : the object
    name : its URL, for messages
    explain : gives the exception to raise in place of a client's
    timeout : seconds that one request may take
    parts : that the store takes at most
    expected : about how many bytes the object will have; 0: that is not known
    """

    def __init__(
        self,
        client: Any,
        path: str,
        name: str,
        explain: Callable[[Exception], Error | TransientError],
        timeout: float,
        parts: int,
        expected: int = 0,
    ) -> None:
        import obstore

        self._part = max(PART, math.ceil(expected * (1 + MARGIN) / parts))
        self._most = parts * self._part
        self._size = 0
        self._writer = obstore.open_writer(
            client, path, buffer_size=self._part, max_concurrency=PARALLEL
        )
        self._name = name
        self._explain = explain
        self._timeout = timeout
        self._ended = self._completed = self._aborted = False
        self._busy = threading.Lock()  # an interrupted call goes on, on another thread

    def write(self, data: bytes | memoryview) -> None:
        """See `Upload`.

        Raises
        ------
        RemoteError : it cannot be sent, or the object becomes too large.
        """
        self._check_running()
        view = memoryview(data).cast("B")
        self._size += len(view)
        if self._size > self._most:
            raise RemoteError(
                f"{self._name} cannot be written: it becomes larger than {self._most} bytes, which "
                f"this store takes in parts of {self._part} bytes; write several files, or a local "
                "one that you copy there"
            )
        for begin in range(0, len(view), self._part):
            self._call(partial(self._writer.write, view[begin : begin + self._part]))

    def complete(self) -> None:
        """See `Upload`. If it fails, what was written is dropped; if it is interrupted, the object
        may appear nevertheless.
        """
        if self._completed:
            return
        self._check_running()
        self._ended = True  # the client closes it, also where that fails
        self._call(self._writer.close)
        self._completed = True

    def abort(self) -> None:
        """See `Upload`. Does not raise: it is called while another error is handled."""
        import obstore

        if self._completed or self._aborted:
            return
        self._ended = self._aborted = True
        dropped = RemoteError("the upload is dropped")
        try:
            self._call(lambda: self._writer.__exit__(type(dropped), dropped, None))
        except RemoteError as error:
            # What could not be completed is closed already, and dropped by that; not by obstore
            # 0.11, the last one for Python 3.10.
            if "already closed" not in str(error) or obstore.__version__.startswith("0.11."):
                _logger.warning("%s; parts of it may be left in the store", error)

    def _check_running(self) -> None:
        if self._ended:
            raise ValueError("the upload has ended")

    def _call(self, function: Callable[[], object]) -> None:
        """Call the writer, with gpuio's errors."""

        def run() -> None:
            if not self._busy.acquire(timeout=self._timeout + GRACE):
                raise RemoteError(f"{self._name} cannot be written: a request does not end")
            try:
                function()
                return
            except Exception as error:
                failure = self._explain(error)
            finally:
                self._busy.release()
            # Without the client's exception as context: its message may hold a signature.
            # A missing bucket is no missing file.
            if isinstance(failure, (TransientError, RecordFileNotFoundError)):
                reason = str(failure).removeprefix(f"{self._name} does not exist: ")
                if isinstance(failure, TransientError) and failure.advice:
                    reason += f"; {failure.advice}"
                failure = RemoteError(f"{self._name} cannot be written: {reason}")
            raise failure

        interruptible(run)
