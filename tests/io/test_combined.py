"""PrefetchingIter, ResizeIter and people's own iterators."""

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, Error, StateError, UnsupportedError
from tests.io.conformance import trace
from tests.io.golden import arrays, assert_described, assert_epoch, tables
from tests.io.threads import no_threads_left, run_in_thread


class SimpleIter(mx.io.DataIter):
    """The iterator of MXNet's tutorial: its own descriptions and `next`, and nothing else, not even
    the base's constructor."""

    def __init__(
        self,
        data_names: list[str],
        data_shapes: list[tuple[int, ...]],
        data_gen: list[Callable[[tuple[int, ...]], Any]],
        label_names: list[str],
        label_shapes: list[tuple[int, ...]],
        label_gen: list[Callable[[tuple[int, ...]], Any]],
        num_batches: int = 10,
    ) -> None:
        self.data_described = list(zip(data_names, data_shapes, strict=True))
        self.label_described = list(zip(label_names, label_shapes, strict=True))
        self.num_batches = num_batches
        self.data_gen = data_gen
        self.label_gen = label_gen
        self.cur_batch = 0

    def __iter__(self) -> Any:
        return self

    def reset(self) -> None:
        self.cur_batch = 0

    def __next__(self) -> mx.io.DataBatch:
        return self.next()

    @property
    def provide_data(self) -> Any:
        return self.data_described

    @property
    def provide_label(self) -> Any:
        return self.label_described

    def next(self) -> mx.io.DataBatch:
        if self.cur_batch < self.num_batches:
            self.cur_batch += 1
            data = [
                mx.nd.array(g(d[1]))
                for d, g in zip(self.data_described, self.data_gen, strict=True)
            ]
            label = [
                mx.nd.array(g(d[1]))
                for d, g in zip(self.label_described, self.label_gen, strict=True)
            ]
            return mx.io.DataBatch(data, label)
        raise StopIteration


def simple(batches: int = 4) -> SimpleIter:
    count = iter(range(10**6))
    return SimpleIter(
        ["data"],
        [(3, 2)],
        [lambda shape: np.full(shape, next(count))],
        ["softmax_label"],
        [(3,)],
        [lambda shape: np.arange(*shape)],
        batches,
    )


class Bare(mx.io.DataIter):
    """Only ``__next__``, as Python's own iterators; may fail or wait at one of its batches."""

    provide_data = [("data", (2,))]  # type: ignore[assignment]
    provide_label: Any = []

    def __init__(
        self, batches: int, fail_at: int = -1, wait: threading.Event | None = None
    ) -> None:
        super().__init__(2)
        self.batches, self.fail_at, self.wait = batches, fail_at, wait
        self.at = 0
        self.asked = threading.Event()
        self.closed = False

    def reset(self) -> None:
        self.at = 0

    def __next__(self) -> mx.io.DataBatch:
        if self.at == self.batches:
            raise StopIteration
        if self.at == self.fail_at:
            raise ValueError("the source is broken")
        self.asked.set()
        if self.wait is not None:
            self.wait.wait(20)
        self.at += 1
        return mx.io.DataBatch([mx.nd.array([self.at - 1] * 2)], [], 0)

    def close(self) -> None:
        self.closed = True


class Counts(mx.io.DataIter):
    """It cannot save its state."""

    def __init__(self) -> None:
        self.provide_data, self.provide_label = [("data", (2,))], []
        self.at = 0

    def reset(self) -> None:
        self.at = 0

    def next(self) -> mx.io.DataBatch:
        self.at += 1
        if self.at > 3:
            raise StopIteration
        return mx.io.DataBatch([mx.nd.array([self.at] * 2)])


@pytest.mark.parametrize(
    "wrap", [mx.io.PrefetchingIter, lambda inner: mx.io.ResizeIter(inner, 3)], ids=["p", "r"]
)
def test_without_states_it_can_be_pickled_before_the_first_batch(wrap: Any) -> None:
    with wrap(Counts()) as outer:
        with pickle.loads(pickle.dumps(outer)) as again, copy.deepcopy(outer) as another:
            assert firsts(again) == firsts(another) == firsts(outer) == [1, 2, 3]
        with pytest.raises(UnsupportedError, match=r"once it has given.*Counts cannot save"):
            pickle.dumps(outer)


@pytest.mark.parametrize("wrap", [mx.io.PrefetchingIter, lambda inner: mx.io.ResizeIter(inner, 3)])
def test_the_current_batch(wrap: Any) -> None:
    with wrap(Counts()) as outer:
        assert outer.current_batch is None
        assert outer.iter_next() and outer.current_batch.data[0].tolist() == [1, 1]
        assert outer.getdata()[0] is outer.current_batch.data[0]
        assert len(firsts(outer)) == 2 and outer.current_batch is None


