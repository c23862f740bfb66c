"""The magnitudes of RandAugment and TrivialAugment."""

import numpy as np
import pytest

from gpuio.planning import operations as ops
from gpuio.planning.augmentation_spaces import (
    RANDAUGMENT,
    TRIVIAL_WIDE,
    Magnitudes,
    linear,
    named_operations,
)


@pytest.mark.parametrize("magnitudes", [RANDAUGMENT, TRIVIAL_WIDE])
def test_magnitude_0_of_moves_and_blends_changes_nothing(magnitudes: Magnitudes) -> None:
    name = np.arange(1, 10)
    drawn = named_operations(
        name, np.zeros(9, np.int64), name > 4, 31, magnitudes, (24, 20), 0, (0, 0, 0)
    )
    np.testing.assert_array_equal(drawn["values"][:5], ops.translate_values(np.zeros(5), 0))
    np.testing.assert_array_equal(drawn["values"][5:, 0], 1)


@pytest.mark.parametrize("ends", [(0.0, 0.3), (0.0, 135.0), (1.0, 0.0)])
def test_magnitudes_are_evenly_spaced_float32(ends: tuple[float, float]) -> None:
    for count in (2, 3, 10, 31):
        made = linear(*ends, np.arange(count), count)
        np.testing.assert_allclose(made, np.linspace(*ends, count), rtol=1e-6, atol=1e-7)
        assert made[[0, -1]].tolist() == np.float32(ends).tolist()
        assert (made == made.astype(np.float32)).all()
