"""Options of crops, and which of them make no sense."""

import pytest

from gpuio.errors import ArgumentError
from gpuio.planning.crop_options import CropOptions


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"height": 0}, "at least one pixel"),
        ({"resize": 0}, "resize"),
        ({"method": 5}, "inter_method"),
        ({"method": 3, "antialias": True}, "antialias"),
        ({"resized_crop": True, "rand_crop": True}, "exclude"),
        ({"area": (0.0, 1.0)}, "min_random_area"),
        ({"area": (0.5, 0.2)}, "min_random_area"),
        ({"ratio": (0.0, 1.0)}, "aspect"),
        ({"ratio": (1e-300, 1e300)}, "aspect"),
        ({"resize": 2**31}, "resize"),
        ({"pad": 2**70}, "pad"),
        ({"crop_size": (1, 2**70)}, "max_crop_size"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, int], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        CropOptions(**{"height": 8, "width": 8, **arguments})
