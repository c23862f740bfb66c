"""DataLoader: batches of the samples of a dataset."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from gpuio.context import device_of, num_gpus
from gpuio.errors import ArgumentError
from gpuio.gluon.data.ahead import OrderedBatches
from gpuio.gluon.data.batchify import BatchifyFn, default_batchify_fn
from gpuio.gluon.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from gpuio.iterators.arguments import as_float, as_int, check_call, log_without_effect
from gpuio.loading.hand_over import callers_streams, hand_over_arrays, share_arrays
from gpuio.loading.workers import MOST_THREADS
from gpuio.nd import NDArray, wrap
from gpuio.sampling.sample_rng import SampleRng, call_with_rng, current_rng

# MXNet's name of the one for worker processes.
default_mp_batchify_fn = default_batchify_fn

# The seed of an epoch's augmentation is drawn below this.
SEEDS = 2**63


class DataLoader:
    """Batches of the samples of a dataset, an epoch for each ``for`` loop.

    With `num_workers`, as many threads make batches ahead of the caller; decoding, resizing and
    NumPy's work on large arrays run in parallel, as they release Python's lock. The batches come in
    order, and are the same for any number of threads: the random numbers of `vision.transforms`
    and `gpuio.image` depend on the epoch's seed and the sample's place in the epoch. That seed
    comes from Python's generator (``random.seed``), the order of `shuffle` from NumPy's
    (``numpy.random.seed``), and is MXNet's. A transform of your own that draws from a global
    generator is reproducible with ``num_workers=0`` only.

    Several loops may run at the same time, and several threads may share one: each batch of what
    ``iter(loader)`` returns goes to one of them, in order. A loop that is left early ends its
    threads. On GPUs these work on the streams that are current where the loop begins. After an
    exception of a signal handler, such as KeyboardInterrupt, the loop can be continued with
    ``next``, unless it came in a generator of your own sampler, which is then at its end.

    Parameters
    ----------
    dataset : a Dataset, a list or an array
    batch_size : samples of a batch
    shuffle : a new random order each epoch
    sampler : gives the indices of the samples, instead of `shuffle`
    last_batch : what to do with the samples that do not fill a batch: "keep" (the default),
        "discard" or "rollover", see BatchSampler
    batch_sampler : gives lists of indices, instead of all of the above
    batchify_fn : makes a batch of a list of samples; None: `default_batchify_fn`
    num_workers : threads; 0: batches are made when they are asked for
    pin_memory : put batches of host arrays into pinned memory, from which copies to a GPU are
        faster; without effect where there is no GPU
    pin_device_id : without effect
    prefetch : batches that may wait for the caller; None: ``2 * num_workers``
    thread_pool : without effect: workers are always threads
    timeout : seconds to wait for a batch of the threads
    try_nopython : without effect (MXNet 2.0)
    auto_reload : begin each epoch's first batches when the one before ends, and the first epoch's
        now

    Raises
    ------
    TypeError : the dataset has no length, or there is no such argument.
    ArgumentError : arguments contradict each other, or are out of range.
    TimeoutError : from the iterator: a batch took too long.
    whatever the dataset or batchify_fn raise : from the iterator, in place of that batch; the epoch
        ends with it.

    Examples
    --------
    >>> ctx = mx.cpu()  # or mx.gpu(0)
    >>> for data, label in DataLoader(dataset, 64, shuffle=True, num_workers=8):
    ...     data, label = data.as_in_context(ctx), label.as_in_context(ctx)
    """

    @check_call
    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        shuffle: bool = False,
        sampler: Any = None,
        last_batch: str | None = None,
        batch_sampler: Any = None,
        batchify_fn: BatchifyFn | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        pin_device_id: int = 0,
        prefetch: int | None = None,
        thread_pool: bool = False,
        timeout: float = 120,
        try_nopython: bool | None = None,
        auto_reload: bool = False,
    ) -> None:
        if batch_sampler is None:
            batch_sampler = _batch_sampler(dataset, batch_size, shuffle, sampler, last_batch)
        elif batch_size is not None or shuffle or sampler is not None or last_batch is not None:
            raise ArgumentError(
                "batch_size, shuffle, sampler and last_batch must not be specified if "
                "batch_sampler is specified"
            )
        if as_float("timeout", timeout) <= 0:
            raise ArgumentError(f"timeout must be above 0 seconds, not {timeout}")
        (self._dataset,) = hand_over_arrays([dataset])
        self._batch_sampler = batch_sampler
        self._batchify_fn = batchify_fn or default_batchify_fn
        self._workers = max(0, as_int("num_workers", num_workers, most=MOST_THREADS))
        ahead = 2 * self._workers if prefetch is None else as_int("prefetch", prefetch)
        self._ahead, self._timeout = max(0, ahead), timeout
        self._finish = _pinning() if pin_memory else _shared
        self._next_epoch: Iterator[Any] | None = None
        self.auto_reload = auto_reload
        if auto_reload:
            self.refresh()

    def __len__(self) -> int:
        return len(self._batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        epoch, self._next_epoch = self._next_epoch, None
        if epoch is None:
            epoch = self._epoch()
        return _Reloading(epoch, self._refresh_if_needed) if self.auto_reload else epoch

    def refresh(self) -> None:
        """Begin the next epoch's first batches now."""
        self._next_epoch = self._epoch()

    def clean(self) -> None:
        """Drop what `refresh` has begun."""
        self._next_epoch = None

    def _refresh_if_needed(self) -> None:
        if self._next_epoch is None and self.auto_reload:
            self.refresh()

    def _epoch(self) -> Iterator[Any]:
        batches = _Placed(self._batch_sampler)
        make = _maker(self._dataset, self._batchify_fn, self._finish)
        if self._workers:
            make = _on_streams(callers_streams(), make)
            return OrderedBatches(
                batches, make, self._workers, self._ahead, self._timeout, _handed_over
            )
        return _Direct(batches, make)


