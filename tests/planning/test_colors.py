"""Matrices of colors."""

import numpy as np

from gpuio.planning.colors import EIGENVECTORS, LUMA, hue_rotation


def test_a_rotation_of_hues_keeps_the_luma() -> None:
    rotations = hue_rotation([0.0, 0.3, -1.0])
    assert rotations.shape == (3, 3, 3)
    np.testing.assert_allclose(rotations[0], np.eye(3), atol=6e-3)  # MXNet's rounded matrices
    np.testing.assert_allclose(LUMA @ rotations, [LUMA] * 3, atol=3e-3)
    np.testing.assert_array_equal(hue_rotation(0.3), rotations[1])


def test_principal_components_are_orthonormal() -> None:
    vectors = np.array(EIGENVECTORS)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-3)