def firsts(iterator: mx.io.DataIter) -> list[int]:
    return [int(batch.data[0].asnumpy().flat[0]) for batch in iterator]


def test_golden_resize() -> None:
    with mx.io.ResizeIter(mx.io.NDArrayIter(*tables(), 4), 5) as iterator:
        assert iterator.batch_size == 4 and len(iterator) == 5
        for epoch in range(2):
            assert_epoch(list(iterator), arrays("resizeiter"), epoch)
            iterator.reset()


def test_golden_prefetching() -> None:
    x, y = tables()
    with mx.io.PrefetchingIter(
        [mx.io.NDArrayIter(x, y, 4), mx.io.NDArrayIter(x + 1, y + 1, 4)],
        rename_data=[{"data": "a"}, {"data": "b"}],
        rename_label=[{"softmax_label": "la"}, {"softmax_label": "lb"}],
    ) as iterator:
        assert_described(iterator, "PrefetchingIter")
        assert iterator.batch_size == 4
        for epoch in range(2):
            batches = list(iterator)
            assert_epoch(batches, arrays("prefetching"), epoch)
            assert batches[0].provide_data == iterator.provide_data
            iterator.reset()


def test_next_or_its_python_name_suffices() -> None:
    bare = Bare(3)
    assert bare.next().data[0].tolist() == [0, 0]
    assert firsts(bare) == [1, 2]
    assert firsts(simple()) == [0, 1, 2, 3]


@pytest.mark.parametrize("make", [simple, lambda: Bare(4)], ids=["next", "__next__"])
def test_own_iterators_can_be_combined(make: Callable[[], mx.io.DataIter]) -> None:
    with mx.io.PrefetchingIter(make()) as iterator:
        assert [desc.name for desc in iterator.provide_data] == ["data"]
        assert iterator.provide_data[0].layout == "NCHW"
        assert len(list(iterator)) == 4
        iterator.reset()
        assert len(list(iterator)) == 4
        with pytest.raises(NotImplementedError, match="cannot save its state"):
            iterator.state_dict()
    with mx.io.ResizeIter(make(), 10) as iterator:
        assert len(list(iterator)) == 10
        with pytest.raises(NotImplementedError, match="cannot save its state"):
            iterator.state_dict()
    with mx.io.PrefetchingIter([make(), mx.io.ResizeIter(make(), 4)]) as iterator:
        assert [len(batch.data) for batch in iterator] == [2] * 4


def test_own_iterators_reach_torch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    import gpuio.torch

    loader = gpuio.torch.loader(simple())
    for _ in range(2):  # each loop is an epoch
        seen = list(loader)
        assert len(seen) == 4
        assert all(data.shape == (3, 2) and label.tolist() == [0, 1, 2] for data, label in seen)
        assert isinstance(seen[0].data, torch.Tensor)
    with pytest.raises(TypeError):
        len(loader)
    assert [(data.tolist(), label) for data, label in gpuio.torch.loader(Bare(2))] == [
        ([0, 0], None),
        ([1, 1], None),
    ]


def test_errors_come_at_their_batch() -> None:
    for depth in (1, 3):
        with mx.io.PrefetchingIter(
            [Bare(5), Bare(5, fail_at=2)], prefetch_buffer=depth
        ) as iterator:
            for number in range(2):
                batch = iterator.next()
                assert [array.tolist()[0] for array in batch.data] == [number, number]
            with pytest.raises(ValueError, match="the source is broken"):
                iterator.next()
            with pytest.raises(Error, match="reset"):
                iterator.next()  # the other iterator is a batch ahead by now
            iterator.iters[1].fail_at = -1  # type: ignore[attr-defined]
            iterator.reset()
            assert firsts(iterator) == [0, 1, 2, 3, 4]


