"""Sentences as numbers, in buckets."""

import logging

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError

SENTENCES = [[1, 2], [3, 4], [5], [6], [7, 8, 9], [1, 1]]


def rows(
    iterator: mx.rnn.BucketSentenceIter, time_major: bool = False
) -> list[tuple[int, list[float], list[float]]]:
    """Length, data and label of each row of an epoch."""
    found = []
    for batch in iterator:
        (data,), (label,) = batch.data, batch.label
        assert batch.provide_data[0].shape == data.shape == batch.provide_label[0].shape
        data, label = data.asnumpy(), label.asnumpy()
        if time_major:
            data, label = data.T, label.T
        assert data.shape == (iterator.batch_size, batch.bucket_key)
        assert batch.pad == 0 and batch.index is None
        found += [
            (batch.bucket_key, one.tolist(), two.tolist())
            for one, two in zip(data, label, strict=True)
        ]
    return found


@pytest.mark.parametrize("layout", ["NT", "TN"])
def test_buckets_are_found_and_labels_moved(
    layout: str, ctx: mx.Context, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "gpuio"),
        mx.rnn.BucketSentenceIter(SENTENCES, 2, layout=layout, ctx=ctx) as iterator,
    ):
        assert "dropped 1 sentences" in caplog.text
        assert iterator.buckets == [1, 2] and iterator.default_bucket_key == 2
        assert repr(iterator.provide_data) == (
            f"[DataDesc[data,(2, 2),<class 'numpy.float32'>,{layout}]]"
        )
        found = rows(iterator, layout == "TN")
    assert sorted(row for row in found if row[0] == 1) == [(1, [5], [-1]), (1, [6], [-1])]
    assert {tuple(row[1]) for row in found if row[0] == 2} < {(1, 2), (3, 4), (1, 1)}
    for _, data, label in found:
        assert label == [*data[1:], -1]


def test_given_buckets_fill_up(ctx: mx.Context) -> None:
    with mx.rnn.BucketSentenceIter(
        SENTENCES, 3, [9, 4, 2], invalid_label=0, dtype="int32", ctx=ctx
    ) as iterator:
        assert iterator.buckets == [2, 4]  # nothing is long enough for the largest
        assert iterator.provide_label[0].dtype == np.int32
        found = rows(iterator)
    assert len(found) == 3  # of five sentences; the bucket with one has no whole batch
    for _, data, label in found:
        assert data in ([1, 2], [3, 4], [5, 0], [6, 0], [1, 1])
        assert label == [data[1], 0]


def test_each_epoch_has_its_order() -> None:
    sentences = [[number, number] for number in range(8)] + [[number] for number in range(8)]
    with mx.rnn.BucketSentenceIter(sentences, 2, seed=1) as iterator:
        epochs = []
        for _ in range(3):
            found = rows(iterator)
            assert len({str(row) for row in found}) == 16
            epochs.append(str(found))
            iterator.reset()
    assert len(set(epochs)) == 3
    with mx.rnn.BucketSentenceIter(sentences, 2, seed=1) as iterator:
        assert str(rows(iterator)) == epochs[0]
    np.random.seed(5)
    first = str(rows(mx.rnn.BucketSentenceIter(sentences, 2)))
    np.random.seed(5)
    assert str(rows(mx.rnn.BucketSentenceIter(sentences, 2))) == first


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((SENTENCES, 10), {}, "no bucket of"),
        ((SENTENCES, 2, []), {}, "no bucket of"),
        (([], 2), {}, "0 in total"),
        ((SENTENCES, 0), {}, "batch_size must be at least 1"),
        (([["a", "b"], ["b", "a"]], 2), {}, "sentence 0 is not a list of numbers.*encode_sent"),
        ((SENTENCES, 2), {"layout": "NTC"}, "layout must be 'NT' or 'TN'"),
        ((SENTENCES, 2, [0]), {}, "buckets must be at least 1"),
        ((SENTENCES, 2), {"dtype": "int8", "invalid_label": 300}, "invalid_label"),
    ],
    ids=str,
)
def test_mistakes(arguments: tuple, options: dict, text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        mx.rnn.BucketSentenceIter(*arguments, **options)


WORDS = [["a", "b"], ["c", "a"]]


def test_words_are_numbered_as_in_mxnet() -> None:
    encode = mx.rnn.encode_sentences
    assert encode(WORDS) == ([[0, 1], [2, 0]], {"\n": -1, "a": 0, "b": 1, "c": 2})
    assert encode(WORDS, start_label=1) == ([[1, 2], [3, 1]], {"\n": -1, "a": 1, "b": 2, "c": 3})
    assert encode(WORDS, invalid_label=0) == ([[1, 2], [3, 1]], {"\n": 0, "a": 1, "b": 2, "c": 3})
    assert encode(WORDS, invalid_label=1, invalid_key="") == (
        [[0, 2], [3, 0]],
        {"": 1, "a": 0, "b": 2, "c": 3},
    )
    vocabulary = {"a": 5, "b": 6, "c": 7}
    assert encode(WORDS, vocabulary) == ([[5, 6], [7, 5]], vocabulary)


def test_unknown_words_share_one_number() -> None:
    encode = mx.rnn.encode_sentences
    with pytest.raises(ArgumentError, match="the word 'c' is not in the vocabulary"):
        encode(WORDS, {"a": 5, "b": 6})
    vocabulary = {"a": 0, "b": 6}
    coded, returned = encode([*WORDS, ["d"]], vocabulary, unknown_token="u")
    assert coded == [[0, 6], [1, 0], [1]]  # MXNet numbered each anew, and could repeat numbers
    assert returned is vocabulary == {"a": 0, "b": 6, "u": 1}
    assert encode(WORDS, {"a": 5, "b": 6, "u": 9}, unknown_token="u")[0] == [[5, 6], [9, 5]]


def test_sentences_that_do_not_fit() -> None:
    for word in (10**400, 10**12):
        with pytest.raises(ArgumentError, match="sentence 1 is not a list of numbers of type"):
            mx.rnn.BucketSentenceIter([[1, 2], [1, word]], 2, dtype="int32")
    # The longest does not decide about the memory that counting the lengths takes.
    long = range(2**48)
    with pytest.raises(ArgumentError, match="a bucket of shape"):
        mx.rnn.BucketSentenceIter([long], 1)  # type: ignore[list-item]
