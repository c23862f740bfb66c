"""The base of the iterators over indexed rows: seeds, lengths, prefetching."""

import threading
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.io.rows_iter import seed_or_draw


class Rows(mx.io.IndexedIter):
    """Row indices, and the threads that loaded them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.threads: list[threading.Thread] = []
        super().__init__(*arguments, **options)

    def load(self, rows: np.ndarray) -> Any:
        self.threads.append(threading.current_thread())
        return rows


def test_a_given_seed_is_kept_and_none_is_drawn_from_numpy() -> None:
    assert seed_or_draw(5) == 5
    np.random.seed(1)
    drawn = seed_or_draw(None)
    np.random.seed(1)
    assert seed_or_draw(None) == drawn != seed_or_draw(None)
    np.random.seed(1)
    assert seed_or_draw(None, needed=False) == 0
    assert seed_or_draw(None) == drawn  # the call before drew nothing
    with pytest.raises(ArgumentError, match="seed"):
        seed_or_draw(1.5)  # type: ignore[arg-type]


def test_the_length_is_that_of_the_current_epoch() -> None:
    with Rows(10, 4, last_batch_handle="roll_over") as iterator:
        lengths = []
        for _ in range(3):
            lengths.append((len(iterator), len(list(iterator))))
            iterator.reset()
    assert lengths == [(2, 2), (3, 3), (2, 2)]


def test_a_state_contains_the_seed() -> None:
    with Rows(10, 4, shuffle=True, seed=3) as iterator:
        assert iterator.state_dict()["seed"] == 3


@pytest.mark.parametrize(("prefetch", "own"), [(0, True), (2, False)])
def test_batches_are_loaded_in_a_thread_only_if_asked(prefetch: int, own: bool) -> None:
    with Rows(12, 4, prefetch_buffer=prefetch, ctx="cpu") as iterator:
        assert [batch.index.tolist() for batch in iterator] == np.arange(12).reshape(3, 4).tolist()
        assert {thread is threading.current_thread() for thread in iterator.threads} == {own}
