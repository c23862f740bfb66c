"""Batches for other libraries' training loops: what `gpuio.torch` and `gpuio.jax` share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gpuio.context import device_of
from gpuio.errors import ArgumentError
from gpuio.io import DataBatch, DataIter
from gpuio.io.combined import described
from gpuio.iterators.arguments import as_bool

Context = contextlib.AbstractContextManager[Any]


class _DataAndLabel(NamedTuple):
    data: Any
    label: Any


class Batch(_DataAndLabel):
    """One batch in another library's arrays; ``data, label = batch``.

    Attributes
    ----------
    data : the array; a dict of arrays by name where the iterator has several
    label : the same; None where there are no labels
    pad : rows at the end that are there only to fill the batch
    index : uint64 (N,), a NumPy array, the rows' keys; None where the iterator has none
    bucket_key : which bucket the batch comes from, for iterators with buckets
    """

    pad: int
    index: Any
    bucket_key: Any


class TensorLoader:
    """An iterator as a loop over another library's arrays; see `gpuio.torch.loader`.

    Each ``for`` loop is an epoch: it goes on where the iterator is the first time, and begins the
    next epoch after that.

    Parameters
    ----------
    iterator : any DataIter
    convert : one of its arrays as the library's own
    drop_pad : leave out the rows that only fill a batch
    on_stream : where on a GPU (its number) the library works, as a context for CuPy's calls
    """

    def __init__(
        self,
        iterator: DataIter,
        convert: Callable[[Any], Any],
        drop_pad: bool,
        on_stream: Callable[[int], Context] | None = None,
    ) -> None:
        if not hasattr(iterator, "__next__"):
            raise TypeError(f"loader takes an iterator, not {type(iterator).__name__}")
        self.iterator = iterator
        self._convert = convert
        self._drop_pad = as_bool("drop_pad", drop_pad)
        self._on_stream = on_stream
        self._begun = False
        self._gpu: int | None = None
        self._names: tuple[list[str], list[str]] | None = None

    def __iter__(self) -> Iterator[Batch]:
        if self._begun or getattr(self.iterator, "ended", False):
            self.iterator.reset()
        self._begun = True
        while (batch := self._next()) is not None:
            yield self._handed_over(batch)

    def __len__(self) -> int:
        """Batches in the current epoch.

        Raises
        ------
        TypeError : the iterator does not know.
        """
        return len(self.iterator)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """Where the iterator is."""
        return self.iterator.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where an iterator was; the next loop goes on from there."""
        self.iterator.load_state_dict(state)
        self._begun = False

    def _next(self) -> DataBatch | None:
        # The iterator orders its work against CuPy's current stream, so that must be the library's.
        on_stream = self._on_stream if self._gpu is not None else None
        with on_stream(self._gpu) if on_stream else contextlib.nullcontext():  # type: ignore[arg-type]
            return next(self.iterator, None)

    def _handed_over(self, batch: DataBatch) -> Batch:
        if self._names is None:
            self._names = (
                [desc.name for desc in described(self.iterator.provide_data)],
                [desc.name for desc in described(self.iterator.provide_label)],
            )
        pad = batch.pad or 0
        converted = []
        for arrays, names in zip((batch.data, batch.label), self._names, strict=True):
            if len(arrays or ()) != len(names):
                raise ArgumentError(
                    f"the iterator gave {len(arrays or ())} arrays, and describes "
                    f"{', '.join(names) or 'none'}"
                )
            for array in arrays or ():
                home = device_of(array)
                self._gpu = home.device_id if home.device_type == "gpu" else self._gpu
            converted.append([self._convert(self._trimmed(array, pad)) for array in arrays or ()])
        made = Batch(*(_named(*pair) for pair in zip(converted, self._names, strict=True)))
        made.pad = 0 if self._drop_pad else pad
        index = batch.index
        made.index = index if index is None or not self._drop_pad else index[: len(index) - pad]
        made.bucket_key = batch.bucket_key
        return made

    def _trimmed(self, array: Any, pad: int) -> Any:
        return array[: array.shape[0] - pad] if self._drop_pad and pad else array


def _named(arrays: list[Any], names: list[str]) -> Any:
    if not arrays:
        return None
    return arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=True))


def exportable(array: Any) -> Any:
    """An array whose memory DLPack's consumers can take: itself, or else a copy.

    Some libraries abort on strides that run backwards, which DLPack does not forbid.
    """
    if any(stride < 0 for stride in array.strides):
        return array.copy()
    return array
