"""What gpuio's own iterators share: epochs, the current batch, saved states, pickling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gpuio.errors import Error, StateError
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.loading.stream import Stream

if TYPE_CHECKING:
    from typing_extensions import Self

STATE_VERSION = 1

T = TypeVar("T")


class StreamIter(DataIter, Generic[T]):
    """Base of the iterators that draw from a stream.

    A subclass calls `_draw_from`, and gives `_batch_of` and `_identity`.

    It can be pickled: the copy is made with the same arguments, in whatever process, and goes on
    where the original was.
    """

    _arguments: tuple[tuple[Any, ...], dict[str, Any]]
    _stream: Stream[T]

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Note the arguments, for copies."""
        made = super().__new__(cls)
        made._arguments = arguments, named
        return made

    def _replace_argument(self, original: object, replacement: object) -> None:
        """Let copies be made with other values than the constructor was given, so that the original
        ones can be freed.
        """
        positional, named = self._arguments
        self._arguments = (
            tuple(replacement if each is original else each for each in positional),
            {name: replacement if each is original else each for name, each in named.items()},
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), *self._arguments, self.state_dict(), self._changed())

    def _draw_from(
        self, stream: Stream[T], provide_data: list[DataDesc], provide_label: list[DataDesc]
    ) -> None:
        self._stream = stream
        self._provide_data = provide_data
        self._provide_label = provide_label
        self._batch: DataBatch | None = None

    def _batch_of(self, drawn: T) -> DataBatch | None:
        """The batch that the caller gets; None: there is nothing in it for the caller."""
        raise NotImplementedError

    def _changed(self) -> dict[str, Any]:
        """What has been set since the iterator was made, as names and values of attributes."""
        return {}

    def _identity(self) -> dict[str, Any]:
        """What a state must have in common with the iterator that loads it, but for the kind."""
        raise NotImplementedError

    @property
    def provide_data(self) -> list[DataDesc]:
        """Descriptions of the data that a batch holds."""
        return self._provide_data

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of the labels that a batch holds."""
        return self._provide_label

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0; after the last batch of one it is still that
        epoch's.
        """
        return self._stream.epoch

    @property
    def ended(self) -> bool:
        """Whether the current epoch is known to have ended; `reset` begins the next."""
        return self._stream.ended

    def next(self) -> DataBatch:
        """The next batch.

        Returns
        -------
        DataBatch : `data` and `label`, lists of arrays on the iterator's device as `provide_data`
            and `provide_label` say; `pad`, the rows at the end that only fill the batch; `index`,
            uint64 (batch_size,) on the host, the records' keys, where the iterator has them

        Raises
        ------
        StopIteration : the epoch has ended; `reset` begins the next.
        Error : the batch could not be made; the text says why. Or the iterator is closed.
        """
        while (drawn := self._stream.next()) is not None:
            self._batch = self._batch_of(drawn)
            if self._batch is not None:
                return self._batch
        self._batch = None
        raise StopIteration

    def iter_next(self) -> bool:
        """Move to the next batch, which `getdata` and its like then describe; False where the epoch
        has ended.
        """
        try:
            self.next()
        except StopIteration:
            return False
        return True

    def getdata(self) -> list[Any]:
        """The current batch's data."""
        return list(self._current().data or ())

    def getlabel(self) -> list[Any]:
        """The current batch's labels."""
        return list(self._current().label or ())

    def getpad(self) -> int:
        """The current batch's number of rows that only fill it."""
        return self._current().pad or 0

    def getindex(self) -> Any:
        """The current batch's record keys: uint64 (batch_size,), or None."""
        return self._current().index

    def reset(self) -> None:
        """Begin the next epoch.

        After the end of an epoch that is where the stream goes on. In the middle of one, its rest
        is dropped and the next begins with its first record. At the beginning of one there is
        nothing to do.
        """
        self._stream.reset()

    def state_dict(self) -> dict[str, Any]:
        """Where the iterator is: what has been handed out counts, what has been made ahead does
        not.

        Returns
        -------
        dict that JSON can hold; `load_state_dict` of an iterator with the same arguments goes on
        from there
        """
        return {
            "version": STATE_VERSION,
            "kind": type(self).__name__,
            **self._identity(),
            **self._stream.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where an iterator was when it gave `state`; the next batch is bit for bit the one
        it would have given.

        Raises
        ------
        StateError : the state is not one of these, or comes from other data, another part, order or
            seed.
        """
        identity = {"kind": type(self).__name__, **self._identity()}
        try:
            version = state["version"]
            theirs = {name: state[name] for name in identity}
            if version == STATE_VERSION and theirs == identity:
                self._stream.restore(state)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, StateError):
                raise
            raise StateError(f"not a state of {type(self).__name__}: {error!r}") from error
        if version != STATE_VERSION:
            raise StateError(f"the state has version {version}, expected {STATE_VERSION}")
        for name, mine in identity.items():
            if theirs[name] != mine:
                raise StateError(
                    f"the state was saved with {name}={theirs[name]!r}, here it is {mine!r}; "
                    "create the iterator with the arguments and data it was saved with"
                )
        self._batch = None

    def close(self) -> None:
        """Let go of files, threads and memory. May be called twice; nothing else may be called
        after it.
        """
        self._stream.close()

    def _current(self) -> DataBatch:
        if self._batch is None:
            raise Error("there is no current batch; call next() or iter_next() first")
        return self._batch


def _again(
    kind: type[StreamIter[Any]],
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    state: dict[str, Any],
    changes: dict[str, Any],
) -> StreamIter[Any]:
    """An iterator made anew, at a place."""
    made = kind(*arguments, **named)
    for name, value in changes.items():
        setattr(made, name, value)
    made.load_state_dict(state)
    return made