def _batch_sampler(
    dataset: Any, batch_size: int | None, shuffle: bool, sampler: Any, last_batch: str | None
) -> BatchSampler:
    if batch_size is None:
        raise ArgumentError("batch_size must be specified unless batch_sampler is specified")
    if isinstance(shuffle, str):
        raise ArgumentError(
            f"shuffle must be True or False, not {shuffle!r}; 'blocks' is for the iterators over "
            "record files, such as mx.io.ImageRecordIter"
        )
    if sampler is None:
        sampler = (RandomSampler if shuffle else SequentialSampler)(len(dataset))
    elif shuffle:
        raise ArgumentError("shuffle must not be specified if sampler is specified")
    return BatchSampler(sampler, batch_size, last_batch or "keep")


# The indices of a batch, the place in the epoch of the first, and the epoch's seed.
_Place = tuple[list[Any], int, int]


class _Placed:
    """The batches of an epoch with their places, see `_Place`."""

    def __init__(self, batch_sampler: Iterable[Any]) -> None:
        self._batch_sampler = batch_sampler
        self._begun: tuple[Iterator[Any], int] | None = None  # the batches, and the seed
        self._place = 0

    def __iter__(self) -> Iterator[_Place]:
        return self

    def __next__(self) -> _Place:
        if self._begun is None:
            seed = current_rng().randint(0, SEEDS - 1)
            self._begun = iter(self._batch_sampler), seed
        batches, seed = self._begun
        batch, place = list(next(batches)), self._place
        self._place = place + len(batch)
        return batch, place, seed


class _Direct:
    """An epoch's batches, each made when it is asked for, by one thread at a time.

    Not a generator: that would end when a signal handler raises in it, and fail where a second
    thread enters it.
    """

    def __init__(
        self, places: Iterator[_Place], make: Callable[[_Place, Callable[[], bool]], Any]
    ) -> None:
        self._places = places
        self._make = make
        self._ended = False
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._lock:
            if self._ended:
                raise StopIteration
            try:
                return _handed_over(self._make(next(self._places), lambda: False))
            except Exception:
                self._ended = True
                raise


class _Reloading:
    """An epoch's batches; at their end the next epoch begins."""

    def __init__(self, batches: Iterator[Any], refresh: Callable[[], None]) -> None:
        self._batches = batches
        self._refresh = refresh
        self._ended = False
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._batches)
        except StopIteration:
            with self._lock:
                if not self._ended:
                    self._refresh()
                    self._ended = True
            raise


def _maker(
    dataset: Any, batchify_fn: BatchifyFn, finish: Callable[[Any], Any]
) -> Callable[[_Place, Callable[[], bool]], Any]:
    """A function that makes a batch."""

    def make(placed: _Place, stopped: Callable[[], bool]) -> Any:
        indices, begin, seed = placed
        samples = []
        for place, index in enumerate(indices, begin):
            if stopped():
                return None
            rng = SampleRng(seed, 0, place)
            samples.append(call_with_rng(rng, operator.getitem, dataset, index))
        return finish(batchify_fn(samples))

    return make


def _on_streams(
    use_streams: Callable[[], None], make: Callable[[_Place, Callable[[], bool]], Any]
) -> Callable[[_Place, Callable[[], bool]], Any]:
    """`make` for threads that work on the caller's streams, as he may have made the dataset."""

    def make_there(placed: _Place, stopped: Callable[[], bool]) -> Any:
        use_streams()
        return make(placed, stopped)

    return make_there


def _shared(batch: Any) -> Any:
    """A batch that the calling thread has made, for the caller's."""
    return _changed(batch, share_arrays)


def _handed_over(batch: Any) -> Any:
    """A batch for the calling thread's current stream."""
    return _changed(batch, hand_over_arrays)


def _changed(batch: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    """A batch with its arrays on a GPU changed, in whatever containers; on the host, the same."""
    if device_of(batch).device_type == "gpu":
        return change([batch])[0]
    if isinstance(batch, dict):
        parts = [_changed(each, change) for each in batch.values()]
        made: Any = dict(zip(batch, parts, strict=True))
    elif isinstance(batch, (list, tuple)):
        parts = [_changed(each, change) for each in batch]
        make = getattr(batch, "_make", type(batch))  # a namedtuple's takes an iterable, too
        made = make(parts)
    else:
        return batch
    old = batch.values() if isinstance(batch, dict) else batch
    return batch if all(map(operator.is_, parts, old)) else made


def _pinning() -> Callable[[Any], Any]:
    """A function that copies a batch's host arrays into pinned memory, if there is a GPU."""
    if num_gpus():
        return _pinned
    log_without_effect("DataLoader", {"pin_memory": "because there is no GPU"})
    return _shared


def _pinned(batch: Any) -> Any:
    if isinstance(batch, NDArray) and isinstance(batch, np.ndarray):
        import cupyx

        copied = cupyx.empty_pinned(batch.shape, batch.dtype)
        copied[...] = batch
        return wrap(copied)
    if isinstance(batch, (list, tuple)):
        return [_pinned(each) for each in batch]
    return _shared(batch)
