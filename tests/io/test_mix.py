"""MixIter: batches of several iterators."""

import contextlib
import copy
import math
import pickle
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, Error, StateError, UnsupportedError
from gpuio.iterators.stream_iter import RESET_MEANWHILE
from tests.interruptions import Interruption
from tests.io.conformance import trace
from tests.io.records import jpeg, write_records
from tests.io.threads import gpuio_threads, run_in_thread
from tests.io.wrong_states import wrong_states
from tests.test_hostile_arguments import HOSTILE


def rows(first: int, batches: int, **options: Any) -> mx.io.NDArrayIter:
    """An iterator of batches of two rows; the labels number the batches."""
    numbers = np.repeat(np.arange(first, first + batches), 2)
    return mx.io.NDArrayIter(numbers[:, None] / 2, numbers, 2, **options)


def mixed(*batches: int, **options: Any) -> mx.io.MixIter:
    """The batches of the iterators are numbered from 0, from 100 and so on."""
    inner = [rows(100 * number, count) for number, count in enumerate(batches)]
    return mx.io.MixIter(inner, **options)


def numbers_of(iterator: mx.io.DataIter) -> list[int]:
    """The numbers of an epoch's batches; the next one is begun."""
    found = [int(batch.label[0][0].asscalar()) for batch in iterator]
    iterator.reset()
    return found


class Counts(mx.io.DataIter):
    """A user's own iterator, which cannot save its state."""

    provide_data = [("data", (2,))]  # type: ignore[assignment]
    provide_label: Any = []

    def __init__(self, batches: int = 3) -> None:
        super().__init__(2)
        self.at, self.batches = 0, batches
        self.broken = self.closed = False

    def reset(self) -> None:
        if self.broken:
            raise OSError("reset is broken")
        self.at = 0

    def __next__(self) -> mx.io.DataBatch:
        if self.broken:
            raise OSError("broken")
        if self.at >= self.batches:
            raise StopIteration
        self.at += 1
        return mx.io.DataBatch([mx.nd.array([self.at] * 2)], [], 0)

    def close(self) -> None:
        self.closed = True


class Saves(Counts):
    """One that can."""

    def state_dict(self) -> Any:
        return {"at": self.at}

    def load_state_dict(self, state: Any) -> None:
        if state["at"] == 99:
            raise ValueError("99 is too much")
        self.at = state["at"]


def firsts(iterator: mx.io.DataIter) -> list[int]:
    return [int(batch.data[0][0].asscalar()) for batch in iterator]


def test_batches_come_in_the_proportions_of_the_weights() -> None:
    with mixed(600, 300, 100, weights=[6, 3, 1], seed=4, size=1000) as iterator:
        sources = [
            number // 100
            for number in numbers_of(mixed(99, 99, 99, weights=[6, 3, 1], seed=4, size=90))
        ]
        assert Counter(sources) == {0: 54, 1: 27, 2: 9}
        counts: Counter[int] = Counter()
        for step, batch in enumerate(iterator, 1):
            assert iterator.current_source is not None
            counts[iterator.current_source] += 1
            assert batch.data[0].shape == (2, 1)
            for source, share in enumerate((0.6, 0.3, 0.1)):
                assert abs(counts[source] - share * step) < 2


