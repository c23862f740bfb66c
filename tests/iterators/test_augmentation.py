"""Arguments about augmentation."""

from typing import Any

import pytest

from gpuio.errors import ArgumentError
from gpuio.image import ColorJitterAug, RandAugment, RandomErasing
from gpuio.iterators.augmentation import as_policies


def test_augmenters_become_their_policies() -> None:
    given = RandAugment(1), RandomErasing()
    assert as_policies("augmenters", given, 3) == (given[0].policy, given[1].policy)
    assert as_policies("augmenters", None, 3) == as_policies("augmenters", [], 3) == ()


@pytest.mark.parametrize(
    ("augmenters", "said"),
    [
        (RandAugment(), r"must be a list of augmenters, such as \[RandAugment\(\)\], not"),
        (iter([RandAugment()]), "must be a list of augmenters"),
        ("randaugment", "must be a list of augmenters.*not 'randaugment'"),
        (["randaugment"], "such as RandAugment.., not 'randaugment'"),
        ([RandAugment], "not <class.*RandAugment"),
        ([ColorJitterAug(0.1, 0.1, 0.1)], "not ColorJitterAug; others go into the aug_list"),
        ([RandAugment(fill=(1, 2))], "fill must be a number, or one for each of 3 channels"),
    ],
)
def test_others_are_refused(augmenters: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        as_policies("augmenters", augmenters, 3)
