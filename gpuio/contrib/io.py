"""MXNet's ``mx.contrib.io``: a DataIter over the batches of a DataLoader of Gluon."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from gpuio import nd
from gpuio.errors import ArgumentError, Error
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.loading.hand_over import hand_over_arrays

__all__ = ["DataLoaderIter"]


class DataLoaderIter(DataIter):
    """The batches of a loader, as those of an iterator.

    Parameters
    ----------
    loader : ``mx.gluon.data.DataLoader``, or whatever else gives pairs of NDArrays, data and label,
        anew in each loop; the first pair is the largest. The constructor takes one for its shapes
    data_name, label_name : names of its data and its label
    dtype : of data and labels

    Notes
    -----
    Where a batch is smaller than the first, as the last may be, rows of zeros fill it; its `pad` is
    their number. Several threads may call `next`; each batch goes to one of them.

    Raises
    ------
    ArgumentError : the loader has no batches.

    Examples
    --------
    >>> train = DataLoaderIter(mx.gluon.data.DataLoader(dataset, batch_size=32, shuffle=True))
    """

    def __init__(
        self,
        loader: Iterable[tuple[nd.NDArray, nd.NDArray]],
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self._loader = loader
        first = next(iter(loader), None)
        if first is None:
            raise ArgumentError("the loader gives no batches; DataLoaderIter needs at least one")
        data, label = first
        self.batch_size = len(data)
        self.dtype = dtype
        self.provide_data = [DataDesc(data_name, data.shape, dtype)]
        self.provide_label = [DataDesc(label_name, label.shape, dtype)]
        self._lock = threading.RLock()
        self._current: Any = None
        self._failure: BaseException | None = None
        self._batches: Iterator[tuple[nd.NDArray, nd.NDArray]] = iter(())
        self.reset()

    def next(self) -> DataBatch:
        """The next batch; see `DataIter.next`."""
        with self._lock:
            return super().next()

    def reset(self) -> None:
        """Start a new epoch, after the batch for which another thread waits."""
        with self._lock:
            self._batches = iter(self._loader)
            self._current = None
            self._failure = None

    def iter_next(self) -> bool:
        """Move to the next batch; False if there is none.

        Raises
        ------
        Error : a batch of this epoch has failed, and the loader gives no more after it.
        """
        with self._lock:
            try:
                self._current = next(self._batches, None)
            except BaseException as error:
                self._failure = error
                raise
            if self._current is None and self._failure is not None:
                raise Error(
                    "a batch of this epoch has failed, and the loader gives no more after it; "
                    "reset() begins the next epoch"
                ) from self._failure
            return self._current is not None

    def getdata(self) -> list[nd.NDArray]:
        """The data of the current batch."""
        return hand_over_arrays([self._filled(self._current[0])])

    def getlabel(self) -> list[nd.NDArray]:
        """The labels of the current batch."""
        return hand_over_arrays([self._filled(self._current[1])])

    def getpad(self) -> int:
        """Number of rows that fill the current batch."""
        return self.batch_size - len(self._current[0])

    def getindex(self) -> None:
        """A loader does not say which samples it gives."""

    def _filled(self, rows: nd.NDArray) -> nd.NDArray:
        if len(rows) == self.batch_size:
            return rows.astype(self.dtype)
        whole = nd.zeros((self.batch_size, *rows.shape[1:]), dtype=self.dtype, ctx=rows.context)
        whole[: len(rows)] = rows
        return whole