def test_each_iterators_batches_stay_in_order() -> None:
    found = numbers_of(mixed(9, 5, weights=[2, 1], stopping_strategy="first_exhausted"))
    assert [number for number in found if number < 100] == list(range(len(found) * 2 // 3))[:9]
    second = [number for number in found if number >= 100]
    assert second == list(range(100, 100 + len(second)))


def test_first_exhausted_ends_with_the_batch_that_is_missing() -> None:
    for seed in range(6):
        iterator = mixed(20, 4, weights=[1, 1], seed=seed)
        found = numbers_of(iterator)
        assert [number for number in found if number >= 100] == [100, 101, 102, 103]
        assert 4 <= len(found) - 4 <= 5
        assert numbers_of(iterator)[0] in (0, 100)  # all begin anew


def test_all_exhausted_ends_when_each_has_given_all_of_its_batches() -> None:
    for seed in range(6):
        found = numbers_of(mixed(20, 4, seed=seed, stopping_strategy="all_exhausted"))
        assert [number for number in found if number < 100] == list(range(20))
        second = [number for number in found if number >= 100]
        assert second == [100 + at % 4 for at in range(len(second))] and 20 <= len(second) <= 21


def test_with_a_size_the_iterators_go_on_where_they_are() -> None:
    iterator = mixed(20, 3, weights=[2, 1], size=6)
    found = [numbers_of(iterator) for _ in range(7)]
    assert [len(each) for each in found] == [6] * 7
    together = [number for each in found for number in each]
    assert [number for number in together if number < 100] == [at % 20 for at in range(28)]
    assert [number for number in together if number >= 100] == [100 + at % 3 for at in range(14)]
    orders = {str([number >= 100 for number in each]) for each in found}
    assert len(orders) > 1  # the order of the iterators is another in each epoch
    next(iterator)
    iterator.reset()
    assert iterator.epoch == 8 and len(numbers_of(iterator)) == 6


@pytest.mark.parametrize("options", [{}, {"stopping_strategy": "all_exhausted"}, {"size": 7}])
def test_the_length_of_an_epoch_is_known_before(options: dict[str, Any]) -> None:
    for seed in range(8):
        iterator = mixed(11, 3, 6, weights=[3, 1, 1.7], seed=seed, **options)
        for _ in range(3):
            expected = len(iterator)
            first = next(iterator)
            assert len(iterator) == expected
            assert len([first, *iterator]) == expected == len(iterator)
            iterator.reset()


def test_the_length_may_be_unknown() -> None:
    with mx.io.MixIter([Counts(), Counts()]) as iterator:
        with pytest.raises(TypeError, match="Counts has no len"):
            len(iterator)
        assert iterator and len(firsts(iterator)) >= 3
    assert len(mx.io.MixIter([Counts(), Counts()], size=3)) == 3


def test_ranks_take_batches_of_the_same_iterator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [jpeg(number, 20, 16) for number in range(13)]
    files = [write_records(tmp_path / "a", images), write_records(tmp_path / "b", images[:7])]

    def opened(world: int, rank: int) -> mx.io.MixIter:
        monkeypatch.setenv("WORLD_SIZE", str(world))
        monkeypatch.setenv("RANK", str(rank))
        return mx.io.MixIter(
            [
                mx.io.ImageRecordIter(
                    **each, data_shape=(3, 8, 8), batch_size=6 // world, shuffle=True, seed=2,
                    num_parts="auto", preprocess_threads=1, verbose=False,
                )
                for each in files
            ],
            [2, 1], seed=1, size=8,
        )  # fmt: skip

    def stream(world: int) -> list[list[float]]:
        ranks = [opened(world, rank) for rank in range(world)]
        found = []
        for _ in range(2):
            for batches in zip(*ranks, strict=True):
                sources = {rank.current_source for rank in ranks}
                assert len(sources) == 1
                labels = [label for batch in batches for label in batch.label[0].tolist()]
                found.append([*sources, *labels])
            for rank in ranks:
                rank.reset()
        for rank in ranks:
            rank.close()
        return found

    assert stream(1) == stream(2) == stream(3)
    assert not gpuio_threads()


@pytest.mark.parametrize("options", [{}, {"stopping_strategy": "all_exhausted"}, {"size": 5}])
def test_states_resume_and_wrong_ones_are_refused(options: dict[str, Any]) -> None:
    iterator = mixed(6, 2, weights=[2, 1], **options)
    states, whole = [], []
    for _ in range(16):
        states.append(iterator.state_dict())
        whole += trace(iterator, 1)
    whole += trace(iterator, 4)
    for stop in (15, 0, 7, 3, 11):
        iterator.load_state_dict(states[stop])
        assert iterator.current_source is None
        before = iterator.state_dict()
        assert before == states[stop]
        for wrong in wrong_states(before):
            with pytest.raises(StateError, match="not a state of MixIter"):
                iterator.load_state_dict(wrong)
        assert iterator.state_dict() == before
        assert trace(iterator, 4) == whole[stop : stop + 4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"taken": [5, 0]}, "not batches that come first"),
        ({"taken": [0, 3]}, "not batches that come first"),
        ({"ended": True}, "contradict ended=True"),
        ({"lengths": [9, 0]}, "contradict"),
        ({"lengths": [1, 1]}, "contradict"),
        ({"taken": [1]}, "expected a list of 2"),
        ({"taken": [2**41, 2**40]}, "at most"),
        ({"iterators": [{}, {}]}, "not a state of NDArrayIter"),
    ],
)
def test_values_that_contradict_each_other_are_refused(change: Any, words: str) -> None:
    iterator = mixed(9, 9, weights=[2, 1])
    for _ in range(3):
        next(iterator)
    state = iterator.state_dict()
    assert state["taken"] == [2, 1]
    with pytest.raises(StateError, match=words):
        iterator.load_state_dict({**state, **change})
    assert iterator.state_dict() == state


