"""The protocol that all iterators keep: MXNet's DataIter, with length, closing and exact resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuio.iterators.desc import DataBatch, DataDesc

if TYPE_CHECKING:
    from typing_extensions import Self


class DataIter:
    """Base of the iterators, and of those that people write themselves.

    A subclass gives `next` (or ``__next__``), or `iter_next` with `getdata`, `getlabel`, `getpad`
    and `getindex`; and `provide_data`, `provide_label` (DataDesc, or pairs of name and shape) and
    `reset`. With that it can be used wherever an iterator is taken. Iterating does not reset: call
    `reset` between epochs. Where the rows can be numbered, `IndexedIter` does more with less.

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
        """Descriptions of the data that a batch holds."""
        raise NotImplementedError(f"{type(self).__name__} has no provide_data")

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of the labels that a batch holds."""
        raise NotImplementedError(f"{type(self).__name__} has no provide_label")

    def next(self) -> DataBatch:
        """The next batch.

        A subclass may give ``__next__`` instead, as Python's own iterators do.

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
        """Move to the next batch; False where the epoch has ended."""
        raise NotImplementedError(f"{type(self).__name__} has neither next nor iter_next")

    def getdata(self) -> Any:
        """The current batch's data: a list of arrays."""

    def getlabel(self) -> Any:
        """The current batch's labels: a list of arrays."""

    def getpad(self) -> int | None:
        """The current batch's number of rows that only fill it."""

    def getindex(self) -> Any:
        """The current batch's record keys."""

    def close(self) -> None:
        """Let go of files, threads and memory. May be called twice; nothing else may be called
        after it.
        """

    def state_dict(self) -> dict[str, Any]:
        """Where the iterator is, as a small dict that JSON can hold."""
        raise NotImplementedError(f"{type(self).__name__} cannot save its state")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where an iterator was when it gave `state`.

        Raises
        ------
        StateError : the state comes from other data or another configuration.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot load a state")
