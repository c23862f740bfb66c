"""What gpuio's own iterators share: epochs, the current batch, saved states, pickling."""

import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import Error, StateError
from gpuio.iterators.stream_iter import StreamIter
from gpuio.loading.stream import DirectStream
from gpuio.sampling.order import Order


class Places(StreamIter[Any]):
    """Batches of places in the order; may leave some out."""

    def __init__(self, size: int, *, batch_size: int = 4, leave_out: int = -1) -> None:
        super().__init__(batch_size)
        self.size, self.leave_out = size, leave_out
        self.factor = 1
        order = Order(size, batch_size, last_batch="pad")
        desc = mx.io.DataDesc("data", (batch_size,))
        self._set_stream(DirectStream(order, lambda at: at), [desc], [])

    def _to_batch(self, drawn: Any) -> mx.io.DataBatch | None:
        records = drawn.record
        if self.leave_out in records:
            return None
        keys = records.astype(np.uint64)
        return mx.io.DataBatch([mx.nd.array(records * self.factor)], [], drawn.pad, keys)

    def _identity(self) -> dict[str, Any]:
        return {"size": self.size}

    def _changed(self) -> dict[str, Any]:
        return {"factor": self.factor}


def epoch(iterator: Places) -> list[list[float]]:
    return [batch.data[0].tolist() for batch in iterator]


def test_epochs() -> None:
    iterator = Places(10)
    assert (iterator.epoch, iterator.ended) == (0, False)
    assert epoch(iterator) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert (iterator.epoch, iterator.ended) == (0, True)
    with pytest.raises(StopIteration):
        iterator.next()
    iterator.reset()
    assert (iterator.epoch, iterator.ended) == (1, False) and len(epoch(iterator)) == 3


def test_a_batch_with_nothing_for_the_caller_is_left_out() -> None:
    assert epoch(Places(10, leave_out=5)) == [[0, 1, 2, 3], [8, 9, 0, 1]]
    assert epoch(Places(10, leave_out=9)) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_the_current_batch_in_pieces() -> None:
    iterator = Places(10)
    for call in (iterator.getdata, iterator.getlabel, iterator.getpad, iterator.getindex):
        with pytest.raises(Error, match=r"no current batch; call next\(\) or iter_next\(\)"):
            call()
    for _ in range(3):
        assert iterator.iter_next()
    assert [array.tolist() for array in iterator.getdata()] == [[8, 9, 0, 1]]
    assert iterator.getlabel() == [] and iterator.getpad() == 2
    assert iterator.getindex().tolist() == [8, 9, 0, 1]
    assert not iterator.iter_next()
    with pytest.raises(Error, match="no current batch"):
        iterator.getdata()


def test_single_arrays() -> None:
    class Single(Places):
        _gives_single_arrays = True

        def _to_batch(self, drawn: Any) -> mx.io.DataBatch | None:
            batch = super()._to_batch(drawn)
            assert batch is not None
            batch.label = [batch.data[0] + 100]
            return batch

    iterator = Single(10)
    assert iterator.iter_next()
    assert iterator.getdata().tolist() == [0, 1, 2, 3]
    assert iterator.getlabel().tolist() == [100, 101, 102, 103]
    batch = iterator.next()
    assert isinstance(batch.data, list) and isinstance(batch.label, list)

    class Halved(Single):
        def getlabel(self) -> Any:
            return super().getlabel() / 2

    batch = Halved(10).next()
    assert batch.data[0].tolist() == [0, 1, 2, 3] and batch.label[0].tolist() == [
        50,
        50.5,
        51,
        51.5,
    ]


def test_methods_that_a_subclass_replaces_are_called() -> None:
    class Doubled(Places):
        def getdata(self) -> Any:
            return [2 * array for array in super().getdata()]

        def getpad(self) -> int:
            return super().getpad() + 1

    found = list(Doubled(10))
    assert [batch.data[0].tolist() for batch in found] == [
        [0, 2, 4, 6], [8, 10, 12, 14], [16, 18, 0, 2],
    ]  # fmt: skip
    assert [batch.pad for batch in found] == [batch.padding for batch in found] == [1, 1, 3]
    assert found[2].index.tolist() == [8, 9, 0, 1]

    class Stops(Places):
        def iter_next(self) -> bool:
            return self.epoch < 1 and super().iter_next()

    iterator = Stops(10)
    assert len(list(iterator)) == 3
    iterator.reset()
    assert list(iterator) == []


def test_states() -> None:
    iterator = Places(10)
    iterator.next()
    state = iterator.state_dict()
    assert state == {"version": 1, "kind": "Places", "size": 10, "position": 4, "start": 0,
                     "ended": False}  # fmt: skip
    other = Places(10)
    other.next()
    other.load_state_dict(state)
    with pytest.raises(Error, match="no current batch"):
        other.getdata()
    assert other.next().data[0].tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "the state has version 2, expected 1"),
        ({"kind": "Other"}, "was saved with kind='Other', here it is 'Places'"),
        ({"size": 11}, "was saved with size=11, here it is 10; create the iterator with"),
        ({"position": "far"}, "not a state of Places"),
        ({"position": -1}, "does not follow its start"),
    ],
)
def test_states_of_something_else(change: dict[str, Any], said: str) -> None:
    iterator = Places(10)
    iterator.next()
    state = iterator.state_dict()
    with pytest.raises(StateError, match=said):
        iterator.load_state_dict({**state, **change})
    assert iterator.state_dict() == state
    for name in state:
        with pytest.raises(StateError, match="not a state of Places"):
            iterator.load_state_dict({key: state[key] for key in state if key != name})
    with pytest.raises(StateError):
        iterator.load_state_dict(None)


def test_copies_have_the_same_arguments_place_and_changes() -> None:
    iterator = Places(10, batch_size=2)
    iterator.next()
    iterator.factor = 3
    copy = pickle.loads(pickle.dumps(iterator))
    assert copy.batch_size == 2 and copy.next().data[0].tolist() == [6, 9]
    assert iterator.next().data[0].tolist() == [6, 9]


def test_it_is_closed() -> None:
    with Places(10) as iterator:
        iterator.next()
    iterator.close()
    with pytest.raises(Error, match="closed"):
        iterator.next()


def test_descriptions() -> None:
    iterator = Places(10)
    assert iterator.provide_data == [("data", (4,))] and iterator.provide_label == []


def test_the_signature_of_an_iterator_is_that_of_its_constructor() -> None:
    parameters = inspect.signature(Places).parameters
    assert list(parameters) == ["size", "batch_size", "leave_out"]
    assert parameters["batch_size"].default == 4
    assert "path_imgrec" in inspect.signature(mx.io.ImageRecordIter).parameters