@pytest.mark.parametrize(
    "changes",
    [{"weights": [2, 1]}, {"seed": 1}, {"size": 9}, {"stopping_strategy": "all_exhausted"}],
)
def test_a_state_of_another_mixture_is_refused(changes: dict[str, Any]) -> None:
    state = mixed(4, 4).state_dict()
    with pytest.raises(StateError, match="here it is"):
        mixed(4, 4, **changes).load_state_dict(state)


def test_own_iterators_are_mixed() -> None:
    first, second = Counts(), Counts(5)
    with mx.io.MixIter([first, second], stopping_strategy="all_exhausted") as iterator:
        found = firsts(iterator)
        assert Counter(found)[5] == 1 and Counter(found)[3] >= 2
        with pytest.raises(NotImplementedError, match="Counts cannot save its state"):
            iterator.state_dict()
        iterator.reset()
        assert sorted(firsts(iterator)) == sorted(found)
        with pytest.raises(UnsupportedError, match="once it has given"):
            pickle.dumps(iterator)
    assert first.closed and second.closed


def test_own_iterators_with_states_resume() -> None:
    iterator = mx.io.MixIter([Saves(), Saves(5)], [1, 2], size=6)
    assert len(firsts(iterator)) == 6
    iterator.reset()
    next(iterator)
    state = iterator.state_dict()
    rest = firsts(iterator)
    for again in (pickle.loads(pickle.dumps(iterator)), copy.deepcopy(iterator), iterator):
        again.load_state_dict(state)
        assert firsts(again) == rest


def test_one_that_refuses_its_state_moves_no_other() -> None:
    first, second = Saves(9), Saves(9)
    iterator = mx.io.MixIter([first, second], seed=1)
    for _ in range(4):
        next(iterator)
    state = iterator.state_dict()
    wrong = {**state, "iterators": [{"at": 0}, {"at": 99}]}
    with pytest.raises(StateError, match="99 is too much"):
        iterator.load_state_dict(wrong)
    assert iterator.state_dict() == state and (first.at, second.at) == (2, 2)


def test_an_iterator_without_batches_is_an_error() -> None:
    for options in ({}, {"size": 3}, {"stopping_strategy": "all_exhausted"}):
        iterator = mx.io.MixIter([Saves(0), Saves(0)], **options)
        with pytest.raises(Error, match=r"iterator \d, Saves, has no batches, even after reset"):
            next(iterator)
        assert iterator.state_dict()["taken"] == [0, 0]


def test_one_that_was_at_its_end_is_reset() -> None:
    inner = rows(0, 3)
    list(inner)
    assert numbers_of(mx.io.MixIter([inner])) == [0, 1, 2]


def test_after_an_error_the_batch_is_asked_for_again() -> None:
    inner = Saves(4)
    iterator = mx.io.MixIter([inner])
    next(iterator)
    inner.broken = True
    with pytest.raises(OSError, match="broken"):
        next(iterator)
    with pytest.raises(OSError, match="reset is broken"):
        iterator.reset()
    inner.broken = False
    assert firsts(iterator) == [2, 3, 4]


def test_after_a_failed_reset_of_one_that_cannot_be_put_back() -> None:
    inner = [Counts(4), Counts(4)]
    iterator = mx.io.MixIter(inner, seed=2)
    next(iterator)
    inner[1].broken = True
    with pytest.raises(OSError, match="reset is broken"):
        iterator.reset()
    inner[1].broken = False
    with pytest.raises(Error, match=r"cannot be restored.*reset\(\) begins the next epoch"):
        next(iterator)
    iterator.reset()
    assert iterator.epoch == 1 and sorted(firsts(iterator))[-1] == 4


def test_an_interruption_of_own_iterators_is_survived() -> None:
    """An epoch of a number of batches has as many, whenever it was interrupted."""
    at, place = 0, ""
    while place is not None:
        iterator = mx.io.MixIter([Counts(9), Counts(9)], size=4)
        found = []
        with Interruption(at) as interruption:
            for _ in range(5):
                with contextlib.suppress(KeyboardInterrupt):
                    found.append(next(iterator, None))
        assert sum(batch is not None for batch in found) in (3, 4)
        place, at = interruption.place, at + 7