def test_iterators_that_can_go_back_try_again() -> None:
    class Flaky(mx.io.IndexedIter):
        failures = 1

        def load(self, rows: np.ndarray) -> Any:
            if 4 in rows and self.failures:
                self.failures -= 1
                raise ValueError("the source is busy")
            return rows

    with mx.io.PrefetchingIter(
        [Flaky(8, 2), mx.io.NDArrayIter(np.arange(8), batch_size=2)]
    ) as iterator:
        assert [iterator.next().data[0].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
        with pytest.raises(ValueError, match="busy"):
            iterator.next()
        batch = iterator.next()
        assert batch.data[0].tolist() == batch.data[1].tolist() == [4, 5]


def test_epochs_of_different_lengths_are_an_error() -> None:
    for iterators in ([Bare(3), Bare(2)], [Bare(2), Bare(3)]):
        with mx.io.PrefetchingIter(iterators) as iterator:
            assert [iterator.next().data[0].tolist()[0] for _ in range(2)] == [0, 1]
            with pytest.raises(Error, match=r"different lengths: number .* ended after 2 batches"):
                iterator.next()


def test_a_state_from_the_end_keeps_what_rolls_over(tmp_path: Any) -> None:
    (tmp_path / "x.csv").write_text("".join(f"{number}\n" for number in range(10)))

    def opened() -> mx.io.PrefetchingIter:
        return mx.io.PrefetchingIter(
            mx.io.CSVIter(
                data_csv=tmp_path / "x.csv",
                data_shape=1,
                batch_size=4,
                last_batch_handle="roll_over",
            )
        )

    with opened() as iterator, opened() as other:
        list(iterator)
        other.load_state_dict(iterator.state_dict())
        for one in (iterator, other):
            one.reset()
            assert one.next().data[0].ravel().tolist() == [8, 9, 0, 1]


def test_renaming() -> None:
    iterators = [simple(), simple()]
    with pytest.raises(KeyError, match="iterator 1 has 'data'"):
        mx.io.PrefetchingIter(iterators, rename_data=[{"data": "a"}, {"date": "b"}])
    with pytest.raises(ArgumentError, match="a dict for each of 2 iterators, not 1"):
        mx.io.PrefetchingIter(iterators, rename_label=[{"softmax_label": "a"}])
    described = mx.io.NDArrayIter(np.zeros((4, 2, 3)), layout="NTC")
    with mx.io.PrefetchingIter(described, [{"data": "x"}]) as iterator:
        assert iterator.provide_data[0].name == "x"
        assert iterator.provide_data[0].layout == "NTC"  # MXNet lost it


@pytest.mark.parametrize("wrong", [[], [5], 5], ids=str)
def test_what_cannot_be_combined(wrong: Any) -> None:
    with pytest.raises((ArgumentError, TypeError), match="iterator"):
        mx.io.PrefetchingIter(wrong)


def test_resize_can_leave_the_iterator_where_it_is() -> None:
    with mx.io.ResizeIter(Bare(5), 3, reset_internal=False) as iterator:
        assert firsts(iterator) == [0, 1, 2]
        iterator.reset()
        assert firsts(iterator) == [3, 4, 0]
    with mx.io.ResizeIter(Bare(5), 3) as iterator:
        for _ in range(2):
            assert firsts(iterator) == [0, 1, 2]
            iterator.reset()
    with mx.io.ResizeIter(Bare(0), 3) as iterator, pytest.raises(Error, match="has no batches"):
        iterator.next()
    with pytest.raises(ArgumentError, match="size must be at least 1"):
        mx.io.ResizeIter(Bare(5), 0)
    with pytest.raises(ArgumentError, match="size must be at most"):
        mx.io.ResizeIter(Bare(5), 10**30)


def test_buckets_pass_through_resize() -> None:
    sentences = mx.rnn.BucketSentenceIter([[1, 2]] * 4 + [[1, 2, 3]] * 4, 2)
    with mx.io.ResizeIter(sentences, 3) as iterator:
        assert iterator.default_bucket_key == 3 and iterator.batch_size == 2
        assert {batch.bucket_key for batch in iterator} <= {2, 3}


def test_closing_reaches_the_iterators_and_waits_for_them() -> None:
    wait = threading.Event()
    slow = Bare(5, wait=wait)
    iterator = mx.io.PrefetchingIter([slow, Bare(5)])
    drawing, raised = run_in_thread(lambda: next(iterator, None))
    assert slow.asked.wait(20)
    closing, failed = run_in_thread(iterator.close)
    assert closing.is_alive() and not slow.closed  # a batch is being made
    wait.set()
    closing.join(20)
    assert not closing.is_alive() and slow.closed and no_threads_left()
    drawing.join(20)
    assert not drawing.is_alive() and not failed
    assert all("closed" in str(error) for error in raised)
    iterator.close()
    resized = mx.io.ResizeIter(slow := Bare(5), 3)
    resized.close()
    assert slow.closed


def test_a_reset_does_not_depend_on_how_far_the_threads_are() -> None:
    class Counted(mx.io.NDArrayIter):
        made = 0
        enough = threading.Event()

        def next(self) -> mx.io.DataBatch:
            batch = super().next()
            self.made += 1
            if self.made == 3:
                self.enough.set()
            return batch

    def seen(wait: bool) -> list[str]:
        inner = Counted(np.arange(10), np.arange(10), 4, shuffle=True, seed=1)
        with mx.io.PrefetchingIter(inner, prefetch_buffer=3) as iterator:
            found = trace(iterator, 1)
            assert not wait or inner.enough.wait(20)
            iterator.reset()
            return found + trace(iterator, 5)

    assert seen(False) == seen(True)


def test_images_and_sentences_together(tmp_path: Any) -> None:
    from tests.io.records import jpeg, write_records

    files = write_records(tmp_path / "x", [jpeg(number) for number in range(8)])
    captions = np.arange(8 * 5).reshape(8, 5)
    order = {"batch_size": 4, "shuffle": True, "seed": 5}
    images = mx.io.ImageRecordIter(
        **files, **order, data_shape=(3, 20, 20), last_batch_handle="pad"
    )
    words = mx.io.NDArrayIter({"caption": captions}, None, dtype=None, **order)
    with mx.io.PrefetchingIter(
        [images, words], rename_data=[{"data": "image"}, {"caption": "caption"}]
    ) as pairs:
        assert [desc.name for desc in pairs.provide_data] == ["image", "caption"]
        for _ in range(2):
            for batch in pairs:
                image, caption = batch.data
                assert image.shape == (4, 3, 20, 20) and caption.dtype == captions.dtype
                rows = batch.label[0].asnumpy().astype(int)
                np.testing.assert_array_equal(caption.asnumpy(), captions[rows])
            pairs.reset()


def test_what_is_not_an_iterator_is_refused() -> None:
    with pytest.raises(TypeError, match="ResizeIter takes an iterator, not NoneType"):
        mx.io.ResizeIter(None, 3)


class Own(mx.io.DataIter):
    """A user's own iterator over numbers, with its own states; may refuse to load any."""

    def __init__(self, *, refuses: type[Exception] | None = None, times: int = 10**9) -> None:
        super().__init__(1)
        self.provide_data, self.provide_label = [("own", (1,))], []
        self.refuses, self.times = refuses, times
        self.position = {"at": 0}

    def reset(self) -> None:
        self.position["at"] = 0

    def next(self) -> mx.io.DataBatch:
        if self.position["at"] == 6:
            raise StopIteration
        self.position["at"] += 1
        return mx.io.DataBatch([mx.nd.array([self.position["at"] - 1])])

    def state_dict(self) -> dict[str, Any]:
        return self.position  # not a copy

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state  # which it has moved to when it refuses it
        if self.refuses is not None and self.times:
            self.times -= 1
            raise self.refuses("no state is good enough")


def numbers(count: int = 6) -> mx.io.NDArrayIter:
    return mx.io.NDArrayIter(np.arange(count), batch_size=1)


def rows(iterator: mx.io.DataIter, count: int) -> list[list[float]]:
    return [[array.tolist()[0] for array in iterator.next().data] for _ in range(count)]


@pytest.mark.parametrize("depth", [1, 3])
def test_a_bad_state_of_the_second_iterator_does_not_move_the_first(depth: int) -> None:
    with mx.io.PrefetchingIter([numbers(), numbers()], prefetch_buffer=depth) as pairs:
        early = pairs.state_dict()
        assert rows(pairs, 2) == [[0, 0], [1, 1]]
        for wrong in ({**early["iterators"][1], "position": -1}, None, {}, 5):
            bad = {**early, "iterators": [early["iterators"][0], wrong]}
            with pytest.raises(StateError, match="not a state of NDArrayIter"):
                pairs.load_state_dict(bad)
        assert rows(pairs, 2) == [[2, 2], [3, 3]]
        with pytest.raises(StateError, match="expected a list of 2"):
            pairs.load_state_dict({**early, "iterators": early["iterators"][:1]})
        assert rows(pairs, 2) == [[4, 4], [5, 5]]


@pytest.mark.parametrize("error", [StateError, KeyError, TypeError])
def test_iterators_that_moved_are_put_back_if_another_refuses(error: type[Exception]) -> None:
    with mx.io.PrefetchingIter([numbers(), Own(refuses=error, times=1)]) as pairs:
        early = pairs.state_dict()
        assert rows(pairs, 2) == [[0, 0], [1, 1]]
        with pytest.raises(StateError, match="no state is good enough"):
            pairs.load_state_dict(early)
        assert rows(pairs, 2) == [[2, 2], [3, 3]]
        pairs.load_state_dict(early)
        assert rows(pairs, 6) == [[number] * 2 for number in range(6)]
    with mx.io.ResizeIter(Own(refuses=error, times=1), 20) as resized:
        early = resized.state_dict()
        assert rows(resized, 2) == [[0], [1]]
        with pytest.raises(StateError, match="no state is good enough"):
            resized.load_state_dict(early)
        assert rows(resized, 2) == [[2], [3]]


def test_no_more_pairs_if_an_iterator_cannot_be_put_back() -> None:
    stubborn = Own(refuses=StateError)
    for outer in (mx.io.PrefetchingIter([numbers(), stubborn]), mx.io.ResizeIter(stubborn, 20)):
        early = outer.state_dict()
        rows(outer, 2)
        late = outer.state_dict()
        with pytest.raises(StateError, match="no state is good enough"):
            outer.load_state_dict(early)
        for _ in range(2):
            with pytest.raises(Error, match=r"load_state_dict\(\) has failed.*reset\(\) begins"):
                outer.next()
        assert outer.state_dict()["handed"] == 2
        outer.reset()
        assert {value for row in rows(outer, 1) for value in row} == {0}
        with pytest.raises(StateError):
            outer.load_state_dict(late)
        stubborn.times = 0
        outer.load_state_dict(late)
        assert {value for row in rows(outer, 1) for value in row} == {2}
        stubborn.times = 10**9
        stubborn.reset()


def test_what_cannot_load_a_state_is_not_moved() -> None:
    saving = Bare(5)
    saving.state_dict = lambda: {}  # type: ignore[method-assign]
    with mx.io.PrefetchingIter([numbers(), saving]) as pairs:
        state = pairs.state_dict()
        assert rows(pairs, 1) == [[0, 0]]
        with pytest.raises(NotImplementedError, match="Bare cannot load a state"):
            pairs.load_state_dict(state)
        assert rows(pairs, 1) == [[1, 1]]


def test_states_of_own_iterators_are_copied() -> None:
    own = Own()
    with mx.io.PrefetchingIter(own) as iterator:
        early = iterator.state_dict()
        kept = copy.deepcopy(early)
        assert rows(iterator, 3) == [[0], [1], [2]] and early == kept
        iterator.load_state_dict(early)
        assert rows(iterator, 2) == [[0], [1]] and early == kept
    with mx.io.ResizeIter(Own(), 9) as resized:
        early = resized.state_dict()
        rows(resized, 3)
        assert early["inner"] == {"at": 0}
        resized.load_state_dict(early)
        rows(resized, 1)
        assert early["inner"] == {"at": 0}


def test_a_subclass_may_add_to_its_states() -> None:
    class Counting(mx.io.NDArrayIter):
        seen = 0

        def next(self) -> mx.io.DataBatch:
            batch = super().next()
            self.seen += 1
            return batch

        def state_dict(self) -> dict[str, Any]:
            return {**super().state_dict(), "seen": self.seen}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            super().load_state_dict(state)
            self.seen = state["seen"]

    def opened() -> mx.io.PrefetchingIter:
        return mx.io.PrefetchingIter([Counting(np.arange(6), batch_size=1), numbers()])

    with opened() as pairs, opened() as others:
        rows(pairs, 2)
        others.load_state_dict(pairs.state_dict())
        assert others.iters[0].seen == 2  # type: ignore[attr-defined]
        assert rows(others, 1) == [[2, 2]]


@pytest.mark.parametrize("prefetch_buffer", [1, 3])
def test_copies_are_made_while_batches_are_made_ahead(prefetch_buffer: int, tmp_path: Any) -> None:
    (tmp_path / "x.csv").write_text("".join(f"{number}\n" for number in range(10)))
    files = mx.io.CSVIter(data_csv=tmp_path / "x.csv", data_shape=1, batch_size=1)
    with mx.io.PrefetchingIter(files, prefetch_buffer=prefetch_buffer) as iterator:
        for _ in range(12):
            with copy.deepcopy(iterator) as another:
                found = trace(another, 3)
                with copy.deepcopy(iterator) as again:
                    assert trace(again, 3) == found
            assert trace(iterator, 1) == found[:1]


def test_a_failing_reset_is_tried_again() -> None:
    class Stuck(Bare):
        stuck = True

        def reset(self) -> None:
            if self.stuck:
                raise ValueError("cannot go back")
            super().reset()

    stuck = Stuck(3)
    with mx.io.PrefetchingIter([numbers(3), stuck]) as pairs:
        assert rows(pairs, 2) == [[0, 0], [1, 1]]
        with pytest.raises(ValueError, match="cannot go back"):
            pairs.reset()
        with pytest.raises(Error, match=r"reset\(\) .*has failed"):
            pairs.next()
        stuck.stuck = False
        pairs.reset()
        assert pairs.epoch == 1 and rows(pairs, 3) == [[0, 0], [1, 1], [2, 2]]
