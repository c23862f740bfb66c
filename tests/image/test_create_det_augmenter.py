"""CreateDetAugmenter and CreateMultiRandCropAugmenter."""

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError

I = mx.image  # noqa: E741


def test_they_come_in_mxnets_order() -> None:
    """As MXNet 1.9.1 dumps them."""
    made = I.CreateDetAugmenter(
        (3, 30, 40), resize=50, rand_crop=0.5, rand_pad=0.5, rand_gray=0.1, rand_mirror=True,
        mean=True, std=True, brightness=0.1, hue=0.4,
    )  # fmt: skip
    assert [each.dumps() for each in made] == [
        ["detborrowaug", '["resizeaug", {"size": 50, "interp": 2}]'],
        ["detrandomselectaug", ['["detrandomcropaug", {"min_object_covered": 0.1, '
                                '"aspect_ratio_range": [0.75, 1.33], "area_range": [0.05, 3.0], '
                                '"min_eject_coverage": 0.3, "max_attempts": 50}]']],
        '["dethorizontalflipaug", {"p": 0.5}]',
        ["detrandomselectaug", ['["detrandompadaug", {"aspect_ratio_range": [0.75, 1.33], '
                                '"area_range": [1.0, 3.0], "max_attempts": 50, "pad_val": '
                                '[127, 127, 127]}]']],
        ["detborrowaug", '["forceresizeaug", {"size": [40, 30], "interp": 2}]'],
        ["detborrowaug", '["castaug", {"type": "float32"}]'],
        ["detborrowaug", ["colorjitteraug", ['["brightnessjitteraug", {"brightness": 0.1}]']]],
        ["detborrowaug", '["huejitteraug", {"hue": 0.4}]'],
        ["detborrowaug", '["randomgrayaug", {"p": 0.1}]'],
        ["detborrowaug", '["colornormalizeaug", {"mean": [123.68, 116.28, 103.53], "std": '
                         '[58.395, 57.12, 57.375]}]'],
    ]  # fmt: skip
    multi = I.CreateMultiRandCropAugmenter([0.1, 0.3], [(0.75, 1.33)], max_attempts=9)
    assert [crop.min_object_covered for crop in multi.aug_list] == [0.1, 0.3]
    assert {crop.max_attempts for crop in multi.aug_list} == {9}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_object_covered": [0.1, 0.2], "max_attempts": [1, 2, 3]},
         "2 of min_object_covered, 3 of max_attempts"),
        ({"max_attempts": []}, "at least 1, not 0 of max_attempts"),
        ({"area_range": [(0.5, 0.2)]}, "area_range must be"),
    ],
)  # fmt: skip
def test_lists_that_do_not_fit(options: dict[str, object], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        I.CreateMultiRandCropAugmenter(**options)


def test_a_single_value_counts_for_all_crops() -> None:
    multi = I.CreateMultiRandCropAugmenter([0.1, 0.2, 0.3], area_range=[(0.1, 0.5)], skip_prob=0.4)
    assert [crop.min_object_covered for crop in multi.aug_list] == [0.1, 0.2, 0.3]
    assert {crop.area_range for crop in multi.aug_list} == {(0.1, 0.5)}
    assert multi.skip_prob == 0.4


def test_the_usual_ones_are_resize_and_cast() -> None:
    created = [each.augmenter for each in I.CreateDetAugmenter((3, 4, 5))]
    assert [type(each) for each in created] == [I.ForceResizeAug, I.CastAug]
    assert created[0].size == (5, 4)


def test_probabilities_become_those_of_doing_nothing() -> None:
    crop, pad, *_ = I.CreateDetAugmenter((3, 4, 5), rand_crop=0.7, rand_pad=0.2)
    assert crop.skip_prob == pytest.approx(0.3) and pad.skip_prob == pytest.approx(0.8)


def test_options_that_are_wrong() -> None:
    with pytest.raises(ArgumentError, match="brightness must be a finite number"):
        I.CreateDetAugmenter((3, 4, 5), brightness="much")
    with pytest.raises(ArgumentError, match="mean must be True, or have 1 or 3 numbers"):
        I.CreateDetAugmenter((3, 4, 5), mean=[1, 2])