class Slow(mx.io.IndexedIter):
    """Its batches wait, once it is told so."""

    fingerprint = "slow"
    slow = False

    def __init__(self) -> None:
        self.waiting, self.go_on, self.restored = (threading.Event() for _ in range(3))
        super().__init__(8, 2, prefetch_buffer=1)

    def load(self, rows: np.ndarray) -> Any:
        if self.slow:
            self.waiting.set()
            self.go_on.wait(20)
        return rows, rows

    def load_state_dict(self, state: Any) -> None:
        self.restored.set()
        super().load_state_dict(state)


@pytest.mark.parametrize("what", ["reset", "close"])
def test_another_thread_interrupts_one_that_waits(what: str) -> None:
    slow = Slow()
    iterator = mx.io.MixIter([slow])
    slow.slow = True
    thread, raised = run_in_thread(iterator.next)
    assert slow.waiting.wait(20)
    other, failed = run_in_thread(getattr(iterator, what))
    if what == "reset":  # what was asked of the iterator is put back
        assert slow.restored.wait(20)
    else:
        thread.join(20)
        assert not thread.is_alive()
    slow.go_on.set()
    for each in (thread, other):
        each.join(20)
        assert not each.is_alive()
    words = RESET_MEANWHILE if what == "reset" else "closed while a batch was awaited"
    assert len(raised) == 1 and words in str(raised[0]) and not failed
    if what == "reset":
        assert iterator.next().data[0].tolist() == [0, 1]
    iterator.close()
    with pytest.raises(Error, match="closed"):
        next(iterator)


def test_each_thread_gets_a_batch_of_its_own() -> None:
    with mixed(40, 20, weights=[2, 1], size=60) as iterator:
        found: list[int] = []

        def draw() -> None:
            for batch in iterator:
                found.append(int(batch.label[0][0].asscalar()))

        threads = [run_in_thread(draw) for _ in range(4)]
        for thread, raised in threads:
            thread.join(20)
            assert not raised
    assert sorted(found) == [*range(40), *range(100, 120)]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"iters": []}, ArgumentError, "needs a list of iterators"),
        ({"iters": "ab"}, ArgumentError, "needs a list of iterators"),
        ({"iters": rows(0, 2)}, ArgumentError, "needs a list of iterators"),
        ({"iters": [rows(0, 2), [1]]}, TypeError, "takes iterators, not list"),
        ({"weights": [1]}, ArgumentError, "a number for each of 2 iterators"),
        ({"weights": [1, -1]}, ArgumentError, "above 0"),
        ({"size": 0}, ArgumentError, "size must be at least 1"),
        ({"stopping_strategy": "last"}, ArgumentError, "'first_exhausted' or 'all_exhausted'"),
        ({"size": 3, "stopping_strategy": "all_exhausted"}, ArgumentError, "give one of them"),
        ({"seed": "a"}, ArgumentError, "seed must be an integer"),
        ({"probabilities": [1, 1]}, TypeError, "use weights"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        mx.io.MixIter(**{"iters": [rows(0, 2), rows(9, 2)], **arguments})


@pytest.mark.parametrize("name", ["iters", "weights", "seed", "stopping_strategy", "size"])
def test_hostile_arguments(name: str) -> None:
    for value in (*HOSTILE, [math.nan] * 2, [1e308] * 2, [[1], [2]], {1.0, 2.0}):
        with contextlib.suppress(Error, TypeError):
            arguments: dict[str, Any] = {"iters": [rows(0, 2), rows(9, 2)], name: value}
            mx.io.MixIter(**arguments).next()


def test_batches_must_look_alike() -> None:
    others = [
        mx.io.NDArrayIter(np.ones((8, 1)), np.ones(8), 4),
        mx.io.NDArrayIter(np.ones((8, 2)), np.ones(8), 2),
        mx.io.NDArrayIter(np.ones((8, 1), np.uint8), np.ones(8), 2, dtype=None),
        mx.io.NDArrayIter({"image": np.ones((8, 1))}, np.ones(8), 2),
        mx.io.NDArrayIter(np.ones((8, 1)), None, 2),
    ]
    for other in others:
        with pytest.raises(ArgumentError, match=r"provide_\w+ of iterator 0 is .* of iterator 1"):
            mx.io.MixIter([rows(0, 2), other])
    one = rows(0, 2)
    with pytest.raises(ArgumentError, match="iterator 1 is in the list twice"):
        mx.io.MixIter([one, one])


def test_it_says_what_it_is() -> None:
    assert repr(mixed(3, 3)).startswith("<MixIter: over NDArrayIter and NDArrayIter, batch_size=2")
