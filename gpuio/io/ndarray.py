"""NDArrayIter: batches of arrays that are in memory, or nearly so."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio.context import Context, as_context, cpu, require
from gpuio.errors import ArgumentError
from gpuio.io.array_sources import AUTO, Gather, Source, fingerprint, named_sources
from gpuio.io.rows_iter import OrderedRowsIter, seed_or_draw
from gpuio.iterators.arguments import LAST_BATCH_HANDLES, as_bool, as_choice, as_int
from gpuio.iterators.desc import DataDesc
from gpuio.sampling.order import Order, permute

# The share of a GPU's free memory that data takes up at most, unless the caller says otherwise.
SHARE = 0.5


class NDArrayIter(OrderedRowsIter):
    """Batches of rows of arrays.

    On the CPU an unshuffled batch is a view of the arrays, not a copy: what is written into it is
    written into them. All other batches are the caller's own.

    Parameters
    ----------
    data : an array; a list of arrays (their names are ``_0_data``, ``_1_data``, …); or a dict of
        arrays by name (in the order of the names). Arrays may be NumPy's, NDArrays, CuPy's, SciPy's
        or CuPy's sparse ones (their batches are CSR), h5py data sets and memory maps (which stay on
        disk: each batch is read when it is wanted), and those of others that offer DLPack, such as
        torch tensors
    label : the same; None or an empty list: no labels
    batch_size : rows in a batch
    shuffle : a new order of all rows each epoch
    last_batch_handle : what becomes of an epoch's last, incomplete batch. "pad": it is filled with
        the epoch's first rows, and `pad` counts them; "discard": it is left out; "roll_over": it
        becomes the beginning of the next epoch's first batch
    data_name, label_name : the names of single arrays, and the ends of those of lists
    layout : the axes of the data; "N" marks the one that counts rows. Arrays with fewer axes have
        it in front
    ctx : the device; None: the GPU on which the first array lives that lives on one, else the
        current context
    dtype : "auto": float32 for everything but NDArrays, which keep theirs, as in MXNet; None: each
        array keeps its own; or the one that all get
    seed : decides the order; None: drawn from NumPy's global generator, so that ``np.random.seed``
        decides it as in MXNet. A saved state brings its seed along
    device_memory : on a GPU, bytes that the data may take up. Up to there it is copied once, and
        batches are cut out there; beyond, each batch is copied through pinned memory while the
        caller works on the one before. None: half of the memory that is free

    Attributes
    ----------
    num_data : rows in an epoch
    idx : int64 (num_data,), the order of the current epoch: its k-th row is row ``idx[k]`` of the
        arrays
    shuffle, last_batch_handle, layout : as given

    Raises
    ------
    TypeError : data or label is nothing to make batches of.
    ArgumentError : the arrays have different numbers of rows, or a value is out of range.
    ContextError : the device is not there.

    Examples
    --------
    >>> train = NDArrayIter({"image": images, "length": lengths}, labels, 256, shuffle=True)
    >>> for batch in train:
    ...     image, length = batch.data
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
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
    ) -> None:
        super().__init__(as_int("batch_size", batch_size, 1))
        self.shuffle = as_bool("shuffle", shuffle)
        self.last_batch_handle = as_choice(
            "last_batch_handle", last_batch_handle, LAST_BATCH_HANDLES
        )
        self.layout = layout
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
        home = _home(ctx, sources)
        require(home)
        there, placed = _placed(sources, home, device_memory)
        described = [self._description(source) for source in sources]
        self._draw_in_order(
            order,
            Gather(placed[:count], placed[count:]),
            home,
            described[:count],
            described[count:],
            fingerprint=fingerprint(sources),
            seed_was_drawn=self.shuffle and seed is None,
            there=there,
        )

    @property
    def idx(self) -> NDArray[np.int64]:
        """int64 (num_data,), the order of the current epoch."""
        order = self._ordered.order
        rows = np.arange(order.size, dtype=np.int64)
        return permute(rows, order.size, order.seed, self.epoch) if order.shuffle else rows

    def hard_reset(self) -> None:
        """Begin the next epoch with its first row; rows that would have rolled over are dropped."""
        self.reset()
        state = self._stream.state()
        rows_over = state["position"] % self.num_data
        if rows_over:
            begin = self._ordered.order.restart(state["position"])
            self._stream.restore({"position": begin, "start": begin, "ended": False})

    def _description(self, source: Source) -> DataDesc:
        shape = list(source.shape)
        shape[source.axis] = self.batch_size
        return DataDesc(source.name, tuple(shape), source.dtype.type, self.layout)


def _common_rows(sources: list[Source]) -> int:
    """How many rows all sources have."""
    counts = {source.name: source.shape[source.axis] for source in sources}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise ArgumentError(f"the arrays must have the same number of rows, but there are {listed}")
    (count,) = set(counts.values())
    if not count:
        raise ArgumentError("the arrays have no rows")
    return count


def _home(ctx: Context | str | None, sources: list[Source]) -> Context:
    """Where the batches should be."""
    if ctx is None:
        for source in sources:
            if source.context.device_type == "gpu":
                return source.context
    return as_context(ctx)


def _placed(sources: list[Source], home: Context, limit: int | None) -> tuple[bool, list[Source]]:
    """The sources where batches are to be made from them, and whether that is `home`."""
    if limit is not None:
        limit = as_int("device_memory", limit, 0)
    if home.device_type == "gpu":
        missing = sum(source.nbytes for source in sources if source.context != home)
        if missing <= (limit if limit is not None else SHARE * _free_memory(home)):
            return True, [source.to(home) for source in sources]
    there = home.device_type == "cpu"
    # What cannot all be on the GPU is cut into batches on the host.
    return there, [
        source.to(cpu()) if source.context.device_type == "gpu" else source for source in sources
    ]


def _free_memory(ctx: Context) -> int:
    """Bytes that can still be had on a GPU."""
    import cupy

    with cupy.cuda.Device(ctx.device_id):
        free, _ = cupy.cuda.runtime.memGetInfo()
        return int(free) + int(cupy.get_default_memory_pool().free_bytes())
