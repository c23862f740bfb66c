"""The data loading of MXNet's ``mx.rnn``: sentences as integers, in batches of similar lengths."""

from __future__ import annotations

import bisect
import collections
import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from gpuio import nd
from gpuio.context import Context, as_context, on_device, require
from gpuio.errors import ArgumentError
from gpuio.io.array_sources import ArraySource, fingerprint
from gpuio.io.rows_iter import OrderedRowsIter, seed_or_draw
from gpuio.iterators.arguments import as_batch_size, as_choice, as_float, as_int, check_call
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.loading.batch import LoadedBatch
from gpuio.nd.conversion import as_dtype
from gpuio.nd.shapes import check_memory
from gpuio.nd.types import DType, HostArray
from gpuio.sampling.order import BatchIndices, Order
from gpuio.sampling.permutation import permute

__all__ = ["BucketSentenceIter", "encode_sentences"]

# Any hashable object.
Word: TypeAlias = Any

log = logging.getLogger("gpuio")


def encode_sentences(
    sentences: Iterable[Iterable[Word]],
    vocab: dict[Word, int] | None = None,
    invalid_label: int = -1,
    invalid_key: Word = "\n",
    start_label: int = 0,
    unknown_token: Word | None = None,
) -> tuple[list[list[int]], dict[Word, int]]:
    """Encode words as integers.

    Parameters
    ----------
    sentences : lists of words
    vocab : integers by word; None: a new vocabulary that numbers the words in order of appearance
    invalid_label : the integer of `invalid_key`; no word gets it
    invalid_key : stands for the end of a sentence in a new vocabulary
    start_label : the first integer to assign to a word
    unknown_token : replaces words that are not in the given vocabulary, and is added to it if
        missing; None: such a word is an error

    Returns
    -------
    (the sentences as lists of integers, the vocabulary)

    Raises
    ------
    ArgumentError : a word is not in the vocabulary, and there is no unknown_token.
    """
    known: dict[Word, int] = {invalid_key: invalid_label} if vocab is None else vocab
    taken = {*known.values(), invalid_label}
    free = (number for number in itertools.count(start_label) if number not in taken)

    def number_of(word: Word) -> int:
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
    """Batches of sentences of similar lengths, for language models.

    Each sentence is put into the smallest bucket that fits, and padded with `invalid_label`; longer
    sentences than the largest bucket are dropped, which is logged. The label is the sentence
    shifted by one: the next word at each position, `invalid_label` at the last. All sentences of a
    batch are from one bucket; batches and sentences have a new order each epoch; a bucket's last,
    incomplete batch is dropped.

    Parameters
    ----------
    sentences : lists of integers, see `encode_sentences`
    batch_size : sentences in a batch
    buckets : lengths; None: those of at least `batch_size` sentences
    invalid_label : the padding
    data_name, label_name : the arrays' names
    dtype : of data and labels
    layout : "NT" (batch_size, length) or "TN" (length, batch_size)
    seed : determines the order; None: drawn from NumPy's global generator. A saved state contains
        its seed
    ctx : the device; None: the current context. On a GPU all sentences are copied there once

    Attributes
    ----------
    buckets : the lengths of the non-empty buckets, ascending
    default_bucket_key : the largest
    provide_data, provide_label : one DataDesc each, for the largest bucket; a batch has its own,
        and its length as `bucket_key`

    Raises
    ------
    ArgumentError : no bucket has enough sentences for a batch, or a value is out of range.
    ContextError : the device is not available.
    """

    @check_call
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
        super().__init__(as_batch_size(batch_size))
        self.layout = as_choice("layout", layout, ("NT", "TN"))
        self.major_axis = layout.index("N")
        self.invalid_label = invalid_label
        self.data_name, self.label_name = data_name, label_name
        ctx = as_context(ctx)
        require(ctx)
        target = as_dtype(dtype)
        if np.array(as_float("invalid_label", invalid_label)).astype(target) != invalid_label:
            raise ArgumentError(f"invalid_label {invalid_label} cannot be represented in {target}")
        lengths = [len(sentence) for sentence in sentences]
        if buckets is None:
            counts = collections.Counter(lengths)
            chosen = sorted(each for each in counts if counts[each] >= self.batch_size)
        else:
            chosen = sorted({as_int("buckets", bucket, 1) for bucket in buckets})
        filled = _fill(sentences, lengths, chosen, invalid_label, target)
        self.buckets = list(filled)
        batches = [
            (number, first)
            for number, rows in enumerate(filled.values())
            for first in range(0, len(rows) - self.batch_size + 1, self.batch_size)
        ]
        if not batches:
            raise ArgumentError(
                f"no bucket of {chosen} has {self.batch_size} sentences, and there are "
                f"{len(lengths)} in total; use a smaller batch_size or other buckets"
            )
        self.default_bucket_key = max(self.buckets)
        sources = [ArraySource(str(key), nd.wrap(rows), 0) for key, rows in filled.items()]
        order = Order(len(batches), 1, True, seed_or_draw(seed), "discard")
        self._set_ordered_stream(
            order,
            _load_from(
                [source.to(ctx) for source in sources], batches, self.batch_size, self.layout
            ),
            ctx,
            [self._description(data_name, self.default_bucket_key, sources[0].dtype)],
            [self._description(label_name, self.default_bucket_key, sources[0].dtype)],
            fingerprint=fingerprint(sources),
            seed_was_drawn=seed is None,
            on_device=True,
        )

    def _source_name(self) -> str:
        return f"buckets {self.buckets}"

    def _to_batch(self, loaded: LoadedBatch) -> DataBatch:
        batch = super()._to_batch(loaded)
        (data,) = batch.data
        batch.bucket_key = key = data.shape[1 - self.major_axis]
        batch.provide_data = [self._description(self.data_name, key, data.dtype)]
        batch.provide_label = [self._description(self.label_name, key, data.dtype)]
        return batch

    def _description(self, name: str, length: int, dtype: DType) -> DataDesc:
        shape = (self.batch_size, length) if self.layout == "NT" else (length, self.batch_size)
        return DataDesc(name, shape, dtype.type, self.layout)


