"""MXNet's ``mx.rnn``, as far as it loads data: sentences as numbers, in batches of like lengths."""

from __future__ import annotations

import bisect
import itertools
import logging
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio import nd
from gpuio.context import Context, as_context, require
from gpuio.errors import ArgumentError
from gpuio.io.array_sources import ArraySource, fingerprint, on_device
from gpuio.io.rows_iter import OrderedRowsIter, seed_or_draw
from gpuio.iterators.arguments import as_choice, as_int
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.loading.batch import LoadedBatch
from gpuio.sampling.order import BatchIndices, Order, permute

__all__ = ["BucketSentenceIter", "encode_sentences"]

log = logging.getLogger("gpuio")


def encode_sentences(
    sentences: Iterable[Iterable[Hashable]],
    vocab: dict[Any, int] | None = None,
    invalid_label: int = -1,
    invalid_key: Hashable = "\n",
    start_label: int = 0,
    unknown_token: Hashable | None = None,
) -> tuple[list[list[int]], dict[Any, int]]:
    """Words as numbers.

    Parameters
    ----------
    sentences : lists of words
    vocab : numbers by word; None: a new one is made, in which the words are numbered as they come
    invalid_label : the number of `invalid_key`, which no word gets
    invalid_key : stands for the end of a sentence in a new vocabulary
    start_label : the first number that a word gets here
    unknown_token : stands for the words that are not in the vocabulary that was given, which gets
        it if it is missing; None: such a word is an error

    Returns
    -------
    (the sentences as lists of numbers, the vocabulary)

    Raises
    ------
    ArgumentError : a word is not in the vocabulary, and there is no unknown_token.
    """
    known: dict[Any, int] = {invalid_key: invalid_label} if vocab is None else vocab
    taken = {*known.values(), invalid_label}
    free = (number for number in itertools.count(start_label) if number not in taken)

    def number_of(word: Hashable) -> int:
        if word not in known and vocab is not None:
            if unknown_token is None:
                raise ArgumentError(
                    f"the word {word!r} is not in the vocabulary; give an unknown_token, or leave "
                    "vocab out to have one made"
                )
            word = unknown_token
        if word not in known:
            known[word] = next(free)
        return known[word]

    return [[number_of(word) for word in sentence] for sentence in sentences], known


