"""What holds for every iterator, as tests that the class of each iterator inherits.

A class defines `make`, which opens an iterator over ten rows in batches of four, whose labels are
the rows' numbers, and `variants`: the options with which each test runs, named by what happens to
an epoch's last batch ("pad", "discard", "roll_over" or "wrap", see `gpuio.sampling.order`), and
after a space, by whatever else they are.
"""

import copy
import hashlib
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import gpuio as mx
from gpuio.context import device_of
from gpuio.errors import Error, StateError
from tests.io.threads import no_threads_left, run_in_thread
from tests.io.wrong_states import wrong_states

ROWS, BATCH = 10, 4
EPOCHS = 4

# Calls of `next` after which another process resumes, and those that it makes then.
STOPS, FOLLOWING = (0, 2, 3, 6), 6


def parts_of(array: Any) -> list[np.ndarray]:
    """The arrays that an array consists of, on the host."""
    if hasattr(array, "indptr"):
        return [mx.nd.wrap(part).asnumpy() for part in (array.data, array.indices, array.indptr)]
    return [array.asnumpy()]


def digest(batch: mx.io.DataBatch) -> str:
    """A string that is equal for batches that are equal, bit for bit."""
    hashed = hashlib.sha256()
    for array in (*batch.data, *batch.label):
        for part in parts_of(array):
            hashed.update(f"{part.shape} {part.dtype}".encode())
            hashed.update(np.ascontiguousarray(part).tobytes())
    index = None if batch.index is None else batch.index.tolist()
    return f"{batch.pad} {index} {batch.bucket_key} {hashed.hexdigest()}"


def trace(iterator: mx.io.DataIter, count: int) -> list[str]:
    """The results of the next calls of `next`, with a reset after each epoch."""
    found = []
    for _ in range(count):
        try:
            found.append(digest(iterator.next()))
        except StopIteration:
            found.append("end")
            iterator.reset()
    return found


def epochs(iterator: mx.io.DataIter, count: int) -> list[list[mx.io.DataBatch]]:
    found = []
    for _ in range(count):
        found.append(list(iterator))
        iterator.reset()
    return found


class Resumed(NamedTuple):
    """By variant, the lines of `trace` that follow each of its states.

    Attributes
    ----------
    expected : those of the iterator that was not interrupted
    found : those of another process; or one line with what went wrong there
    """

    expected: dict[str, list[list[str]]]
    found: dict[str, list[list[str]]]


class OtherProcess:
    """A process that resumes what it is told to; it starts with the first state."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def resume(self, **request: Any) -> dict[str, list[list[str]]]:
        """What follows each state, by variant; see resumed.py."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.io.resumed"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                cwd=Path(__file__).parents[2],
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        print(json.dumps(request), file=process.stdin, flush=True)
        answer = process.stdout.readline()
        assert answer, f"the process ended with {process.wait()}"
        found: dict[str, list[list[str]]] = json.loads(answer)
        return found

    def end(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=60)


def resume_in_other_process(
    kind: type["Conformance"], folder: Path, ctx: mx.Context, other: OtherProcess
) -> Resumed:
    """Save states of all variants of an iterator, and resume them in another process."""
    tests = kind()
    states: dict[str, list[Any]] = {}
    expected: dict[str, list[list[str]]] = {}
    for variant, options in tests.variants.items():
        with tests.make(folder, ctx, **options) as iterator:
            saved, lines = [], []
            for _ in range(max(STOPS) + FOLLOWING):
                saved.append(iterator.state_dict())
                lines += trace(iterator, 1)
        states[variant] = [saved[stop] for stop in STOPS]
        expected[variant] = [lines[stop : stop + FOLLOWING] for stop in STOPS]
    found = other.resume(
        kind=f"{kind.__module__}:{kind.__qualname__}", folder=str(folder),
        device=ctx.device_type, count=FOLLOWING, states=states,
    )  # fmt: skip
    return Resumed(expected, found)


