"""IndexedIter: base class for user-defined iterators over indexed rows."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.context import Context, as_context, device_of, on_device, require
from gpuio.errors import ArgumentError
from gpuio.io.array_sources import Rows, as_array, is_csr
from gpuio.io.rows_iter import OrderedRowsIter
from gpuio.iterators.arguments import (
    LAST_BATCH_HANDLES,
    as_batch_size,
    as_bool,
    as_choice,
    as_int,
    check_call,
)
from gpuio.iterators.desc import DataDesc
from gpuio.iterators.weak_method import weak_method
from gpuio.loading.batch import LoadedBatch
from gpuio.nd.sparse import wrap as wrap_csr
from gpuio.nd.types import Array, CSRMatrix, Values
from gpuio.sampling.order import BatchIndices, Order


class IndexedIter(OrderedRowsIter):
    """Base class for your own iterators over indexed rows.

    A subclass implements `load`, which loads a batch of row indices. This class adds ordering,
    shuffling, the handling of the last batch, saved states, pickling, prefetching and the transfer
    to the device.

    Parameters
    ----------
    size : rows in an epoch
    batch_size : rows in a batch
    shuffle : a new order of all rows each epoch
    last_batch_handle : what happens to an epoch's last, incomplete batch: "pad": it is filled with
        the epoch's first rows, and `pad` counts them; "discard": it is dropped; "roll_over": it
        becomes the beginning of the next epoch's first batch
    seed : determines the order
    prefetch_buffer : batches to prefetch in a thread, which then calls `load`; 0: none, and no
        thread. Batches for a GPU are always prefetched
    ctx : the device to which batches are copied; None: the current context
    copy : copy what `load` returns, so that each batch belongs to the caller whatever it was; False
        saves that if `load` always returns new arrays
    data_name, label_name : the names of single arrays

    Attributes
    ----------
    fingerprint : identifies the dataset in saved states; a subclass may set it before it calls this
        class's ``__init__``

    Examples
    --------
    >>> class Images(IndexedIter):
    ...     def __init__(self, paths, labels, batch_size, **options):
    ...         self.paths, self.labels = paths, np.asarray(labels)
    ...         super().__init__(len(paths), batch_size, **options)
    ...
    ...     def load(self, rows):
    ...         images = [cv2.imread(self.paths[row]) for row in rows]
    ...         return np.stack(images), self.labels[rows]
    """

    fingerprint = ""

    @check_call
    def __init__(
        self,
        size: int,
        batch_size: int,
        shuffle: bool = False,
        last_batch_handle: str = "pad",
        *,
        seed: int = 0,
        prefetch_buffer: int = 0,
        ctx: Context | str | None = None,
        copy: bool = True,
        data_name: str = "data",
        label_name: str = "softmax_label",
    ) -> None:
        super().__init__(as_batch_size(batch_size))
        order = Order(
            as_int("size", size),
            self.batch_size,
            as_bool("shuffle", shuffle),
            as_int("seed", seed),
            as_choice("last_batch_handle", last_batch_handle, LAST_BATCH_HANDLES),
        )
        ctx = as_context(ctx)
        require(ctx)
        self._names = data_name, label_name
        # What is copied to another device need not be copied here.
        self._copied_on = ctx if as_bool("copy", copy) else None
        self._set_ordered_stream(
            order,
            weak_method(self._load_batch),
            ctx,
            None,
            None,
            fingerprint=self.fingerprint,
            prefetch=as_int("prefetch_buffer", prefetch_buffer, 0),
        )

    def load(self, rows: NDArray[np.int64]) -> Values:
        """Load a batch.

        Parameters
        ----------
        rows : int64 (batch_size,), the row indices, each in [0, size)

        Returns
        -------
        data, or the pair (data, label), whose label may be None: each an array, a list of arrays,
        or a dict of arrays by name, with one row for each of `rows`; arrays of NumPy or CuPy,
        NDArrays, CSR matrices, or arrays of libraries with DLPack
        """
        raise NotImplementedError(f"{type(self).__name__} has no load")

    @cached_property
    def provide_data(self) -> list[DataDesc]:  # type: ignore[override]  # it can be assigned
        """Descriptions of a batch's data; the first access loads the first rows."""
        return self._describe_first_rows()[0]

    @cached_property
    def provide_label(self) -> list[DataDesc]:  # type: ignore[override]  # it can be assigned
        """Descriptions of a batch's labels; the first access loads the first rows."""
        return self._describe_first_rows()[1]

    def _load_batch(self, indices: BatchIndices) -> LoadedBatch:
        rows = indices.record
        data, label = (
            [self._own(array) for array in named.values()] for named in self._load_named(rows)
        )
        return LoadedBatch(data, label, indices.pad, rows.astype(np.uint64))

    def _own(self, array: Rows) -> Rows:
        """The array, or a copy if it could be memory that `load` keeps."""
        if device_of(array) != self._copied_on:
            return array
        with on_device(self._copied_on):
            return array.copy()

    def _describe_first_rows(self) -> tuple[list[DataDesc], list[DataDesc]]:
        rows = np.arange(self.batch_size, dtype=np.int64) % self._ordered.order.size
        data, label = self._load_named(rows)
        described = _describe(data), _describe(label)
        vars(self).update(zip(("provide_data", "provide_label"), described, strict=True))
        return described

    def _load_named(self, rows: NDArray[np.int64]) -> tuple[dict[str, Rows], dict[str, Rows]]:
        """Call `load` and check its result: data and labels by name."""
        loaded = self.load(rows)
        is_pair = isinstance(loaded, tuple) and len(loaded) == 2
        values, labels = loaded if is_pair else (loaded, None)
        data_name, label_name = self._names
        data, label = _by_name(values, data_name), _by_name(labels, label_name)
        for name, array in (*data.items(), *label.items()):
            if not array.shape or array.shape[0] != len(rows):
                raise ArgumentError(
                    f"{type(self).__name__}.load returned {name!r} of shape {tuple(array.shape)} "
                    f"for {len(rows)} rows; the first axis must be that of the rows"
                )
        return data, label


def _by_name(values: Values, name: str) -> dict[str, Rows]:
    if values is None:
        named = {}
    elif isinstance(values, dict):
        named = values
    elif isinstance(values, (list, tuple)):
        named = {f"_{number}_{name}": value for number, value in enumerate(values)}
        if len(values) == 1:
            named = {name: values[0]}
    else:
        named = {name: values}
    return {each: _wrap(each, value) for each, value in named.items()}


def _wrap(name: str, value: Array | CSRMatrix) -> Rows:
    return wrap_csr(value) if is_csr(value) else nd.wrap(as_array(name, value, "load"))


def _describe(named: dict[str, Rows]) -> list[DataDesc]:
    return [
        DataDesc(name, tuple(array.shape), np.dtype(array.dtype).type)
        for name, array in named.items()
    ]
