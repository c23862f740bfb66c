"""Checking of iterators' arguments about augmentation."""

from __future__ import annotations

from typing import Any

from gpuio.errors import ArgumentError
from gpuio.planning.policies import Policy


def as_policies(name: str, augmenters: Any, channels: int) -> tuple[Policy, ...]:
    """The policies of a sequence of augmenters, such as `gpuio.image.RandAugment`.

    Parameters
    ----------
    channels : of the images

    Raises
    ------
    ArgumentError : it is no sequence, an augmenter does not draw operations, or it does not go with
        so many channels.
    """
    if augmenters is None:
        return ()
    if isinstance(augmenters, str) or not hasattr(augmenters, "__iter__"):
        raise ArgumentError(
            f"{name} must be a list of augmenters, such as [RandAugment()], not {augmenters!r}"
        )
    policies = []
    for each in augmenters:
        policy = getattr(each, "policy", None)
        if not isinstance(policy, Policy):
            shown = repr(each) if isinstance(each, (str, type)) else type(each).__name__
            raise ArgumentError(
                f"{name} takes RandAugment, TrivialAugmentWide, ColorJitter and RandomErasing of "
                f"gpuio.image, such as RandAugment(), not {shown}; others go into the aug_list of "
                "mx.image.ImageIter"
            )
        policy.check_channels(channels)
        policies.append(policy)
    return tuple(policies)
