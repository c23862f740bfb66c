"""MixIter: batches of several iterators in given proportions.

It accepts every DataIter, also a user's own with only `next` (or ``__next__``) and `reset`; saving
a state needs iterators that can save theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpuio.errors import ArgumentError
from gpuio.io.mixed_stream import MOST_BATCHES, MixedStream
from gpuio.io.wrapped import as_descriptions
from gpuio.iterators.arguments import as_choice, as_int, check_call
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stats import Stats
from gpuio.iterators.stream_iter import StreamIter, device_of_batches, stats_of
from gpuio.loading.stream import State
from gpuio.sampling.mixture import as_weights, shares_of

FIRST, ALL = "first_exhausted", "all_exhausted"


class MixIter(StreamIter[DataBatch]):
    """Mixes the batches of several iterators in given proportions.

    Each batch is one iterator's. They come evenly spread, at random within that: of the first m
    batches of an epoch, an iterator with a share p has given about ``p * m``, of two iterators to
    within one. Which one is next depends on seed, epoch and the number of batches given alone, so
    that all ranks that have the same `seed` and `weights` get batches of the same iterator at the
    same step.

    To have samples of several record files in each batch, use `weights` of ImageRecordIter.

    An epoch ends as `stopping_strategy` or `size` says. With `stopping_strategy`, `reset` begins an
    epoch of each iterator; with `size`, they go on where they are, so that all of their batches
    come, however short the epochs of the mixture.

    A thread that waits for a batch of an iterator of your own gets it; `reset` and
    `load_state_dict` of another thread wait until then. Where an exception of a signal handler
    interrupts `next` of an iterator that cannot save its state, one of its batches may be lost.

    Parameters
    ----------
    iters : the iterators, whose batches must look alike; this one takes over resetting and closing
        them
    weights : a number above 0 for each of them, in proportion to their batches; None: all the same
    seed : determines the order
    stopping_strategy : "first_exhausted": an epoch ends when an iterator whose turn it is has no
        further batch; "all_exhausted": when each has given all of its batches at least once: those
        that end before are reset and go on. None: "first_exhausted"
    size : batches in an epoch, instead of `stopping_strategy`; iterators that end are reset and go
        on

    Attributes
    ----------
    provide_data, provide_label : those of each iterator
    iters : the iterators

    Raises
    ------
    ArgumentError : a value is out of range, or the iterators' batches differ in names, shapes,
        types or devices.
    TypeError : one of `iters` is not an iterator.

    Examples
    --------
    >>> train = MixIter([photographs, drawings], weights=[3, 1], seed=5, size=10_000)
    """

    @check_call
    def __init__(
        self,
        iters: Sequence[DataIter],
        weights: Sequence[float] | None = None,
        *,
        seed: int = 0,
        stopping_strategy: str | None = None,
        size: int | None = None,
    ) -> None:
        self.iters = _as_iterators(iters)
        self.weights = as_weights(weights, len(self.iters), "iterators")
        self.seed = as_int("seed", seed)
        self.size = None if size is None else as_int("size", size, 1, MOST_BATCHES)
        if size is not None and stopping_strategy is not None:
            raise ArgumentError(
                f"an epoch has size={size} batches or ends by stopping_strategy="
                f"{stopping_strategy!r}; give one of them"
            )
        self.stopping_strategy = as_choice(
            "stopping_strategy", FIRST if stopping_strategy is None else stopping_strategy,
            (FIRST, ALL),
        )  # fmt: skip
        data = _common("provide_data", [inner.provide_data for inner in self.iters])
        label = _common("provide_label", [inner.provide_label for inner in self.iters])
        self._ctx = _common_device(self.iters)
        super().__init__(getattr(self.iters[0], "batch_size", 0) or data[0].shape[0])
        self._mixed = MixedStream(
            self.iters, shares_of(self.weights), self.seed, self.size, self.stopping_strategy == ALL
        )
        self._set_stream(self._mixed, data, label)

    @property
    def current_source(self) -> int | None:
        """The number of the iterator that gave the last batch; None before the first one, and after
        `reset` or `load_state_dict`.
        """
        return self._mixed.source

    def __len__(self) -> int:
        """Batches in the current epoch.

        Raises
        ------
        TypeError : it depends on the length of an iterator that does not know its own.
        """
        return self._mixed.length()

    def __bool__(self) -> bool:
        return True

    def stats(self) -> Stats:
        """What has been measured since the iterator was created, with the iterators' own; see
        `StreamIter.stats`.
        """
        return replace(super().stats(), inner=stats_of(self.iters))

    def _to_batch(self, batch: DataBatch) -> DataBatch:
        return batch

    def _identity(self) -> State:
        return {
            "weights": ":".join(map(repr, self.weights)),
            "seed": self.seed,
            "epoch_end": self.stopping_strategy if self.size is None else f"size {self.size}",
        }

    def _position(self) -> State:
        with self._turns.lock:  # a batch changes two positions
            return super()._position()

    def _source_name(self) -> str:
        return "over " + " and ".join(type(inner).__name__ for inner in self.iters)


def _as_iterators(iters: object) -> list[DataIter]:
    if not isinstance(iters, Sequence) or isinstance(iters, (str, bytes)) or not iters:
        raise ArgumentError(f"MixIter needs a list of iterators, not {iters!r}")
    found: list[DataIter] = []
    for number, inner in enumerate(iters):
        if not hasattr(inner, "__next__"):
            raise TypeError(f"MixIter takes iterators, not {type(inner).__name__}")
        if any(inner is other for other in found):
            raise ArgumentError(f"iterator {number} is in the list twice; create another one")
        found.append(inner)
    return found


def _common(what: str, of_iterators: Sequence[Any]) -> list[DataDesc]:
    """The descriptions that all iterators have.

    Raises
    ------
    ArgumentError : they differ.
    """
    first, *others = ([*as_descriptions(each)] for each in of_iterators)
    shown = [_shown(first)]
    for number, other in enumerate(others, 1):
        shown.append(_shown(other))
        if shown[-1] != shown[0]:
            raise ArgumentError(
                f"MixIter mixes batches that look alike, but {what} of iterator 0 is {shown[0]}, "
                f"and of iterator {number} {shown[-1]}; give them the same batch_size, shapes, "
                "types and names"
            )
    return first


def _shown(descriptions: Sequence[DataDesc]) -> str:
    return ", ".join(
        f"{desc.name} {tuple(desc.shape)} {np.dtype(desc.dtype).name} {desc.layout}"
        for desc in descriptions
    )


def _common_device(iters: Sequence[DataIter]) -> Any:
    devices = [ctx for ctx in map(device_of_batches, iters) if ctx is not None]
    if any(ctx != devices[0] for ctx in devices):
        raise ArgumentError(
            "MixIter mixes batches on one device, but the iterators' are on "
            f"{', '.join(map(str, devices))}; create them with the same ctx"
        )
    return devices[0] if devices else None
