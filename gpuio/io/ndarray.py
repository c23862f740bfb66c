"""NDArrayIter: batches of arrays in memory or on disk."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio.context import Context, as_context, cpu, gpu_memory_info, on_device, require
from gpuio.errors import ArgumentError
from gpuio.io.array_sources import (
    AUTO,
    Source,
    StoredSource,
    current_arrays,
    fingerprint,
    gather,
    named_sources,
)
from gpuio.io.rows_iter import OrderedRowsIter, seed_or_draw
from gpuio.iterators.arguments import (
    LAST_BATCH_HANDLES,
    as_batch_size,
    as_bool,
    as_choice,
    as_int,
    check_call,
)
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stream_iter import RESET_MEANWHILE
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.stream import drop_carried
from gpuio.nd.types import Values
from gpuio.sampling.order import Order
from gpuio.sampling.permutation import permute

# The fraction of a GPU's free memory that the data may use by default.
MEMORY_FRACTION = 0.5


class NDArrayIter(OrderedRowsIter):
    """Batches of rows of arrays.

    Batches belong to the caller: writing into one changes neither the arrays nor another batch.

    Parameters
    ----------
    data : an array; a list of arrays, which are named ``_0_data``, ``_1_data``, …; or a dict of
        arrays by name, which are sorted by name. Arrays of NumPy or CuPy, NDArrays, sparse matrices
        of SciPy or CuPy (their batches are CSR), h5py datasets and memory maps (which stay on
        disk: each batch is read on demand), and arrays of libraries with DLPack, such as torch
        tensors. Arrays that had to be converted are not kept; of the others nothing is copied, so
        that changing them changes the batches that follow
    label : the same; None or an empty list: no labels
    batch_size : rows in a batch
    shuffle : a new order of all rows each epoch
    last_batch_handle : what happens to an epoch's last, incomplete batch. "pad": it is filled with
        the epoch's first rows, and `pad` counts them; "discard": it is dropped; "roll_over": it
        becomes the beginning of the next epoch's first batch, whose `pad` counts these rows, as in
        MXNet, although they are valid (`DataBatch.padding` does not)
    data_name, label_name : the names of single arrays, and the suffixes of those of lists
    layout : the axes of the data; "N" marks the axis of the rows. Arrays with fewer axes have it
        first
    ctx : the device; None: the GPU of the first array that is on one, else the current context
    dtype : "auto": float32 for everything but NDArrays and CSRNDArrays, which keep theirs, as in
        MXNet; None: each array keeps its own; else the dtype of all
    seed : determines the order; None: drawn from NumPy's global generator, so that
        ``np.random.seed`` determines it as in MXNet. A saved state contains its seed
    device_memory : bytes that the data may use on a GPU. Data that fit are copied there once, and
        batches are cut there; otherwise each batch is copied through pinned memory while the caller
        works on the one before. None: half of the free memory
    copy : False: the batches of an unshuffled iterator are views of its arrays, without a copy,
        for consumers that only read. On the CPU they are read-only; a GPU's arrays cannot be, so
        do not write into them. Batches that must be put together (shuffled or sparse rows, rows on
        disk, and the batch in which the rows begin again) are copies as always

    Attributes
    ----------
    data, label : list of (name, array), all rows in their given order, as they are batched from
    num_data : rows in an epoch
    idx : int64 (num_data,), the order of the current epoch: its k-th row is row ``idx[k]`` of the
        arrays
    shuffle, last_batch_handle, layout : as given

    Raises
    ------
    TypeError : data or label is not an array, list or dict of arrays.
    ArgumentError : the arrays have different numbers of rows, or a value is out of range.
    ContextError : the device is not available.

    Examples
    --------
    >>> train = NDArrayIter({"image": images, "length": lengths}, labels, 256, shuffle=True)
    >>> for batch in train:
    ...     image, length = batch.data
    """

    @check_call
    def __init__(
        self,
        data: Values,
        label: Values = None,
        batch_size: int = 1,
        shuffle: bool = False,
        last_batch_handle: str = "pad",
        data_name: str = "data",
        label_name: str = "softmax_label",
        layout: str | None = "NCHW",
        *,
        ctx: Context | str | None = None,
        dtype: DTypeLike | None = AUTO,
        seed: int | None = None,
        device_memory: int | None = None,
        copy: bool = True,
    ) -> None:
        super().__init__(as_batch_size(batch_size))
        self.shuffle = as_bool("shuffle", shuffle)
        self.last_batch_handle = as_choice(
            "last_batch_handle", last_batch_handle, LAST_BATCH_HANDLES
        )
        self.layout = layout
        if not isinstance(layout, str | None):
            raise ArgumentError(f"layout must be a string such as 'NCHW', or None, not {layout!r}")
        axis = DataDesc.get_batch_axis(layout)
        if axis < 0:
            raise ArgumentError(f"layout must have an 'N', the axis of the rows, not {layout!r}")
        if data is None or (isinstance(data, (list, dict)) and not data):
            raise ArgumentError("data is empty; NDArrayIter needs at least one array")
        no_label = label is None or (isinstance(label, (list, dict)) and not label)
        sources = named_sources(data, data_name, "data", dtype, axis)
        count = len(sources)
        if not no_label:
            sources += named_sources(label, label_name, "label", dtype, axis)
        self.num_data = _common_rows(sources)
        order = Order(
            self.num_data,
            self.batch_size,
            self.shuffle,
            seed_or_draw(seed, self.shuffle),
            self.last_batch_handle,
        )
        device = _device(ctx, sources)
        require(device)
        on_target, placed = _place(sources, device, device_memory)
        # MXNet's names of what the iterator holds.
        self.data = [(source.name, source.values) for source in placed[:count]]
        self.label = [(source.name, source.values) for source in placed[count:]]
        descriptions = [self._description(source) for source in sources]
        self._set_ordered_stream(
            order,
            # What is copied to another device need not be copied here.
            gather(placed[:count], placed[count:], as_bool("copy", copy) and on_target),
            device,
            descriptions[:count],
            descriptions[count:],
            fingerprint=fingerprint(sources),
            seed_was_drawn=self.shuffle and seed is None,
            on_device=on_target,
        )
        # A subclass's constructor may need what it was given.
        if type(self).__init__ is NDArrayIter.__init__:
            kept = [
                moved if on_target and not isinstance(source, StoredSource) else source
                for source, moved in zip(sources, placed, strict=True)
            ]
            self._replace_argument(data, current_arrays(data, kept[:count]))
            if not no_label:
                self._replace_argument(label, current_arrays(label, kept[count:]))

    @property
    def idx(self) -> NDArray[np.int64]:
        """int64 (num_data,), the order of the current epoch."""
        order = self._ordered.order
        rows = np.arange(order.size, dtype=np.int64)
        return permute(rows, order.size, order.seed, self.epoch) if order.shuffle else rows

    def hard_reset(self) -> None:
        """Begin the next epoch with its first row; rows that would have rolled over are dropped."""
        self._change(RESET_MEANWHILE, self._begin_with_first)

    def _begin_with_first(self) -> None:
        self._begin_epoch()
        drop_carried(self._stream, self._ordered.order)

    def _to_batch(self, loaded: LoadedBatch) -> DataBatch:
        batch = super()._to_batch(loaded)
        if loaded.carried:
            # As MXNet, count the rows that rolled over, although they are valid.
            return DataBatch(batch.data, batch.label, loaded.carried, padding=loaded.pad)
        return batch

    def _description(self, source: Source) -> DataDesc:
        shape = list(source.shape)
        shape[source.axis] = self.batch_size
        return DataDesc(source.name, tuple(shape), source.dtype.type, self.layout)


def _common_rows(sources: list[Source]) -> int:
    """The number of rows, which all sources must share."""
    counts = {source.name: source.shape[source.axis] for source in sources}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise ArgumentError(f"the arrays must have the same number of rows, but there are {listed}")
    (count,) = set(counts.values())
    if not count:
        raise ArgumentError("the arrays have no rows")
    return count


def _device(ctx: Context | str | None, sources: list[Source]) -> Context:
    """The device of the batches."""
    if ctx is None:
        for source in sources:
            if source.context.device_type == "gpu":
                return source.context
    return as_context(ctx)


def _place(sources: list[Source], ctx: Context, limit: int | None) -> tuple[bool, list[Source]]:
    """Whether batches are cut on `ctx`, and the sources from which they are cut."""
    if limit is not None:
        limit = as_int("device_memory", limit, 0)
    if ctx.device_type == "gpu":
        missing = sum(source.nbytes for source in sources if source.context != ctx)
        if missing <= (limit if limit is not None else MEMORY_FRACTION * _free_memory(ctx)):
            return True, [source.to(ctx) for source in sources]
    # Batches of data that do not fit on the GPU are cut on the host.
    return ctx.device_type == "cpu", [
        source.to(cpu()) if source.context.device_type == "gpu" else source for source in sources
    ]


def _free_memory(ctx: Context) -> int:
    """Bytes that are available on a GPU, CuPy's pool included."""
    import cupy

    with on_device(ctx):
        free, _ = gpu_memory_info(ctx.device_id)
        return free + int(cupy.get_default_memory_pool().free_bytes())
