"""MXNet's DataIter, with closing and exact resume: the base class of all iterators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.loading.stream import State

if TYPE_CHECKING:
    from typing_extensions import Self


class DataIter:
    """Base class of all iterators, also of your own.

    A subclass defines `next` (or ``__next__``), or `iter_next` with `getdata`, `getlabel`, `getpad`
    and `getindex`; and `provide_data`, `provide_label` (DataDesc, or pairs of name and shape) and
    `reset`. It can then be used wherever an iterator is accepted. Iterating does not reset: call
    `reset` between epochs. If the rows can be indexed, `IndexedIter` takes less and offers more.

    Parameters
    ----------
    batch_size : rows of a batch
    """

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DataBatch:
        return self.next()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def provide_data(self) -> list[DataDesc]:
        """Descriptions of a batch's data."""
        raise NotImplementedError(f"{type(self).__name__} has no provide_data")

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of a batch's labels."""
        raise NotImplementedError(f"{type(self).__name__} has no provide_label")

    def next(self) -> DataBatch:
        """The next batch.

        A subclass may define ``__next__`` instead, as Python's own iterators do.

        Raises
        ------
        StopIteration : the epoch has ended; `reset` begins the next.
        """
        if type(self).__next__ is not DataIter.__next__:
            return self.__next__()
        if self.iter_next():
            return DataBatch(
                data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex()
            )
        raise StopIteration

    def reset(self) -> None:
        """Begin the next epoch."""

    def iter_next(self) -> bool:
        """Move to the next batch; False at the end of the epoch."""
        raise NotImplementedError(f"{type(self).__name__} has neither next nor iter_next")

    def getdata(self) -> Any:
        """The current batch's data, a list of arrays."""

    def getlabel(self) -> Any:
        """The current batch's labels, a list of arrays."""

    def getpad(self) -> int | None:
        """Number of rows at the end of the current batch that only fill it."""

    def getindex(self) -> Any:
        """The current batch's record keys."""

    def close(self) -> None:
        """Release files, threads and memory. May be called twice; nothing else may be called after
        it.
        """

    def state_dict(self) -> State:
        """The current position, as a small dict that JSON can hold."""
        raise NotImplementedError(f"{type(self).__name__} cannot save its state")

    def load_state_dict(self, state: State) -> None:
        """Restore the position of an iterator when it gave `state`.

        Raises
        ------
        StateError : the state is of other data or another configuration.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot load a state")
