"""Batches for other libraries' training loops: what `gpuio.torch` and `gpuio.jax` share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from gpuio.context import Context, device_of
from gpuio.errors import ArgumentError
from gpuio.io import DataBatch, DataIter
from gpuio.io.array_sources import is_csr
from gpuio.io.wrapped import as_descriptions
from gpuio.iterators.arguments import as_bool, as_int
from gpuio.iterators.desc import as_batch
from gpuio.iterators.epochs import go_to_epoch, rows_in_epoch
from gpuio.iterators.stream_iter import StreamIter, device_of_batches
from gpuio.loading.hand_over import change_arrays, hand_over_arrays
from gpuio.loading.stream import State
from gpuio.nd.types import Array, HostArray, Untyped

# Another library's array: a torch.Tensor, a jax.Array.
Tensor: TypeAlias = Untyped

# An array of an iterator's batch: an NDArray or CSRNDArray, or what a user's iterator has.
BatchArray: TypeAlias = Untyped


class _DataAndLabel(NamedTuple):
    data: Tensor | dict[str, Tensor] | None
    label: Tensor | dict[str, Tensor] | None


class Batch(_DataAndLabel):
    """One batch in another library's arrays; ``data, label = batch``.

    Attributes
    ----------
    data : the array; a dict of arrays by name if the iterator has several
    label : the same; None if there are no labels
    pad : number of rows at the end that only fill the batch
    index : uint64 (N,), a NumPy array, the rows' keys; None if the iterator has none
    bucket_key : the bucket of the batch, for iterators with buckets
    """

    pad: int
    index: HostArray | None  # type: ignore[assignment]  # hides tuple.index
    bucket_key: Hashable | None


@dataclass(frozen=True)
class Rows:
    """The rows that a loader's epochs are over, for code that asks for ``len(loader.dataset)``.

    Attributes
    ----------
    iterator : the loader's iterator
    """

    iterator: DataIter

    def __len__(self) -> int:
        """The number of rows in an epoch: with ``num_parts="auto"`` those of all ranks, otherwise
        those of the iterator's part.

        Raises
        ------
        TypeError : the iterator does not know it.
        """
        return rows_in_epoch(self.iterator)


@dataclass(frozen=True)
class BatchSampler:
    """What stands in the place of PyTorch's BatchSampler.

    Attributes
    ----------
    sampler : the loader, whose `set_epoch` is looked for there
    batch_size : rows of a batch
    """

    sampler: TensorLoader
    batch_size: int


class TensorLoader:
    """Loop over an iterator in another library's arrays; see `gpuio.torch.loader`.

    Each ``for`` loop is an epoch: the first continues where the iterator is, each later one begins
    the next epoch. Several threads may share what ``iter(loader)`` returns: each batch goes to one
    of them, in order.

    It can be pickled if the iterator can, and so sent to a process that is spawned; the first loop
    of the copy continues where the iterator was.

    Parameters
    ----------
    iterator : any DataIter
    convert : converts one of its arrays to the library's; a function of a module
    drop_pad : drop the rows that only fill a batch
    drawing : given the number of the batches' GPU, a context manager in which the next batch is
        drawn; a function of a module
    batch_type : the class of the batches

    Attributes
    ----------
    iterator : the iterator
    dataset : what an epoch is over; it has a length only
    """

    def __init__(
        self,
        iterator: DataIter,
        convert: Callable[[BatchArray], Tensor],
        drop_pad: bool,
        drawing: Callable[[int], AbstractContextManager[object]] | None = None,
        batch_type: type[Batch] = Batch,
    ) -> None:
        if not hasattr(iterator, "__next__"):
            raise TypeError(f"loader takes an iterator, not {type(iterator).__name__}")
        self.iterator = iterator
        self.dataset = Rows(iterator)
        self._convert = convert
        self._batch_type = batch_type
        self._drop_pad = as_bool("drop_pad", drop_pad)
        self._drawing = drawing
        self._begun = False  # whether the next loop begins the next epoch
        self._epoch_is_set = False  # whether it continues in the current one, also at its end
        self._gpu = _gpu_of(device_of_batches(iterator))
        self._names: tuple[list[str], list[str]] | None = None
        self._make_locks()

    def __repr__(self) -> str:
        options = ", drop_pad=True" if self._drop_pad else ""
        return f"<{self._convert.__module__}.loader over {self.iterator!r}{options}>"

    def __getstate__(self) -> dict[str, object]:
        locks = ("_lock", "_draw_lock")
        kept = {name: value for name, value in vars(self).items() if name not in locks}
        return {**kept, "_begun": False}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._make_locks()

    def _make_locks(self) -> None:
        self._lock = threading.RLock()
        # gpuio's own iterators let one thread at a time draw.
        own = isinstance(self.iterator, StreamIter)
        self._draw_lock: AbstractContextManager[object] = nullcontext() if own else self._lock

    def __iter__(self) -> Iterator[Batch]:
        return _Epoch(self)

    def __len__(self) -> int:
        """Batches in the current epoch.

        Raises
        ------
        TypeError : the iterator has no length.
        """
        return len(self.iterator)  # type: ignore[arg-type]

    @property
    def batch_size(self) -> int:
        """Rows of a batch."""
        size: int = getattr(self.iterator, "batch_size", 0)
        return size or as_descriptions(self.iterator.provide_data)[0].shape[0]

    @property
    def batch_sampler(self) -> BatchSampler:
        """Where Lightning finds `set_epoch`, which it calls for each epoch."""
        return BatchSampler(self, self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next loop is, as loops over PyTorch's DistributedSampler do.

        Without it each loop is the epoch after the one before. After `load_state_dict`, the epoch
        of the state continues there, and has no batch left if the state was saved at its end; any
        other epoch begins with its first batch. Iterators over text files and those over other
        iterators know only their next epoch, and go on with that. An iterator of your own is given
        the number if it has a `set_epoch`.

        Parameters
        ----------
        epoch : its number, from 0

        Raises
        ------
        ArgumentError : there is no such epoch.
        """
        epoch = as_int("epoch", epoch, 0)
        with self._lock:
            own = getattr(self.iterator, "set_epoch", None)
            if own is not None:
                own(epoch)
            if own is not None or not isinstance(self.iterator, StreamIter):
                return
            current = self.iterator.epoch
            if epoch == current and not self._begun:
                self._epoch_is_set = True
            elif epoch == current + 1 and (self._begun or self.iterator.ended):
                self._epoch_is_set = False  # the next loop begins it, where this one has ended
            elif go_to_epoch(self.iterator, epoch):
                self._begun = self._epoch_is_set = False

    def state_dict(self) -> State:
        """Save the iterator's position."""
        return self.iterator.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Restore a saved position; the next loop continues there."""
        self.iterator.load_state_dict(state)
        self._begun = self._epoch_is_set = False

    def next_of(self, epoch: _Epoch) -> Batch | None:
        """The next batch of an epoch, which begins with the first; None at its end."""
        if not epoch.begun:
            with self._lock:
                if not epoch.begun and self._next_loop_resets():
                    self.iterator.reset()
                self._begun, self._epoch_is_set, epoch.begun = True, False, True
        with self._draw_lock:
            batch = self._next()
        return None if batch is None else self._convert_batch(batch)

    def _next_loop_resets(self) -> bool:
        ended = getattr(self.iterator, "ended", False)
        return self._begun or (ended and not self._epoch_is_set)

    def _next(self) -> DataBatch | None:
        drawing: AbstractContextManager[object] = nullcontext()
        if self._drawing is not None and self._gpu is not None:
            drawing = self._drawing(self._gpu)
        with drawing:
            batch = next(self.iterator, None)
            if batch is None:
                return None
            # A user's own iterator may have made it, on this stream.
            return change_arrays(as_batch(batch), hand_over_arrays)  # type: ignore[no-any-return]

    def _convert_batch(self, batch: DataBatch) -> Batch:
        if self._names is None:
            self._names = (
                [desc.name for desc in as_descriptions(self.iterator.provide_data)],
                [desc.name for desc in as_descriptions(self.iterator.provide_label)],
            )
        pad = batch.padding
        converted = []
        for arrays, names in zip((batch.data, batch.label), self._names, strict=True):
            if len(arrays or ()) != len(names):
                raise ArgumentError(
                    f"the iterator gave {len(arrays or ())} arrays, but describes "
                    f"{', '.join(names) or 'none'}"
                )
            given = [*map(_as_array, arrays or ())]
            for array in given:
                gpu = _gpu_of(device_of(array))
                self._gpu = self._gpu if gpu is None else gpu
            converted.append([self._convert(self._trim(array, pad)) for array in given])
        result = self._batch_type(
            *(_named(*pair) for pair in zip(converted, self._names, strict=True))
        )
        result.pad = 0 if self._drop_pad else pad
        index = batch.index
        result.index = index if index is None or not self._drop_pad else index[: len(index) - pad]
        result.bucket_key = batch.bucket_key
        return result

    def _trim(self, array: BatchArray, pad: int) -> BatchArray:
        return array[: array.shape[0] - pad] if self._drop_pad and pad else array


class _Epoch:
    """A loop over a loader's batches. Not a generator: that would end when a signal handler raises
    in it, and fail where a second thread enters it.
    """

    def __init__(self, loader: TensorLoader) -> None:
        self._loader = loader
        self.begun = self._ended = False

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = None if self._ended else self._loader.next_of(self)
        if batch is None:
            self._ended = True
            raise StopIteration
        return batch


def _gpu_of(ctx: Context | None) -> int | None:
    return None if ctx is None or ctx.device_type != "gpu" else ctx.device_id


def _named(arrays: list[Tensor], names: list[str]) -> Tensor | dict[str, Tensor] | None:
    if not arrays:
        return None
    return arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=True))


def _as_array(array: BatchArray) -> BatchArray:
    """An array of a batch, in this machine's byte order: other libraries have no other.

    Raises
    ------
    ArgumentError : it is not an array.
    """
    if not is_csr(array) and (isinstance(array, np.generic) or not hasattr(array, "strides")):
        raise ArgumentError(
            f"the iterator gave {type(array).__name__} in place of an array; it must give NDArrays "
            "of gpuio, or NumPy's or CuPy's arrays"
        )
    swapped = isinstance(array, np.ndarray) and not array.dtype.isnative
    return array.astype(array.dtype.newbyteorder("=")) if swapped else array


def exportable(array: Array) -> Array:
    """The array, or a copy if some library cannot share its memory by DLPack.

    DLPack allows negative strides, but some libraries abort on them. Memory that is read-only would
    become writable: PyTorch has no read-only tensors.
    """
    read_only = isinstance(array, np.ndarray) and not array.flags.writeable
    if read_only or any(stride < 0 for stride in array.strides):
        return copied(array)
    return array


def copied(array: Array) -> Array:
    """A copy that another library may use, on streams of its own."""
    (copy,) = hand_over_arrays([array.copy()])
    return copy  # type: ignore[no-any-return]
