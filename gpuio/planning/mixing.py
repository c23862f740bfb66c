"""MixUp and CutMix: which images of a batch are mixed, and how."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.planning.plan import Ints
from gpuio.sampling import philox

# With larger ones all shares are 1/2, and with smaller ones 0 or 1.
LEAST_ALPHA, MOST_ALPHA = 1e-3, 1e6

# More classes are in no data set.
MOST_CLASSES = 10**7


@dataclass(frozen=True)
class _Mix:
    """What `MixUp` and `CutMix` have in common.

    Attributes
    ----------
    alpha : of the distribution Beta(alpha, alpha) of the shares
    num_classes : labels become shares of so many classes; None: see `Mixer`
    """

    alpha: float = 1.0
    num_classes: int | None = None

    def __post_init__(self) -> None:
        kind, alpha, classes = type(self).__name__, self.alpha, self.num_classes
        if not isinstance(alpha, numbers.Real) or not LEAST_ALPHA <= alpha <= MOST_ALPHA:
            raise ArgumentError(
                f"{kind}: alpha must be a number from {LEAST_ALPHA:g} to {MOST_ALPHA:g}, not "
                f"{alpha!r}"
            )
        whole = isinstance(classes, numbers.Integral) and not isinstance(classes, bool)
        if classes is not None and not (whole and 1 <= classes <= MOST_CLASSES):
            raise ArgumentError(
                f"{kind}: num_classes must be an integer from 1 to {MOST_CLASSES}, or None, not "
                f"{classes!r}"
            )


@dataclass(frozen=True)
class MixUp(_Mix):
    """MixUp (Zhang et al., mixup: Beyond empirical risk minimization, 2017): each image of a batch
    becomes ``share * image + (1 - share) * partner``, and so do the labels.

    Parameters
    ----------
    alpha : the share of each image is drawn from Beta(alpha, alpha)
    num_classes : labels become float32 (batch_size, num_classes): the share of each class. None:
        they become (batch_size, 3): the label, the partner's, and the share of the first; or, if
        records have several numbers, (batch_size, label_width), mixed like the images

    Raises
    ------
    ArgumentError : a value is out of range.
    """


@dataclass(frozen=True)
class CutMix(_Mix):
    """CutMix (Yun et al., CutMix: Regularization strategy to train strong classifiers with
    localizable features, 2019): a rectangle of each image of a batch shows its partner. Its area is
    a fraction ``1 - x`` of the image, less what lies outside, and the image's share is what is left
    of it.

    Parameters
    ----------
    alpha : x is drawn from Beta(alpha, alpha)
    num_classes : as in `MixUp`

    Raises
    ------
    ArgumentError : a value is out of range.
    """


class BatchMix(NamedTuple):
    """How the N images of a batch are mixed. The partner of image ``cycle[k]`` is ``cycle[k + 1]``,
    and that of the last one the first.

    Attributes
    ----------
    cycle : int64 (N,), each row of the batch once
    box : int64 (N, 4), x0, y0, x1, y1: the pixels that are mixed; others stay as they are
    weight : float32 (N,): they become ``weight * image + (1 - weight) * partner``
    share : float32 (N,): the share of the image's own label
    """

    cycle: Ints
    box: Ints
    weight: NDArray[np.float32]
    share: NDArray[np.float32]

    @property
    def partner(self) -> Ints:
        """The partner of each row: int64 (N,)."""
        partner = np.empty_like(self.cycle)
        partner[self.cycle] = np.roll(self.cycle, -1)
        return partner


@dataclass(frozen=True)
class Mixer:
    """Draws how batches are mixed.

    Which images are partners depends on the batch: on its records and their epochs. Whatever else
    is drawn for an image depends on the seed, the epoch and its record alone.

    Attributes
    ----------
    kinds : for each image one of them is drawn, with equal probability; they have the same
        num_classes
    seed : the augmentation's seed
    label_width : numbers in a record's label

    Raises
    ------
    ArgumentError : they do not have the same num_classes, or labels of several numbers have another
        number of them.
    """

    kinds: tuple[MixUp | CutMix, ...]
    seed: int
    label_width: int = 1

    def __post_init__(self) -> None:
        classes = {each.num_classes for each in self.kinds}
        if len(classes) > 1:
            raise ArgumentError(
                f"what batches are augmented by must have the same num_classes, not {self.kinds}"
            )
        if self.label_width > 1 and self.num_classes not in (None, self.label_width):
            raise ArgumentError(
                f"num_classes is {self.num_classes}, and labels have {self.label_width} numbers, a "
                "share of each class; leave num_classes out, or use label_width=1"
            )

    @property
    def num_classes(self) -> int | None:
        """Number of classes, as the kinds have it."""
        return self.kinds[0].num_classes

    @property
    def label_shape(self) -> tuple[int, ...]:
        """The shape of one mixed label."""
        if self.label_width > 1:
            return (self.label_width,)
        return (3,) if self.num_classes is None else (self.num_classes,)

    @property
    def classes(self) -> int | None:
        """Each label must be an integer from 0 to before this; None: any number."""
        return self.num_classes if self.label_width == 1 else None

    def draw(self, epoch: Ints, record: Ints, size: tuple[int, int]) -> BatchMix:
        """Draw how a batch is mixed.

        Parameters
        ----------
        epoch, record : int64 (N,), of its samples
        size : width and height of its images in pixels
        """
        unit = philox.uniform(self.seed, epoch, record, philox.MIX, 5)
        cycle = unit[:, 0].argsort(kind="stable")
        kind = (unit[:, 1] * len(self.kinds)).astype(np.int64)
        alpha = np.array([each.alpha for each in self.kinds], np.float64)[kind]
        drawn = _beta(unit[:, 2], alpha)
        cut = np.array([isinstance(each, CutMix) for each in self.kinds])[kind]
        box = np.where(cut[:, None], _boxes(drawn, unit[:, 3:], size), (0, 0, *size))
        area = (box[:, 2:] - box[:, :2]).prod(1)
        share = np.where(cut, 1 - area / (size[0] * size[1]), drawn).astype(np.float32)
        weight = np.where(cut, np.float32(0), share)
        return BatchMix(cycle, box, weight, share)

    def mix_labels(self, labels: NDArray[np.float32], mix: BatchMix) -> NDArray[np.float32]:
        """The labels of a mixed batch.

        Parameters
        ----------
        labels : float32 (N, …), with `label_width` numbers in each

        Returns
        -------
        float32 (N, *label_shape)
        """
        labels = labels.reshape(len(labels), self.label_width)
        share, partner = mix.share[:, None], mix.partner
        if self.label_width > 1:
            return share * labels + (1 - share) * labels[partner]
        if self.num_classes is None:
            return np.concatenate([labels, labels[partner], share], axis=1)
        shares = np.zeros((len(labels), self.num_classes), np.float32)
        rows, own = np.arange(len(labels)), labels[:, 0].astype(np.int64)
        shares[rows, own] = mix.share
        shares[rows, own[partner]] += 1 - mix.share
        return shares


def check_class(label: float, classes: int | None) -> None:
    """Check a record's label.

    Parameters
    ----------
    classes : it must be an integer from 0 to before this; None: any number

    Raises
    ------
    RecordError : it is not.
    """
    if classes is not None and not (label.is_integer() and 0 <= label < classes):
        raise RecordError(
            f"the record's label is {label:g}; with num_classes={classes} labels are integers from "
            f"0 to {classes - 1}"
        )


def _beta(unit: NDArray[np.float64], alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers of the distributions Beta(alpha, alpha), from uniform ones."""
    from scipy.special import betaincinv  # takes longer to import than all of gpuio

    drawn: NDArray[np.float64] = betaincinv(alpha, alpha, unit)
    return drawn


def _boxes(left: NDArray[np.float64], center: NDArray[np.float64], size: tuple[int, int]) -> Ints:
    """Rectangles, int64 (N, 4), that leave a fraction of the image, (N,), around centers, (N, 2),
    in [0, 1); cut off at the image's edges.
    """
    half = (0.5 * np.sqrt(1 - left)[:, None] * size).astype(np.int64)
    middle = (center * size).astype(np.int64)
    low, high = np.maximum(middle - half, 0), np.minimum(middle + half, size)
    return np.concatenate([low, high], axis=1)
