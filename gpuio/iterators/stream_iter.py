"""StreamIter: epochs, the current batch, saved states and pickling of gpuio's own iterators."""

from __future__ import annotations

import copy
import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from gpuio.context import Context
from gpuio.errors import Error, StateError, UnsupportedError
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.meter import Meter
from gpuio.iterators.stats import Stats
from gpuio.iterators.turns import Turns
from gpuio.loading.hand_over import change_arrays, hand_over_arrays
from gpuio.loading.states import as_state, equal, field, shown
from gpuio.loading.stream import CLOSED, State, Stream
from gpuio.sampling.order import Order
from gpuio.storage.local import Path
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.pickling import check_picklable

if TYPE_CHECKING:
    from typing_extensions import Self

STATE_VERSION = 1

RESET_MEANWHILE = "the iterator was reset while a batch was awaited"
LOADED_MEANWHILE = "a state was loaded while a batch was awaited"
NESTED = (
    "next, reset or load_state_dict was called within another of them, as by a signal handler; let "
    "it note what to do, and do that after the batch"
)

# The methods that give the parts of the current batch.
GETTERS = ("getdata", "getlabel", "getpad", "getindex")

T = TypeVar("T")


class StreamIter(DataIter, Generic[T]):
    """Base class of the iterators that take batches from a stream.

    A subclass calls `_set_stream`, and defines `_to_batch` and `_identity`; `_source_name` and
    `_progress` for its `repr`.

    Any thread may call any method. Of several that call `next`, each gets a batch of its own, in
    the iterator's order, and all get StopIteration at the end of the epoch. Those that are in
    `next` while another thread calls `reset`, `load_state_dict` or `close` raise an Error. The
    current batch, which `getdata` and its like give, is one for all threads.

    An exception that a signal handler raises, such as KeyboardInterrupt, can be caught, and the
    iterator used on: of the batches at most the one in hand is lost, and `reset` and
    `load_state_dict` happen as a whole or not at all. A handler may call `state_dict` and `close`;
    the others raise an Error where they would disturb the one that is running.

    It can be pickled: the copy is created with the same arguments, in any process, and continues at
    the original's position. If that cannot be saved, it can be pickled before its first batch. So
    can `copy.copy` and `copy.deepcopy` copy it.
    """

    _arguments: tuple[tuple[Any, ...], dict[str, Any]]
    _turns: Turns
    _meter: Meter
    _stream: Stream[T]
    _ctx: Context | None = None  # the device of the batches, if it is known
    _batch: DataBatch | None = None  # the current one
    _used = False  # whether a batch has been asked for
    _closed = False
    _may_nest = False  # whether the user's function that gives samples may call reset

    # Whether getdata and getlabel give one array instead of a list, as those iterators do that are
    # C++ in MXNet.
    _gives_single_arrays: ClassVar[bool] = False
    # What a subclass adds to the stream's position in a state.
    _more_state_fields: ClassVar[tuple[str, ...]] = ()
    # Whether a subclass replaces a method that gives a part of the batch; `next` then calls them.
    _in_pieces: ClassVar[bool] = False

    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._in_pieces = any(
            getattr(cls, name) is not getattr(StreamIter, name) for name in GETTERS
        )
        # That of __new__, which comes first for `help` and the like, says nothing.
        whole = inspect.signature(cls.__init__)
        cls.__signature__ = whole.replace(parameters=list(whole.parameters.values())[1:])

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Record the arguments, for copies."""
        iterator = super().__new__(cls)
        iterator._arguments = arguments, named
        iterator._turns = Turns()
        iterator._meter = Meter()
        return iterator

    def _replace_argument(self, original: object, replacement: object) -> None:
        """Create copies with another value than the constructor was given, so that the original one
        can be freed.
        """
        positional, named = self._arguments
        self._arguments = (
            tuple(replacement if each is original else each for each in positional),
            {name: replacement if each is original else each for name, each in named.items()},
        )

    def _as_remote(
        self,
        cache_dir: Path | None,
        cache_limit: int | str | None,
        storage_options: Mapping[str, Any] | None,
        retries: int,
        timeout: float,
        readahead: int | str,
    ) -> RemoteOptions:
        """Check a constructor's arguments for remote files. Copies get `storage_options` without
        what is secret.
        """
        options = RemoteOptions.create(
            cache_dir, cache_limit, readahead, storage_options, retries, timeout
        )
        if storage_options is not None:
            self._replace_argument(storage_options, options.arguments()["storage_options"])
        return options

    def __reduce__(self) -> tuple[Any, ...]:
        check_picklable(self._arguments, type(self).__name__)
        try:
            state = self.state_dict()
        except NotImplementedError as error:
            if self._used:
                raise UnsupportedError(
                    f"{type(self).__name__} cannot be pickled once it has given batches, because "
                    f"its position cannot be saved ({error}); send it to another process before "
                    "that, or create it there"
                ) from error
            state = None
        return _recreate, (type(self), *self._arguments, state, self._changed())

    def __copy__(self) -> Self:
        """A copy over the same data. Iterators that it takes batches from are copied, too: two
        iterators over one would take its batches from each other.
        """
        recreate, (kind, positional, named, *position) = self.__reduce__()
        copied = [_copied(argument) for argument in positional]
        named = {name: _copied(argument) for name, argument in named.items()}
        again: Self = recreate(kind, copied, named, *position)
        return again

    def _summary(self) -> list[str]:
        parts = [self._source_name(), *super()._summary(), *self._progress()]
        if self._closed:
            parts.append("closed")
        return [part for part in parts if part]

    def _source_name(self) -> str:
        """Where the batches come from, for `repr`."""
        return ""

    def _progress(self) -> list[str]:
        """The position, for `repr`."""
        return [f"epoch {self.epoch}, ended" if self.ended else f"epoch {self.epoch}"]

    def _set_stream(
        self,
        stream: Stream[T],
        provide_data: list[DataDesc] | None,
        provide_label: list[DataDesc] | None,
    ) -> None:
        """Take batches from `stream`.

        Parameters
        ----------
        provide_data, provide_label : descriptions; None: the subclass has them
        """
        self._stream = stream
        # Not by assignment: a subclass may have properties of these names.
        if provide_data is not None:
            vars(self)["provide_data"] = provide_data
        if provide_label is not None:
            vars(self)["provide_label"] = provide_label

    def _to_batch(self, drawn: T) -> DataBatch | None:
        """Convert a batch of the stream to what the caller gets; None: skip it."""
        raise NotImplementedError

    def _order_of_rows(self) -> Order | None:
        """The order that the stream's positions refer to; None if they are of another kind."""
        return None

    def _changed(self) -> dict[str, Any]:
        """Attributes that have been set since the iterator was created, for copies."""
        return {}

    def _identity(self) -> State:
        """What a state must have in common with the iterator that loads it, besides the class; the
        dict and its lists belong to the caller.
        """
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0; after its last batch it stays the same until
        `reset`.
        """
        return self._stream.epoch

    @property
    def ended(self) -> bool:
        """Whether the current epoch is known to have ended; `reset` begins the next."""
        return self._stream.ended

    @property
    def current_batch(self) -> DataBatch | None:
        """The batch to which `next` or `iter_next` has moved; None before the first and after the
        last.
        """
        return self._batch

    def next(self) -> DataBatch:
        """The next batch.

        Returns
        -------
        DataBatch : `data` and `label`, lists of arrays on the iterator's device as `provide_data`
            and `provide_label` say; `pad`, the number of rows at the end that only fill the batch;
            `index`, uint64 (batch_size,) on the host, the records' keys, if the iterator has them

        Raises
        ------
        StopIteration : the epoch has ended; `reset` begins the next.
        Error : the batch could not be made, the iterator is closed, or another thread has reset or
            closed it or loaded a state meanwhile; the message says why.
        """
        turns = self._turns
        changes = turns.changes
        with turns.lock:
            turns.check(changes)
            if type(self).iter_next is StreamIter.iter_next:
                batch = self._draw()
            else:  # a subclass has replaced it
                batch = self._current() if self.iter_next() else None
            if batch is None:
                raise StopIteration
            return self._from_pieces(batch) if self._in_pieces else batch

    def iter_next(self) -> bool:
        """Move to the next batch, whose content `getdata` and its like then give; False at the end
        of the epoch.
        """
        turns = self._turns
        changes = turns.changes
        with turns.lock:
            turns.check(changes)
            return self._draw() is not None

    def _draw(self) -> DataBatch | None:
        """Move to the next batch, and return it, whatever a signal handler does to the iterator
        meanwhile; None at the end of the epoch. With the lock.
        """
        turns = self._turns
        if turns.busy and not self._may_nest:
            raise Error(NESTED)
        try:
            turns.busy = True
            self._used, self._batch = True, None
            meter = self._meter
            while True:
                asked = meter.asked()
                drawn = self._stream.next()
                came = meter.came(asked)
                if drawn is None:
                    return None
                batch = self._to_batch(drawn)
                if batch is not None:
                    found: DataBatch = change_arrays(batch, hand_over_arrays)
                    self._batch = found
                    meter.gave(came)
                    return found
        finally:
            turns.busy = False

    def stats(self) -> Stats:
        """What has been measured since the iterator was created: for how long the loop waited for
        data, and data for the loop, which stage of loading took how long, and advice.

        Any thread may ask at any time. ``print(iterator.stats())`` prints a table.
        """
        meter = self._meter
        return Stats(
            iterator=type(self).__name__,
            batches=meter.batches,
            batch_size=self.batch_size,
            started=meter.started,
            waited=meter.waited,
            worked=meter.worked,
            handed=meter.handed,
        )

    def getdata(self) -> Any:
        """The current batch's data: a list of arrays; of the iterators that are C++ in MXNet, the
        one array.
        """
        return self._as_getters_return(self._current().data)

    def getlabel(self) -> Any:
        """The current batch's labels, as `getdata`."""
        return self._as_getters_return(self._current().label)

    def getpad(self) -> int:
        """The current batch's `pad`."""
        return self._current().pad or 0

    def getindex(self) -> Any:
        """The current batch's record keys: uint64 (batch_size,), or None."""
        return self._current().index

    def reset(self) -> None:
        """Begin the next epoch.

        After the end of an epoch the stream continues there. In the middle of one, its rest is
        dropped and the next begins with its first record. At the beginning nothing is done.

        Threads that wait for a batch raise an Error. An iterator of the user's own from which they
        wait is awaited.
        """
        self._change(RESET_MEANWHILE, self._begin_epoch)

    def state_dict(self) -> State:
        """The current position, which counts batches handed out, not those made ahead.

        Returns
        -------
        A dict that JSON can hold, and that belongs to the caller; `load_state_dict` of an iterator
        with the same arguments restores the position
        """
        return {
            "version": STATE_VERSION,
            "kind": type(self).__name__,
            **self._identity(),
            **self._position(),
        }

    def load_state_dict(self, state: State) -> None:
        """Restore the position of an iterator when it gave `state`; the next batch is bit-identical
        to the one that it would have given.

        Everything is checked first: after an error the iterator continues as if this had not been
        called. The dict is neither kept nor changed.

        Raises
        ------
        StateError : it is not a state of such an iterator, or of other data, another part, order or
            seed; or its values are of another type, out of range, or contradict each other.
        Error : the iterator is closed, or its data cannot be read.
        """
        if self._closed:
            raise Error(CLOSED)
        self._check_state(state)
        self._change(LOADED_MEANWHILE, functools.partial(self._load_state, state))

    def _load_state(self, state: State) -> None:
        self._restore(state)
        self._batch = None

    def _position(self) -> State:
        """The part of a state that changes from batch to batch."""
        return self._stream.state()

    def _check_state(self, state: State) -> None:
        """Raise what `load_state_dict` does, and change nothing."""
        kind = type(self).__name__
        try:
            version = field(state, "version")
            if not equal(STATE_VERSION, version):
                raise StateError(
                    f"the state has version {shown(version)}, expected {STATE_VERSION}"
                )
            mine = {"kind": kind, **self._identity()}
            theirs = {name: field(state, name) for name in mine}
            for name, value in mine.items():
                if not equal(value, theirs[name]):
                    raise StateError(
                        f"the state was saved with {name}={shown(theirs[name])}, here it is "
                        f"{value!r}; create the iterator with the arguments and data it was saved "
                        "with"
                    )
            self._check_position(state)
            if type(self).state_dict is StreamIter.state_dict:  # a subclass may add what it needs
                known = {"version", *mine, *self._stream.state_fields, *self._more_state_fields}
                if unknown := [name for name in as_state(state) if name not in known]:
                    raise StateError(f"there is no {', '.join(map(shown, unknown))}")
        except StateError as error:
            raise StateError(f"not a state of {kind}: {error}") from error

    def _check_position(self, state: State) -> None:
        """Check what `_position` gave."""
        self._stream.check(state)

    def _restore(self, state: State) -> None:
        """Restore a position that `_check_state` accepts."""
        self._stream.restore(state)

    def _begin_epoch(self) -> None:
        """Move to the next epoch."""
        self._stream.reset()

    def _change(self, said: str, change: Callable[[], None]) -> None:
        """Change the position, or stay where the iterator is if that raises.

        Parameters
        ----------
        said : what the threads are told that wait for a batch
        change : called while no other thread draws one
        """
        turns, mine = self._turns, threading.get_ident()
        try:
            turns.interruptions[mine] = said
            self._stream.wake(turns.interruptions)
            with turns.lock:
                if turns.busy and not self._may_nest:
                    raise Error(NESTED)
                before = self._position_to_return_to()
                try:
                    turns.busy = True
                    self._meter.pause()
                    change()
                    turns.note_change(said)
                except BaseException:
                    if before is not None and not self._closed:
                        self._restore(before)
                    raise
                finally:
                    turns.busy = False
        finally:
            turns.interruptions.pop(mine, None)

    def _position_to_return_to(self) -> State | None:
        """The position; None if it cannot be saved."""
        try:
            return self._position()
        except Exception:  # also one of the user's own iterator
            return None

    def close(self) -> None:
        """Release files, threads and memory. May be called twice; nothing else may be called after
        it. Threads that wait for a batch raise an Error.
        """
        self._closed = True
        self._stream.close()

    def _from_pieces(self, batch: DataBatch) -> DataBatch:
        """A batch of what `getdata` and its like return for the current one."""
        data, label = self.getdata(), self.getlabel()
        if self._gives_single_arrays:
            data, label = (
                each if each is None or isinstance(each, (list, tuple)) else [each]
                for each in (data, label)
            )
        pad = self.getpad()
        return DataBatch(
            data,
            label,
            pad,
            self.getindex(),
            batch.bucket_key,
            batch.provide_data,
            batch.provide_label,
            padding=batch.padding if pad == (batch.pad or 0) else None,
        )

    def _as_getters_return(self, arrays: Sequence[Any] | None) -> Any:
        if self._gives_single_arrays:
            (array,) = arrays or ()
            return array
        return list(arrays or ())

    def _current(self) -> DataBatch:
        if self._batch is None:
            raise Error("there is no current batch; call next() or iter_next() first")
        return self._batch