class BucketSentenceIter(OrderedRowsIter):
    """Batches of sentences of like lengths, for language models.

    Each sentence goes into the smallest bucket that holds it, and is filled up with
    `invalid_label`; what is longer than the largest bucket is left out, which is logged. The label
    is the sentence moved by one: the next word at each place, `invalid_label` at the last. All
    sentences of a batch are from one bucket; batches and sentences come in a new order each epoch;
    a bucket's last, incomplete batch is left out.

    Parameters
    ----------
    sentences : lists of numbers, see `encode_sentences`
    batch_size : sentences in a batch
    buckets : lengths; None: those that at least `batch_size` sentences have
    invalid_label : what fills up sentences
    data_name, label_name : the arrays' names
    dtype : of data and labels
    layout : "NT" (batch_size, length) or "TN" (length, batch_size)
    seed : decides the order; None: drawn from NumPy's global generator. A saved state brings its
        seed along
    ctx : the device; None: the current context. On a GPU all sentences are copied there once

    Attributes
    ----------
    buckets : the lengths of the buckets that are not empty, ascending
    default_bucket_key : the largest
    provide_data, provide_label : one DataDesc each, for the largest bucket; a batch has its own,
        and its length as `bucket_key`

    Raises
    ------
    ArgumentError : no bucket has enough sentences for a batch, or a value is out of range.
    ContextError : the device is not there.
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        buckets: Sequence[int] | None = None,
        invalid_label: float = -1,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: DTypeLike = "float32",
        layout: str = "NT",
        *,
        seed: int | None = None,
        ctx: Context | str | None = None,
    ) -> None:
        super().__init__(as_int("batch_size", batch_size, 1))
        self.layout = as_choice("layout", layout, ("NT", "TN"))
        self.major_axis = layout.index("N")
        self.invalid_label = invalid_label
        self.data_name, self.label_name = data_name, label_name
        home = as_context(ctx)
        require(home)
        kind = np.dtype(dtype)
        if np.array(invalid_label).astype(kind) != invalid_label:
            raise ArgumentError(f"invalid_label {invalid_label} cannot be said in {kind}")
        lengths = [len(sentence) for sentence in sentences]
        if buckets is None:
            counts = np.bincount(np.array(lengths, np.int64))
            chosen = np.flatnonzero(counts >= self.batch_size).tolist()
        else:
            chosen = sorted({as_int("buckets", bucket, 1) for bucket in buckets})
        filled = _fill(sentences, lengths, chosen, invalid_label, kind)
        self.buckets = list(filled)
        batches = [
            (number, first)
            for number, rows in enumerate(filled.values())
            for first in range(0, len(rows) - self.batch_size + 1, self.batch_size)
        ]
        if not batches:
            raise ArgumentError(
                f"no bucket of {chosen} has {self.batch_size} sentences, and there are "
                f"{len(lengths)} in all; use a smaller batch_size or other buckets"
            )
        self.default_bucket_key = max(self.buckets)
        sources = [ArraySource(str(key), nd.wrap(rows), 0) for key, rows in filled.items()]
        order = Order(len(batches), 1, True, seed_or_draw(seed), "discard")
        self._draw_in_order(
            order,
            _Load([source.to(home) for source in sources], batches, self.batch_size, self.layout),
            home,
            [self._description(data_name, self.default_bucket_key, sources[0].dtype)],
            [self._description(label_name, self.default_bucket_key, sources[0].dtype)],
            fingerprint=fingerprint(sources),
            seed_was_drawn=seed is None,
            there=True,
        )

    def _batch_of(self, drawn: LoadedBatch) -> DataBatch:
        batch = super()._batch_of(drawn)
        (data,) = batch.data
        batch.bucket_key = key = data.shape[1 - self.major_axis]
        batch.provide_data = [self._description(self.data_name, key, data.dtype)]
        batch.provide_label = [self._description(self.label_name, key, data.dtype)]
        return batch

    def _description(self, name: str, length: int, dtype: np.dtype[Any]) -> DataDesc:
        shape = (self.batch_size, length) if self.layout == "NT" else (length, self.batch_size)
        return DataDesc(name, shape, dtype.type, self.layout)


class _Load:
    """Makes a batch: `batches` has its bucket and its place there.

    A bucket's rows are one longer than its sentences, so that data and label are both in them.
    """

    def __init__(
        self,
        buckets: list[ArraySource],
        batches: list[tuple[int, int]],
        batch_size: int,
        layout: str,
    ) -> None:
        self._buckets = buckets
        self._batches = batches
        self._batch_size = batch_size
        self._layout = layout

    def __call__(self, take: BatchIndices) -> LoadedBatch:
        bucket, first = self._batches[int(take.record[0])]
        source = self._buckets[bucket]
        places = np.arange(first, first + self._batch_size, dtype=np.int64)
        order = take.order
        rows = permute(places, source.shape[0], order.seed, int(take.epoch[0]), bucket + 1)
        with on_device(source.context):
            both = source[rows]
            data, label = both[:, :-1], both[:, 1:]
            if self._layout == "TN":
                data, label = data.T, label.T
            return LoadedBatch([data.copy()], [label.copy()], 0)


def _fill(
    sentences: Sequence[Sequence[int]],
    lengths: list[int],
    buckets: list[int],
    filler: float,
    dtype: np.dtype[Any],
) -> dict[int, NDArray[Any]]:
    """Each bucket's sentences, filled up to its length and one place more; no empty bucket."""
    members: dict[int, list[int]] = {bucket: [] for bucket in buckets}
    too_long = 0
    for number, length in enumerate(lengths):
        place = bisect.bisect_left(buckets, length)
        if place == len(buckets):
            too_long += 1
        else:
            members[buckets[place]].append(number)
    if too_long:
        log.warning("left out %d sentences that are longer than the largest bucket", too_long)
    filled = {}
    for bucket, numbers in members.items():
        if numbers:
            filled[bucket] = np.full((len(numbers), bucket + 1), filler, dtype)
            for row, number in zip(filled[bucket], numbers, strict=True):
                row[: lengths[number]] = sentences[number]
    return filled