def _load_from(
    buckets: Sequence[ArraySource],
    batches: Sequence[tuple[int, int]],
    batch_size: int,
    layout: str,
) -> Callable[[BatchIndices], LoadedBatch]:
    """A function that makes batches; ``batches[record]`` is a batch's bucket and first row.

    A bucket's rows are one longer than its sentences, so that they contain data and label.
    """

    def load(indices: BatchIndices) -> LoadedBatch:
        bucket, first = batches[int(indices.record[0])]
        source = buckets[bucket]
        positions = np.arange(first, first + batch_size, dtype=np.int64)
        seed, epoch = indices.order.seed, int(indices.epoch[0])
        rows = permute(positions, source.shape[0], seed, epoch, bucket + 1)
        with on_device(source.context):
            both = source[rows]
            data, label = both[:, :-1], both[:, 1:]
            if layout == "TN":
                data, label = data.T, label.T
            return LoadedBatch([data.copy()], [label.copy()], 0)

    return load


def _fill(
    sentences: Sequence[Sequence[int]],
    lengths: list[int],
    buckets: list[int],
    padding: float,
    dtype: DType,
) -> dict[int, HostArray]:
    """Each non-empty bucket's sentences, padded to its length plus one."""
    members: dict[int, list[int]] = {bucket: [] for bucket in buckets}
    too_long = 0
    for number, length in enumerate(lengths):
        index = bisect.bisect_left(buckets, length)
        if index == len(buckets):
            too_long += 1
        else:
            members[buckets[index]].append(number)
    if too_long:
        log.warning("dropped %d sentences that are longer than the largest bucket", too_long)
    filled: dict[int, HostArray] = {}
    for bucket, numbers in members.items():
        if numbers:
            check_memory("a bucket", (len(numbers), bucket + 1), dtype.itemsize)
            filled[bucket] = np.full((len(numbers), bucket + 1), padding, dtype)
            for row, number in zip(filled[bucket], numbers, strict=True):
                try:
                    row[: lengths[number]] = sentences[number]
                except (TypeError, ValueError, OverflowError) as error:
                    raise ArgumentError(
                        f"sentence {number} is not a list of numbers of type {dtype}: {error}; "
                        "encode_sentences turns words into numbers"
                    ) from error
    return filled
