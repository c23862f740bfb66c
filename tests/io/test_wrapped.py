"""The iterators that others wrap; more in the tests of those others."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import StateError
from gpuio.io.wrapped import as_descriptions, close_all, load_state, put_back, state_of
from tests.io.test_mix import Counts, Saves, rows


def test_descriptions_may_be_pairs() -> None:
    given: list[Any] = [("a", (2, 3)), mx.io.DataDesc("b", (2,), np.uint8)]
    assert as_descriptions(given) == [mx.io.DataDesc("a", (2, 3)), given[1]]
    assert as_descriptions(None) == []


def test_states() -> None:
    inner = Saves()
    state = state_of(inner)
    assert state == {"at": 0} and state_of(Counts()) is None
    load_state(inner, {"at": 2})
    assert inner.at == 2
    with pytest.raises(StateError, match="not a state of Saves: KeyError"):
        load_state(inner, {})
    with pytest.raises(StateError, match="not a state of NDArrayIter"):
        load_state(rows(0, 2), {})


def test_what_cannot_be_put_back() -> None:
    both: list[Any] = [Saves(), Saves()]
    assert put_back(both, [{"at": 1}, {"at": 2}]) and [each.at for each in both] == [1, 2]
    assert not put_back(both, [{"at": 0}, None]) and both[0].at == 1
    assert not put_back(both, [{"at": 0}, {"at": 99}])


@pytest.mark.parametrize("broken", [0, 2])
def test_all_are_closed_where_one_cannot_be(broken: int) -> None:
    class Broken(Counts):
        def close(self) -> None:
            raise OSError("close is broken")

    several: list[Any] = [Counts(), rows(0, 2), Counts()]
    several[broken] = Broken()
    outer = mx.io.MixIter(several[:1] + several[2:])
    with pytest.raises(OSError, match="close is broken"):
        close_all(several)
    with pytest.raises(mx.MXNetError, match="closed"):
        several[1].next()
    with pytest.raises(OSError, match="close is broken"):
        outer.close()
    assert several[2 - broken].closed
