"""Iterators made of iterators: PrefetchingIter and ResizeIter.

They take every DataIter, also those that people write themselves with nothing but `next` (or
``__next__``) and `reset`; only saving a state needs one that can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gpuio.context import device_of
from gpuio.errors import ArgumentError, Error
from gpuio.iterators.arguments import as_bool, as_int
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stream_iter import StreamIter
from gpuio.loading.in_flight import InFlightBatches
from gpuio.loading.prefetch import Prefetcher
from gpuio.loading.stream import CLOSED

Renames = Sequence[dict[str, str]] | None


class PrefetchingIter(StreamIter[DataBatch]):
    """Runs iterators in threads, ahead of the caller, and joins their batches.

    A batch has the data and labels of all of them, one after another, and `pad` and `index` of the
    first. What an iterator raises is raised here, at the batch where it happened.

    Parameters
    ----------
    iters : an iterator, or several whose epochs have the same number of batches. They belong to
        this one from now on: it resets and closes them
    rename_data, rename_label : one dict for each iterator, from its names to those here
    prefetch_buffer : batches that each iterator makes ahead, at least 1

    Attributes
    ----------
    provide_data, provide_label : those of all iterators, one after another
    iters : the iterators

    Raises
    ------
    ArgumentError : there is no iterator, or not one dict for each.
    KeyError : a name is missing in a dict.

    Examples
    --------
    >>> pairs = PrefetchingIter(
    ...     [images, captions], rename_data=[{"data": "image"}, {"data": "caption"}]
    ... )
    """

    def __init__(
        self,
        iters: DataIter | Sequence[DataIter],
        rename_data: Renames = None,
        rename_label: Renames = None,
        *,
        prefetch_buffer: int = 1,
    ) -> None:
        self.iters: list[DataIter] = [*iters] if isinstance(iters, Sequence) else [iters]
        if not self.iters:
            raise ArgumentError("PrefetchingIter needs at least one iterator")
        for one in self.iters:
            if not hasattr(one, "__next__"):
                raise TypeError(f"PrefetchingIter takes iterators, not {type(one).__name__}")
        data = _renamed("rename_data", rename_data, [one.provide_data for one in self.iters])
        label = _renamed("rename_label", rename_label, [one.provide_label for one in self.iters])
        super().__init__(data[0].shape[0])
        depth = as_int("prefetch_buffer", prefetch_buffer, 1)
        self._draw_from(_SideBySide(self.iters, depth), data, label)
        self._keeper: InFlightBatches | None = None

    def _batch_of(self, drawn: DataBatch) -> DataBatch:
        drawn.provide_data, drawn.provide_label = self.provide_data, self.provide_label
        for array in (*drawn.data, *drawn.label):
            home = device_of(array)
            if home.device_type == "gpu":
                self._keeper = self._keeper or InFlightBatches(home)
                self._keeper.retain(drawn)
                break
        return drawn

    def _identity(self) -> dict[str, Any]:
        return {}


class ResizeIter(StreamIter[DataBatch]):
    """Epochs of another length: exactly `size` batches, however many the iterator has.

    Where the iterator's own epoch ends, it is reset and goes on.

    Parameters
    ----------
    data_iter : the iterator; it belongs to this one from now on
    size : batches in an epoch
    reset_internal : `reset` resets the iterator too; if False, it goes on where it is

    Raises
    ------
    ArgumentError : size is below 1.
    """

    def __init__(self, data_iter: DataIter, size: int, reset_internal: bool = True) -> None:
        self.data_iter = data_iter
        self.size = as_int("size", size, 1)
        self.reset_internal = as_bool("reset_internal", reset_internal)
        data = described(data_iter.provide_data)
        super().__init__(getattr(data_iter, "batch_size", 0) or data[0].shape[0])
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key
        self._draw_from(
            _Resized(data_iter, self.size, self.reset_internal),
            data,
            described(data_iter.provide_label),
        )

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.size

    def _batch_of(self, drawn: DataBatch) -> DataBatch:
        return drawn

    def _identity(self) -> dict[str, Any]:
        return {"size": self.size}


def described(descriptions: Iterable[Any] | None) -> list[DataDesc]:
    """An iterator's descriptions, which people's own iterators give as plain pairs."""
    return [each if isinstance(each, DataDesc) else DataDesc(*each) for each in descriptions or ()]


def _renamed(argument: str, renames: Renames, of_iterators: list[Iterable[Any]]) -> list[DataDesc]:
    if renames is not None and len(renames) != len(of_iterators):
        raise ArgumentError(
            f"{argument} needs a dict for each of {len(of_iterators)} iterators, not {len(renames)}"
        )
    found = []
    for number, descriptions in enumerate(of_iterators):
        for desc in described(descriptions):
            name = desc.name
            if renames is not None:
                if name not in renames[number]:
                    raise KeyError(
                        f"{argument}: iterator {number} has {name!r}, which is not named"
                    )
                name = renames[number][name]
            found.append(DataDesc(name, desc.shape, desc.dtype, desc.layout))
    return found


def _state_of(iterator: DataIter) -> dict[str, Any] | None:
    """Where an iterator is; None where it cannot tell."""
    try:
        return iterator.state_dict()
    except (AttributeError, NotImplementedError):
        return None


class _Made(NamedTuple):
    batch: DataBatch
    state: dict[str, Any] | None


class _Draw:
    """Draws batches from one iterator, in a thread, which must not keep anything else alive."""

    def __init__(self, iterator: DataIter) -> None:
        self._iterator = iterator

    def __call__(self) -> _Made | None:
        batch = next(self._iterator, None)
        if batch is None:
            return None
        for array in (*(batch.data or ()), *(batch.label or ())):
            if device_of(array).device_type == "gpu":
                # The caller's stream knows nothing of this thread's.
                array.wait_to_read()
                break
        return _Made(batch, _state_of(self._iterator))


class _SideBySide:
    """The stream of several iterators' joined batches."""

    def __init__(self, iterators: list[DataIter], depth: int) -> None:
        self.epoch = 0
        self.ended = False
        self._iterators = iterators
        self._depth = depth
        self._states = [_state_of(iterator) for iterator in iterators]
        self._ahead: list[Prefetcher[_Made]] = []
        self._handed = 0
        self._failure: BaseException | None = None
        self._closed = False

    def next(self) -> DataBatch | None:
        """The next batch of all iterators together."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        if self._failure is not None:
            raise Error(
                "a batch of this epoch has failed, and an iterator cannot be taken back; "
                "reset() begins the next epoch"
            ) from self._failure
        if not self._ahead:
            self._ahead = [
                Prefetcher(_Draw(one), self._depth, "gpuio-prefetch") for one in self._iterators
            ]
        try:
            made = [one.next() for one in self._ahead]
        except BaseException as error:
            if not (self._closed or self._go_back()):
                self._failure = error
            raise
        there = [each for each in made if each is not None]
        if not there:
            # Some know only now that they have ended.
            self._states = [_state_of(iterator) for iterator in self._iterators]
            self.ended = True
            return None
        if len(there) < len(made):
            self._failure = self._mismatch(made)
            raise self._failure
        self._states = [each.state for each in there]
        self._handed += 1
        first = there[0].batch
        return DataBatch(
            [array for each in there for array in each.batch.data or ()],
            [array for each in there for array in each.batch.label or ()],
            first.pad,
            first.index,
            bucket_key=first.bucket_key,
        )

    def reset(self) -> None:
        """Begin the next epoch, in all iterators."""
        if self._handed or self.ended or self._failure is not None:
            if not self.ended:
                self._go_back()
            self._drop()
            for iterator in self._iterators:
                iterator.reset()
            self.epoch += 1
        self._note()

    def state(self) -> dict[str, Any]:
        """Where all iterators are, as the caller sees it."""
        for iterator, state in zip(self._iterators, self._states, strict=True):
            if state is None:
                raise NotImplementedError(f"{type(iterator).__name__} cannot save its state")
        return {
            "epoch": self.epoch,
            "handed": self._handed,
            "ended": self.ended,
            "iterators": self._states,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        epoch, handed, ended = int(state["epoch"]), int(state["handed"]), bool(state["ended"])
        self._drop()
        for iterator, its in zip(self._iterators, state["iterators"], strict=True):
            iterator.load_state_dict(its)
        self._note()
        self.epoch, self._handed, self.ended = epoch, handed, ended

    def close(self) -> None:
        """Stop the threads and close the iterators. May be called twice."""
        self._closed = True
        self._drop()
        for iterator in self._iterators:
            if hasattr(iterator, "close"):
                iterator.close()

    def _go_back(self) -> bool:
        """Take the iterators back to where the caller is; False where they cannot be."""
        self._drop()
        if any(state is None for state in self._states):
            return False
        for iterator, state in zip(self._iterators, self._states, strict=True):
            assert state is not None
            iterator.load_state_dict(state)
        return True

    def _drop(self) -> None:
        ahead, self._ahead = self._ahead, []
        for one in ahead:
            one.stop()

    def _note(self) -> None:
        self._states = [_state_of(iterator) for iterator in self._iterators]
        self._handed = 0
        self._failure = None
        self.ended = False

    def _mismatch(self, made: list[_Made | None]) -> Error:
        over = [
            f"{number} ({type(self._iterators[number]).__name__})"
            for number, each in enumerate(made)
            if each is None
        ]
        return Error(
            f"the iterators have epochs of different lengths: number {', '.join(over)} ended after "
            f"{self._handed} batches, and others have more"
        )


class _Resized:
    """The stream of an iterator's batches, cut into epochs of another length."""

    def __init__(self, inner: DataIter, size: int, reset_internal: bool) -> None:
        self.epoch = 0
        self._inner = inner
        self._size = size
        self._reset_internal = reset_internal
        self._handed = 0
        self._closed = False

    @property
    def ended(self) -> bool:
        """Whether all batches of the epoch have been handed out."""
        return self._handed == self._size

    def next(self) -> DataBatch | None:
        """The next batch; where the iterator ends it is reset."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        batch = next(self._inner, None)
        if batch is None:
            self._inner.reset()
            batch = next(self._inner, None)
        if batch is None:
            raise Error(f"{type(self._inner).__name__} gives no batch, even after reset()")
        self._handed += 1
        return batch

    def reset(self) -> None:
        """Begin the next epoch."""
        if self._handed:
            self.epoch += 1
        self._handed = 0
        if self._reset_internal:
            self._inner.reset()

    def state(self) -> dict[str, Any]:
        """Where the epoch is, and the iterator."""
        return {"epoch": self.epoch, "handed": self._handed, "inner": self._inner.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        epoch, handed = int(state["epoch"]), int(state["handed"])
        self._inner.load_state_dict(state["inner"])
        self.epoch, self._handed = epoch, handed

    def close(self) -> None:
        """Close the iterator. May be called twice."""
        self._closed = True
        if hasattr(self._inner, "close"):
            self._inner.close()
