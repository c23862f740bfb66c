"""MXNet's DataIter, with closing and exact resume: the base class of all iterators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.loading.stream import State

if TYPE_CHECKING:
    from typing_extensions import Self


class _Descriptions:
    """An attribute that subclasses assign, or define as a property of their own.

    It is looked up here only where an object has no such attribute, to say what is missing.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, iterator: None, owner: type) -> Self: ...

    @overload
    def __get__(self, iterator: object, owner: type) -> list[DataDesc]: ...

    def __get__(self, iterator: object | None, owner: type) -> Self | list[DataDesc]:
        if iterator is None:
            return self
        try:  # through super(), from a property of the same name
            found: list[DataDesc] = vars(iterator)[self._name]
        except KeyError:
            raise AttributeError(
                f"{type(iterator).__name__} has no {self._name}: assign it in __init__, or define "
                "it as a property; a list of DataDesc, or of pairs of name and shape"
            ) from None
        return found


class DataIter:
    """Base class of all iterators, including user-defined ones.

    A subclass defines `next` (or ``__next__``), or `iter_next` with `getdata`, `getlabel`, `getpad`
    and `getindex`; and `reset`. It assigns `provide_data` and `provide_label`, or defines them as
    properties. Calling this class's ``__init__`` is optional. It can then be used wherever an
    iterator is accepted. Iterating does not reset: call `reset` between epochs. If the rows can be
    indexed, `IndexedIter` takes less and offers more.

    Parameters
    ----------
    batch_size : rows of a batch

    Attributes
    ----------
    provide_data, provide_label : descriptions of a batch's data and labels, DataDesc or pairs of
        name and shape
    batch_size : rows of a batch; 0 if a subclass does not assign it
    """

    provide_data = _Descriptions()
    provide_label = _Descriptions()
    batch_size: int = 0

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> Self:
        return self

    def __repr__(self) -> str:
        # Also of an object whose construction has failed: a debugger or a traceback may show it.
        try:
            parts = self._summary()
        except AttributeError:
            parts = ["not constructed"]
        kind = type(self).__name__
        return f"<{kind}: {', '.join(parts)}>" if parts else f"<{kind}>"

    def _summary(self) -> list[str]:
        """What `repr` says, in parts; without reading files, and without calling what a subclass
        may define.
        """
        assigned = vars(self)
        arrays = [
            f"{each[0]} {each[1]}"
            for name in ("provide_data", "provide_label")
            if isinstance(assigned.get(name), (list, tuple))
            for each in assigned[name]
            if isinstance(each, tuple) and len(each) >= 2
        ]
        size = [f"batch_size={assigned['batch_size']}"] if "batch_size" in assigned else []
        return [*size, *arrays]

    def __next__(self) -> DataBatch:
        return self.next()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

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
