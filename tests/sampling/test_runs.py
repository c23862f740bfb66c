"""Values at places that are computed in runs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpuio.sampling.runs import gather

PLACES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 29)), max_size=30)


@given(PLACES, st.integers(1, 12))
def test_values_of_any_places(places: list[tuple[int, int]], length: int) -> None:
    def run(epoch: int, place: int) -> tuple[int, np.ndarray]:
        begin = place // length * length
        return begin, 100 * epoch + np.arange(begin, min(begin + length, 30))

    epoch, place = np.array(places, np.int64).reshape(-1, 2).T
    assert gather(run, epoch, place).tolist() == (100 * epoch + place).tolist()