def check_state(iterator: DataIter, state: State) -> None:
    """Raise if an iterator's `load_state_dict` would, and change nothing. What an iterator of the
    user's own loads is not known in advance.

    Raises
    ------
    NotImplementedError : it cannot load any state.
    StateError, Error : see `StreamIter.load_state_dict`.
    """
    load = getattr(iterator, "load_state_dict", None)
    defined = getattr(load, "__func__", load)
    if defined in (None, DataIter.load_state_dict):
        raise NotImplementedError(f"{type(iterator).__name__} cannot load a state")
    if isinstance(iterator, StreamIter) and defined is StreamIter.load_state_dict:
        iterator._check_state(state)


def stats_of(iterators: Iterable[DataIter]) -> tuple[Stats, ...]:
    """The statistics of those of some iterators that have any."""
    return tuple(each.stats() for each in iterators if isinstance(each, StreamIter))


def device_of_batches(iterator: DataIter) -> Context | None:
    """The device of an iterator's batches; None if it does not say, as users' own."""
    return iterator._ctx if isinstance(iterator, StreamIter) else None


def order_of(iterator: DataIter) -> Order | None:
    """The order of an iterator's rows; None if it has none, as iterators over text files, those
    over other iterators and users' own.
    """
    return iterator._order_of_rows() if isinstance(iterator, StreamIter) else None


def _copied(argument: Any) -> Any:
    """A constructor's argument, for a copy: copies of iterators, and all else as it is."""
    if hasattr(argument, "__next__"):
        return copy.copy(argument)
    if isinstance(argument, (list, tuple)) and any(hasattr(each, "__next__") for each in argument):
        return [*map(_copied, argument)]
    return argument


def _recreate(
    kind: type[StreamIter[Any]],
    arguments: Iterable[Any],
    named: dict[str, Any],
    state: State | None,
    changes: dict[str, Any],
) -> StreamIter[Any]:
    """Create a copy of an iterator at the same position; at the beginning if `state` is None."""
    iterator = kind(*arguments, **named)
    for name, value in changes.items():
        setattr(iterator, name, value)
    if state is not None:
        iterator.load_state_dict(state)
    return iterator
