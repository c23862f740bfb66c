"""Planning of ImageRecordIter's changes of color, for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.planning.colors import EIGENVALUES, EIGENVECTORS, LUMA, hue_rotation
from gpuio.planning.plan import NEAREST_INTEGER, TOWARD_ZERO, Ints, Jitter, Plan
from gpuio.sampling import philox

Colors = NDArray[np.float64]

# In the gray of its contrast and saturation, MXNet exchanges the weights of red and blue.
GRAY = np.array(LUMA[::-1])


@dataclass(frozen=True)
class JitterOptions:
    """The changes of color that ImageRecordIter's arguments ask for.

    Attributes
    ----------
    brightness, contrast, saturation : largest change of the factor from 1
    hue : largest rotation of the colors, in half turns
    pca_noise : standard deviation of the noise along the principal components of ImageNet's colors
    hls : largest shifts of hue (of 180, clipped), lightness and saturation (of 255, clipped)
    gain : largest change of the plan's gain from 1, see `Plan`
    shift : largest shift of the plan

    All are at least 0.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    pca_noise: float = 0.0
    hls: tuple[int, int, int] = (0, 0, 0)
    gain: float = 0.0
    shift: float = 0.0

    @property
    def colors(self) -> bool:
        """Whether colors change in a way that needs red, green and blue."""
        return self.linear or self.pca_noise > 0 or any(self.hls)

    @property
    def linear(self) -> bool:
        """Whether brightness, contrast, saturation or hue change."""
        return max(self.brightness, self.contrast, self.saturation, self.hue) > 0

    def check_channels(self, channels: int) -> None:
        """Raise ArgumentError if images of so many channels do not have these colors."""
        if self.colors and channels != 3:
            raise ArgumentError(
                "brightness, contrast, saturation, hue, pca_noise and random_h, random_s, random_l "
                f"need 3 channels, not {channels}"
            )


NO_JITTER = JitterOptions()


def plan_colors(options: JitterOptions, plan: Plan, seed: int, epoch: Ints, record: Ints) -> Plan:
    """Add the changes of color to the plan of a batch.

    Parameters
    ----------
    seed, epoch, record : determine the draws

    Returns
    -------
    The plan with `jitter`, `color`, `rounding` and `light`
    """
    color = _linear(options, seed, epoch, record) if options.linear else None
    rounding = NEAREST_INTEGER
    if any(options.hls):
        # What changes hue and saturation is not linear: it comes between two matrices.
        jitter = Jitter(color=color, hls=_hls(options, seed, epoch, record), wrap_hue=False)
        plan, color = replace(plan, jitter=jitter), None
    if options.pca_noise > 0:
        rounding = TOWARD_ZERO
        color = np.tile(np.eye(3, 7), (len(record), 1, 1)) if color is None else color
        alpha = philox.normal(seed, epoch, record, philox.PCA, 3) * options.pca_noise
        color[:, :, 6] += alpha @ (np.array(EIGENVECTORS) * EIGENVALUES).T
    if color is not None:
        plan = replace(plan, color=color, rounding=rounding)
    if options.gain > 0 or options.shift > 0:
        unit = 2 * philox.uniform(seed, epoch, record, philox.LIGHT, 2) - 1
        light = unit * (options.gain, options.shift) + (1, 0)
        plan = replace(plan, light=light)
    return plan


def _linear(options: JitterOptions, seed: int, epoch: Ints, record: Ints) -> Colors:
    """Matrices, float64 (N, 3, 7) as in `Plan`, of brightness, contrast, saturation and hue.

    Without the clipping to 0 to 255 that MXNet does after each, the order of the first three makes
    no difference.
    """
    units = 2 * philox.uniform(seed, epoch, record, philox.COLOR, 4) - 1
    largest = (options.brightness, options.contrast, options.saturation)
    brightness, contrast, saturation = (1 + units[:, :3] * largest).T[:, :, None, None]
    color: Colors = np.tile(np.eye(3, 7), (len(record), 1, 1)) * brightness
    gray = (GRAY @ color)[:, None, :]
    color = color * contrast
    color[:, :, 3:6] += (1 - contrast) * gray[:, :, :3]  # the mean gray
    gray = (GRAY @ color)[:, None, :]
    color = saturation * color + (1 - saturation) * gray
    if options.hue > 0:
        color = hue_rotation(units[:, 3] * options.hue) @ color
    return color


def _hls(options: JitterOptions, seed: int, epoch: Ints, record: Ints) -> Ints:
    """Shifts, int64 (N, 3), from MXNet's distribution: the sum of two uniform numbers, one four
    times as large as the other.
    """
    units = philox.uniform(seed, epoch, record, philox.HLS, 6).reshape(-1, 3, 2)
    centered = 2 * (units @ (0.2, 0.8)) - 1
    # A shift by 255 saturates; larger ones would be too large for a pixel's arithmetic.
    return np.trunc(centered * np.array(options.hls, np.float64)).clip(-255, 255).astype(np.int64)
