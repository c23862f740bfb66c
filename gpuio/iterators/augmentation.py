"""Checking of iterators' arguments about augmentation."""

from __future__ import annotations

from typing import Any

from gpuio.errors import ArgumentError
from gpuio.planning.mixing import CutMix, Mixer, MixUp
from gpuio.planning.policies import Policy


def as_policies(
    name: str, augmenters: Any, channels: int, boxes: bool = False
) -> tuple[Policy, ...]:
    """The policies of a sequence of augmenters, such as `gpuio.image.RandAugment`.

    Parameters
    ----------
    channels : of the images
    boxes : the images have boxes, so that nothing may move

    Raises
    ------
    ArgumentError : it is no sequence, an augmenter does not draw operations, or it does not go with
        boxes or so many channels.
    """
    if augmenters is None:
        return ()
    example = "ColorJitter(0.4)" if boxes else "RandAugment()"
    if not isinstance(augmenters, (list, tuple)):  # a pickle of the iterator has them, too
        raise ArgumentError(
            f"{name} must be a list of augmenters, such as [{example}], not {augmenters!r}"
        )
    policies = []
    for each in augmenters:
        policy = getattr(each, "policy", None)
        if not isinstance(policy, Policy):
            shown = repr(each) if isinstance(each, (str, type)) else type(each).__name__
            kinds = "" if boxes else "RandAugment, TrivialAugmentWide, "
            raise ArgumentError(
                f"{name} takes {kinds}ColorJitter and RandomErasing of gpuio.image, such as "
                f"{example}, not {shown}; others go into the aug_list of "
                f"mx.image.{'ImageDetIter' if boxes else 'ImageIter'}"
            )
        if boxes and policy.moves_pixels:
            raise ArgumentError(
                f"{name} cannot have {type(each).__name__} here: it moves pixels, and the boxes "
                "would stay where they are; use ColorJitter and RandomErasing, and the crops and "
                "mirroring of the iterator's own arguments"
            )
        policy.check_channels(channels)
        policies.append(policy)
    return tuple(policies)


def as_mixer(name: str, augmentation: Any, seed: int, label_width: int) -> Mixer | None:
    """What mixes batches: a MixUp or CutMix, or several of them; None: nothing does.

    Parameters
    ----------
    seed : the augmentation's seed
    label_width : numbers in a record's label

    Raises
    ------
    ArgumentError : it is something else, or they do not go together.
    """
    if augmentation is None:
        return None
    several = isinstance(augmentation, (list, tuple))
    kinds = tuple(augmentation) if several else (augmentation,)
    if not kinds or not all(isinstance(each, (MixUp, CutMix)) for each in kinds):
        raise ArgumentError(
            f"{name} must be gpuio.image.MixUp(...) or CutMix(...), or a list of both, not "
            f"{augmentation!r}"
        )
    return Mixer(kinds, seed, label_width)
