"""IndexedIter: the base for iterators over numbered rows of one's own."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.context import Context, as_context, require
from gpuio.errors import ArgumentError, Error
from gpuio.io.array_sources import as_array, is_csr
from gpuio.io.rows_iter import OrderedRowsIter
from gpuio.iterators.arguments import LAST_BATCH_HANDLES, as_bool, as_choice, as_int
from gpuio.iterators.desc import DataDesc
from gpuio.loading.batch import LoadedBatch
from gpuio.sampling.order import BatchIndices, Order


class IndexedIter(OrderedRowsIter):
    """Base for iterators over numbered rows of your own.

    A subclass gives `load`, which makes a batch of row numbers. Order, shuffling, the last batch,
    saved states, pickling, working ahead and the way to the device come with it.

    Parameters
    ----------
    size : rows in an epoch
    batch_size : rows in a batch
    shuffle : a new order of all rows each epoch
    last_batch_handle : what becomes of an epoch's last, incomplete batch: "pad": it is filled with
        the epoch's first rows, and `pad` counts them; "discard": it is left out; "roll_over": it
        becomes the beginning of the next epoch's first batch
    seed : decides the order
    prefetch_buffer : batches made ahead of the caller, in a thread, in which `load` is then called;
        0: none, and no thread. Batches for a GPU always are made ahead
    ctx : the device to which batches are brought; None: the current context
    data_name, label_name : the names of single arrays

    Attributes
    ----------
    fingerprint : a text that tells data apart, for saved states; a subclass may set it before it
        calls this class's ``__init__``

    Examples
    --------
    >>> class Pictures(IndexedIter):
    ...     def __init__(self, paths, labels, batch_size, **options):
    ...         self.paths, self.labels = paths, np.asarray(labels)
    ...         super().__init__(len(paths), batch_size, **options)
    ...
    ...     def load(self, rows):
    ...         pictures = [cv2.imread(self.paths[row]) for row in rows]
    ...         return np.stack(pictures), self.labels[rows]
    """

    fingerprint = ""

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
        data_name: str = "data",
        label_name: str = "softmax_label",
    ) -> None:
        super().__init__(as_int("batch_size", batch_size, 1))
        order = Order(
            as_int("size", size),
            self.batch_size,
            as_bool("shuffle", shuffle),
            as_int("seed", seed),
            as_choice("last_batch_handle", last_batch_handle, LAST_BATCH_HANDLES),
        )
        home = as_context(ctx)
        require(home)
        self._names = data_name, label_name
        self._described: tuple[list[DataDesc], list[DataDesc]] | None = None
        self._draw_in_order(
            order,
            _Load(self),
            home,
            [],
            [],
            fingerprint=self.fingerprint,
            ahead=as_int("prefetch_buffer", prefetch_buffer, 0),
        )

    def load(self, rows: NDArray[np.int64]) -> Any:
        """Make a batch.

        Parameters
        ----------
        rows : int64 (batch_size,), the rows' numbers, each in [0, size)

        Returns
        -------
        data, or the pair (data, label), whose label may be None: each an array, a list of arrays,
        or a dict of arrays by name, with one row for each of `rows`; NumPy's, NDArrays, CuPy's, CSR
        matrices, or such as offer DLPack
        """
        raise NotImplementedError(f"{type(self).__name__} has no load")

    @property
    def provide_data(self) -> list[DataDesc]:
        """Descriptions of the data that a batch holds; found out by loading the first rows."""
        return self._descriptions()[0]

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of the labels that a batch holds; found out by loading the first rows."""
        return self._descriptions()[1]

    def _descriptions(self) -> tuple[list[DataDesc], list[DataDesc]]:
        if self._described is None:
            rows = np.arange(self.batch_size, dtype=np.int64) % self._ordered.order.size
            data, label = self._loaded(rows)
            self._described = _describe(data), _describe(label)
        return self._described

    def _loaded(self, rows: NDArray[np.int64]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What `load` gives, by name."""
        found = self.load(rows)
        data, label = found if isinstance(found, tuple) and len(found) == 2 else (found, [])
        named = (
            _by_name(values, name) for values, name in zip((data, label), self._names, strict=True)
        )
        data, label = named
        for name, array in (*data.items(), *label.items()):
            if not array.shape or array.shape[0] != len(rows):
                raise ArgumentError(
                    f"{type(self).__name__}.load gave {name!r} of shape {tuple(array.shape)} for "
                    f"{len(rows)} rows; the first axis must count them"
                )
        return data, label


class _Load:
    """Makes the batch of a slice of the order, and keeps nobody alive."""

    def __init__(self, owner: IndexedIter) -> None:
        self._owner = weakref.ref(owner)

    def __call__(self, take: BatchIndices) -> LoadedBatch:
        owner = self._owner()
        if owner is None:
            raise Error("the iterator is gone")
        rows = take.record
        data, label = owner._loaded(rows)
        return LoadedBatch(
            list(data.values()), list(label.values()), take.pad, rows.astype(np.uint64)
        )


def _by_name(values: Any, name: str) -> dict[str, Any]:
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
    return {each: _wrapped(each, value) for each, value in named.items()}


def _wrapped(name: str, value: Any) -> Any:
    if is_csr(value):
        from gpuio.nd import sparse

        return sparse.wrap(value)
    return nd.wrap(as_array(name, value, "load"))


def _describe(named: dict[str, Any]) -> list[DataDesc]:
    return [
        DataDesc(name, tuple(array.shape), np.dtype(array.dtype).type)
        for name, array in named.items()
    ]
