"""Constants of color spaces, and the rotation of hues."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Weights of red, green and blue in the luma of ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)

# RGB to YIQ and back, rounded as in MXNet.
TO_YIQ = np.array([LUMA, (0.596, -0.274, -0.321), (0.211, -0.523, 0.311)])
FROM_YIQ = np.array([(1.0, 0.956, 0.621), (1.0, -0.272, -0.647), (1.0, -1.107, 1.705)])

# Eigenvalues and eigenvectors of the covariance of ImageNet's RGB (Krizhevsky et al., ImageNet
# classification with deep convolutional neural networks, 2012, section 4.1), as in MXNet.
EIGENVALUES = (55.46, 4.794, 1.148)
EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


def hue_rotation(half_turns: ArrayLike) -> NDArray[np.float64]:
    """Matrices for RGB that rotate the chroma, I and Q of YIQ.

    Parameters
    ----------
    half_turns : (…,), the angles

    Returns
    -------
    float64 (…, 3, 3)
    """
    angle = np.asarray(half_turns) * np.pi
    turn = np.zeros((*angle.shape, 3, 3))
    turn[..., 0, 0] = 1
    turn[..., 1, 1] = turn[..., 2, 2] = np.cos(angle)
    turn[..., 2, 1] = np.sin(angle)
    turn[..., 1, 2] = -turn[..., 2, 1]
    rotation: NDArray[np.float64] = FROM_YIQ @ turn @ TO_YIQ
    return rotation