class Conformance:
    """Tests for one kind of iterator."""

    variants: dict[str, dict[str, Any]] = {"pad": {}}
    # Whether getdata and getlabel give one array, as those of MXNet's C++ iterators do.
    single_arrays = False

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test with each variant."""
        if "variant" in metafunc.fixturenames:
            metafunc.parametrize("variant", list(self.variants))

    def rows_of(self, batch: mx.io.DataBatch) -> list[int]:
        """The numbers of a batch's rows."""
        return batch.label[0].asnumpy().astype(int).tolist()

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        """Open an iterator; files that it needs are made in `folder`, the same each time."""
        raise NotImplementedError

    @pytest.fixture
    def opened(self, class_folder: Path, ctx: mx.Context, variant: str) -> Any:
        """Opens one iterator after another; all are closed at the end."""
        made: list[mx.io.DataIter] = []

        def open_one() -> mx.io.DataIter:
            made.append(self.make(class_folder, ctx, **self.variants[variant]))
            return made[-1]

        yield open_one
        for one in made:
            one.close()

    def test_every_row_comes_as_often_as_it_should(self, opened: Any, variant: str) -> None:
        ending = variant.partition(" ")[0]
        found = epochs(opened(), EPOCHS)
        stream: list[int] = []
        for batches in found:
            pads = [batch.padding for batch in batches]
            assert pads[:-1] == [0] * (len(pads) - 1)
            rows = [row for batch in batches for row in self.rows_of(batch)]
            proper = rows[: len(rows) - pads[-1]]
            if ending == "pad":
                assert sorted(proper) == list(range(ROWS)) and pads[-1] == 2
                assert set(rows[len(proper) :]) <= set(proper)
            elif ending == "discard":
                assert len(set(proper)) == len(proper) == ROWS // BATCH * BATCH and not pads[-1]
            elif ending == "roll_over":
                assert not pads[-1]
            stream += rows
        if ending in ("wrap", "roll_over"):
            assert len({len(batches) for batches in found}) == 2  # the boundary moves
            for first in range(0, len(stream) - ROWS + 1, ROWS):
                assert sorted(stream[first : first + ROWS]) == list(range(ROWS))

    def test_shuffled_epochs_differ_and_others_do_not(self, opened: Any, variant: str) -> None:
        found = epochs(opened(), EPOCHS)
        orders = [[row for batch in batches for row in self.rows_of(batch)] for batches in found]
        if variant.partition(" ")[0] in ("wrap", "roll_over"):  # epochs begin where others end
            stream = [row for order in orders for row in order]
            orders = [stream[first : first + ROWS] for first in range(0, len(stream) - ROWS, ROWS)]
        assert len(orders) > 2
        assert len(set(map(str, orders))) == (len(orders) if "shuffled" in variant else 1)

    @pytest.mark.parametrize("stop", [0, 1, 3, 4])
    def test_reset_at_any_point_begins_the_next_epoch(
        self, opened: Any, variant: str, stop: int
    ) -> None:
        iterator, other = opened(), opened()
        for one in (iterator, other):
            for _ in range(stop):
                next(one, None)
            one.reset()
            one.reset()  # at the beginning of an epoch there is nothing to do
            assert one.epoch == (1 if stop else 0)
        assert trace(iterator, 5) == trace(other, 5)

    def test_after_a_reset_within_an_epoch_the_next_is_whole(
        self, opened: Any, variant: str
    ) -> None:
        iterator, other = opened(), opened()
        iterator.next()
        iterator.reset()
        rows = [row for _ in range(2) for row in self.rows_of(iterator.next())]
        assert len(set(rows)) == 2 * BATCH
        if variant.partition(" ")[0] in ("pad", "discard"):
            list(other)
            other.reset()
            assert rows == [row for _ in range(2) for row in self.rows_of(other.next())]

    def test_after_the_end_nothing_comes_until_reset(self, opened: Any) -> None:
        iterator = opened()
        list(iterator)
        for _ in range(3):
            with pytest.raises(StopIteration):
                iterator.next()
            assert not iterator.iter_next()
        assert list(iterator) == []
        iterator.reset()
        assert iterator.next().data

    def test_batches_are_as_described(self, opened: Any, ctx: mx.Context) -> None:
        iterator = opened()
        assert iterator.batch_size == BATCH
        for batch in iterator:
            for arrays, described in (
                (batch.data, batch.provide_data or iterator.provide_data),
                (batch.label, batch.provide_label or iterator.provide_label),
            ):
                assert [tuple(array.shape) for array in arrays] == [d.shape for d in described]
                assert [array.dtype for array in arrays] == [np.dtype(d.dtype) for d in described]
                for array in arrays:
                    assert array.context == ctx == device_of(parts_on_device(array))

    def test_index_identifies_the_rows(self, opened: Any, variant: str) -> None:
        key: dict[int, int] = {}
        for batches in epochs(opened(), 2):
            for batch in batches:
                if batch.index is None:
                    return
                assert batch.index.shape == (BATCH,) and batch.index.dtype == np.uint64
                for number, row in zip(batch.index.tolist(), self.rows_of(batch), strict=True):
                    assert key.setdefault(row, number) == number
        assert len(set(key.values())) == len(key)

    def test_held_batches_stay_as_they_were(self, opened: Any) -> None:
        iterator, held, seen = opened(), [], []
        for _ in range(3):
            for batch in iterator:
                held.append(batch)
                seen.append(digest(batch))
            iterator.reset()
        assert [digest(batch) for batch in held] == seen

    def test_writing_into_batches_changes_no_other(self, opened: Any) -> None:
        iterator, other = opened(), opened()
        for _ in range(3):
            batches = list(iterator)
            for batch, expected in zip(batches, other, strict=True):
                assert digest(batch) == digest(expected)
                for array in (*batch.data, *batch.label):
                    values = array.data if hasattr(array, "indptr") else array
                    values[...] = 77
            for one in (iterator, other):
                one.reset()

    def test_the_protocol_in_pieces_gives_the_same(self, opened: Any) -> None:
        iterator, other = opened(), opened()
        with pytest.raises(Error, match="no current batch"):
            iterator.getdata()
        for batch in other:
            assert iterator.iter_next()
            data, label = iterator.getdata(), iterator.getlabel()
            assert isinstance(data, list) == isinstance(label, list) != self.single_arrays
            if self.single_arrays:
                data, label = [data], [label]
            pieces = mx.io.DataBatch(data, label, iterator.getpad(), iterator.getindex())
            pieces.bucket_key = batch.bucket_key
            assert digest(pieces) == digest(batch)
        assert not iterator.iter_next()

    def test_a_state_resumes_at_any_point(self, opened: Any) -> None:
        iterator, states, whole = opened(), [], []
        for _ in range(9):
            states.append(json.loads(json.dumps(iterator.state_dict())))
            whole += trace(iterator, 1)
        whole += trace(iterator, 5)
        other = opened()
        for stop in (4, 0, 8, 1, 3, 2):
            other.load_state_dict(states[stop])
            assert trace(other, 6) == whole[stop : stop + 6]

    def test_a_state_resumes_in_another_process(
        self, resumed: Callable[[type, mx.Context], Resumed], ctx: mx.Context, variant: str
    ) -> None:
        expected, found = resumed(type(self), ctx)
        assert found[variant] == expected[variant]

    def test_states_that_do_not_fit_are_refused(self, opened: Any) -> None:
        iterator, found = opened(), []
        whole = trace(opened(), 6)
        for _ in range(3):  # before the first batch, while others are made ahead, and at the end
            state = iterator.state_dict()
            for wrong in wrong_states(state):
                with pytest.raises(StateError, match="not a state of"):
                    iterator.load_state_dict(wrong)
            assert iterator.state_dict() == state
            found += trace(iterator, 2)
        assert found == whole

    def test_states_are_their_owners(self, opened: Any) -> None:
        iterator = opened()
        whole = trace(opened(), 6)
        found = trace(iterator, 1)
        state = iterator.state_dict()
        kept, given = copy.deepcopy(state), copy.deepcopy(state)
        iterator.load_state_dict(given)
        spoil(given)
        found += trace(iterator, 2)
        assert state == kept
        spoil(iterator.state_dict())
        found += trace(iterator, 3)
        assert found == whole
        iterator.load_state_dict(kept)
        assert trace(iterator, 5) == whole[1:]

    def test_copies_resume_where_it_was(self, opened: Any) -> None:
        iterator = opened()
        trace(iterator, 2)
        with pickle.loads(pickle.dumps(iterator)) as again:
            found = trace(iterator, 1)
            # "pad" has ended, and was not reset
            with copy.deepcopy(iterator) as another, copy.copy(iterator) as shallow:
                assert type(again) is type(another) is type(shallow) is type(iterator)
                rest = trace(iterator, 5)
                assert trace(again, 6) == found + rest
                assert trace(another, 5) == trace(shallow, 5) == rest

    def test_statistics_count_the_batches(self, opened: Any) -> None:
        iterator = opened()
        assert iterator.stats().batches == 0
        count = sum(map(len, epochs(iterator, 2)))
        stats = iterator.stats()
        assert (stats.batches, stats.batch_size) == (count, BATCH)
        assert stats.started > 0 and stats.seconds > 0 and str(stats).endswith(stats.advice)

    def test_two_at_once_do_not_disturb_each_other(self, opened: Any) -> None:
        alone = trace(opened(), 9)
        first, second = opened(), opened()
        mixed: tuple[list[str], list[str]] = ([], [])
        for _ in range(9):
            mixed[0].extend(trace(first, 1))
            mixed[1].extend(trace(second, 1))
        assert mixed == (alone, alone)

    def test_each_batch_goes_to_one_thread(self, opened: Any) -> None:
        iterator, other = opened(), opened()
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for _ in range(2):
                found: list[str] = []

                def draw(found: list[str] = found) -> None:
                    for batch in iterator:
                        found.append(digest(batch))

                threads = [run_in_thread(draw) for _ in range(3)]
                for thread, _ in threads:
                    thread.join(20)
                    assert not thread.is_alive()
                assert [error for _, raised in threads for error in raised] == []
                assert sorted(found) == sorted(map(digest, other))
                for one in (iterator, other):
                    one.reset()
        finally:
            sys.setswitchinterval(interval)

    def test_states_that_are_saved_while_another_thread_draws(self, opened: Any) -> None:
        iterator, other, resumed = opened(), opened(), opened()
        whole = trace(other, 10)
        states: dict[str, Any] = {}
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            thread, raised = run_in_thread(lambda: list(iterator))
            while thread.is_alive():
                state = iterator.state_dict()
                states[json.dumps(state)] = state
            assert not raised
        finally:
            sys.setswitchinterval(interval)
        for state in states.values():
            resumed.load_state_dict(state)
            following = trace(resumed, 2)
            assert following in [whole[first : first + 2] for first in range(9)]

    def test_its_repr_tells_what_it_is(self, opened: Any, ctx: mx.Context) -> None:
        iterator = opened()
        threads = threading.active_count()
        fresh = repr(iterator)
        assert threading.active_count() == threads
        kind = type(iterator).__name__
        assert fresh.startswith(f"<{kind}: ") and fresh.endswith(">") and "\n" not in fresh
        assert f"batch_size={BATCH}" in fresh and "epoch 0" in fresh
        state = iterator.state_dict()
        for desc in (*iterator.provide_data, *iterator.provide_label):
            assert f"{desc.name} {desc.shape}" in repr(iterator)
        assert iterator.state_dict() == state
        list(iterator)
        iterator.reset()
        assert "epoch 1" in repr(iterator)
        iterator.close()
        assert repr(iterator).endswith("closed>")
        unmade = kind_of_no_arguments(type(iterator))
        assert repr(unmade) == f"<{kind}: not constructed>"

    def test_close_ends_it(self, opened: Any) -> None:
        iterator = opened()
        iterator.next()
        state = iterator.state_dict()
        iterator.close()
        iterator.close()
        assert no_threads_left()
        assert iterator.state_dict() == state
        with pytest.raises(Error, match="closed"):
            iterator.load_state_dict(state)
        for use in (iterator.next, iterator.iter_next, lambda: next(iterator)):
            with pytest.raises(Error, match="closed"):
                use()

    def test_it_is_a_context_manager(self, opened: Any) -> None:
        with opened() as iterator:
            iterator.next()
        with pytest.raises(Error, match="closed"):
            iterator.next()

    def test_a_consumer_that_stops_early_leaves_no_thread(
        self, class_folder: Path, ctx: mx.Context, variant: str
    ) -> None:
        for _ in self.make(class_folder, ctx, **self.variants[variant]):
            break
        assert no_threads_left()

    def test_a_batch_outlives_its_iterator(
        self, class_folder: Path, ctx: mx.Context, variant: str
    ) -> None:
        iterator = self.make(class_folder, ctx, **self.variants[variant])
        batch = iterator.next()
        before = digest(batch)
        del iterator
        assert no_threads_left()
        assert digest(batch) == before

    @pytest.mark.real_gpu("needs PyTorch's CUDA build")
    def test_torch_gets_the_same(self, opened: Any) -> None:
        pytest.importorskip("torch", reason="PyTorch is not installed")
        import gpuio.torch

        iterator = opened()
        seen = list(gpuio.torch.loader(opened()))
        batches = list(iterator)
        assert len(seen) == len(batches)
        for batch, (data, label) in zip(batches, seen, strict=True):
            for arrays, tensors, described in (
                (batch.data, data, iterator.provide_data),
                (batch.label, label, iterator.provide_label),
            ):
                names = [desc.name for desc in described]
                named = {names[0]: tensors} if len(names) == 1 else tensors
                assert list(named) == names
                for array, tensor in zip(arrays, named.values(), strict=True):
                    assert tensor.is_cuda == (array.context.device_type == "gpu")
                    dense = tensor.to_dense() if tensor.layout != torch_strided() else tensor
                    np.testing.assert_array_equal(dense.cpu().numpy(), array.asnumpy())


def spoil(state: Any) -> None:
    """Empty a state and all that it contains."""
    for value in state.values() if isinstance(state, dict) else state:
        if isinstance(value, (dict, list)):
            spoil(value)
    state.clear()


def kind_of_no_arguments(kind: type) -> Any:
    """An object whose ``__init__`` has not run."""
    return kind.__new__(kind)


def torch_strided() -> Any:
    import torch

    return torch.strided


def parts_on_device(array: Any) -> Any:
    return array.data if hasattr(array, "indptr") else array
