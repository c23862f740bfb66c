"""The protocol of DataIter, as MXNet has it."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx


class Squares(mx.io.DataIter):
    """An iterator as MXNet's users write them, out of iter_next and its companions."""

    def __init__(self) -> None:
        super().__init__(2)
        self.closed = False
        self.reset()

    def reset(self) -> None:
        self._at = -1

    def iter_next(self) -> bool:
        self._at += 1
        return self._at < 3

    def getdata(self) -> Any:
        return [mx.nd.array([self._at, self._at**2])]

    def getlabel(self) -> Any:
        return []

    def getpad(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def test_a_subclass_by_iter_next() -> None:
    with Squares() as iterator:
        assert [batch.data[0].tolist() for batch in iterator] == [[0, 0], [1, 1], [2, 4]]
        assert list(iterator) == []  # iterating does not reset
        iterator.reset()
        assert iterator.next().data[0].tolist() == [0, 0]
    assert iterator.closed and iterator.batch_size == 2


def test_what_a_subclass_lacks_is_named() -> None:
    iterator = mx.io.DataIter()
    for call in (
        iterator.next,
        lambda: iterator.provide_data,
        lambda: iterator.provide_label,
        iterator.state_dict,
        lambda: iterator.load_state_dict({}),
    ):
        with pytest.raises(NotImplementedError, match="DataIter"):
            call()
    iterator.reset()
    iterator.close()


class Steps(mx.io.DataIter):
    """An iterator with ``__next__`` alone, as Python's own."""

    def __init__(self) -> None:
        super().__init__(1)
        self.count = 0

    def __next__(self) -> mx.io.DataBatch:
        self.count += 1
        if self.count > 2:
            raise StopIteration
        return mx.io.DataBatch([mx.nd.array([self.count])])


def test_a_subclass_by_dunder_next() -> None:
    iterator = Steps()
    assert iterator.next().data[0].tolist() == [1]
    assert [batch.data[0].tolist() for batch in iterator] == [[2]]
    with pytest.raises(StopIteration):
        iterator.next()


def test_pieces_become_a_batch() -> None:
    class Pieces(Squares):
        def getlabel(self) -> Any:
            return [mx.nd.array([7])]

        def getpad(self) -> int:
            return 1

        def getindex(self) -> Any:
            return np.array([3, 4])

    batch = Pieces().next()
    assert (batch.pad, batch.index.tolist(), batch.label[0].tolist()) == (1, [3, 4], [7])


def test_what_a_subclass_need_not_define() -> None:
    class Least(mx.io.DataIter):
        left = 2

        def iter_next(self) -> bool:
            self.left -= 1
            return self.left >= 0

    batch = Least().next()
    assert (batch.data, batch.label, batch.pad, batch.index) == (None, None, None, None)


def test_a_block_closes_it_also_after_an_error() -> None:
    iterator = Squares()
    with pytest.raises(ValueError, match="broken"), iterator as entered:
        assert entered is iterator
        raise ValueError("broken")
    assert iterator.closed
