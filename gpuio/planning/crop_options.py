"""What ImageRecordIter's arguments say about the geometry of its images."""

from __future__ import annotations

from dataclasses import dataclass

from gpuio.errors import ArgumentError
from gpuio.planning.affine import NO_AFFINE, AffineOptions
from gpuio.planning.plan import CUBIC, LANCZOS, LINEAR, check_method, check_ratios

# The largest length in pixels that an argument may ask for: MXNet's int. The largest aspect ratio
# of a crop.
LARGEST_LENGTH, LARGEST_RATIO = 2**31 - 1, 1e6


@dataclass(frozen=True)
class CropOptions:
    """The geometry that ImageRecordIter's arguments ask for.

    Attributes
    ----------
    height, width : pixels of the output
    resize : length in pixels to which the shorter side is scaled first; None: not at all
    rand_crop : the crop lies anywhere, not in the center
    affine : rotation, shear, scale and aspect ratio, after `resize`
    pad : border in pixels on each side of the image, after that
    fill : pixel values around the image, one for each channel
    crop_size : range of the side of a square that is cropped and scaled to the output; None: the
        crop has the output's size
    resized_crop : crop a random area of a random aspect ratio and scale it to the output
        (Inception's crop)
    area : range of the fraction of the image that a resized crop covers
    ratio : range of a resized crop's width/height (or height/width, with equal probability)
    mirror : flip every sample left to right
    rand_mirror : flip each sample with probability 0.5
    method : MXNet's number of the interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4
        Lanczos, 9 bicubic to enlarge, area to shrink, else bilinear, 10 one of 0 to 4 at random
    antialias : when shrinking, average all source pixels of an output pixel (bilinear, bicubic and
        Lanczos)

    Raises
    ------
    ArgumentError : a value is out of range, or two are inconsistent.
    """

    height: int
    width: int
    resize: int | None = None
    affine: AffineOptions = NO_AFFINE
    pad: int = 0
    fill: tuple[int, ...] = (0, 0, 0)
    crop_size: tuple[int, int] | None = None
    rand_crop: bool = False
    resized_crop: bool = False
    area: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    mirror: bool = False
    rand_mirror: bool = False
    method: int = LINEAR
    antialias: bool = False

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ArgumentError(
                f"the output must have at least one pixel, not {self.width} x {self.height}"
            )
        if self.resize is not None and self.resize < 1:
            raise ArgumentError(f"resize must be at least 1 pixel, not {self.resize}")
        self._check_lengths()
        check_method(self.method)
        if self.antialias and self.method not in (LINEAR, CUBIC, LANCZOS):
            raise ArgumentError(
                "antialias=True goes with inter_method 1 (bilinear), 2 (bicubic) or 4 (Lanczos), "
                f"not {self.method}"
            )
        if self.antialias and self.affine.turns:
            raise ArgumentError("antialias=True does not go with rotation and shear")
        if self.resized_crop:
            for name, given in (
                ("rand_crop", self.rand_crop),
                ("max_crop_size", self.crop_size is not None),
                ("max_random_scale and min_random_scale", self.affine.scale != (1, 1)),
            ):
                if given:
                    raise ArgumentError(
                        f"random_resized_crop and {name} exclude each other; choose one"
                    )
        if self.crop_size is not None and not 1 <= self.crop_size[0] <= self.crop_size[1]:
            raise ArgumentError(
                "min_crop_size and max_crop_size must be given together, and satisfy 1 <= min <= "
                f"max, not {self.crop_size[0]} and {self.crop_size[1]}"
            )
        low, high = self.area
        if not 0 < low <= high <= 1:
            raise ArgumentError(
                "min_random_area and max_random_area must satisfy 0 < min <= max <= 1, "
                f"not {low} and {high}"
            )
        check_ratios(self.ratio, LARGEST_RATIO)

    @property
    def bordered(self) -> bool:
        """Whether images may fill only a part of the output, and the rest is painted."""
        return self.pad > 0 or (self.affine.active and not self.affine.turns)

    def _check_lengths(self) -> None:
        for name, length in (
            ("resize", self.resize or 0),
            ("pad", self.pad),
            ("max_crop_size", max(self.crop_size or (0,))),
        ):
            if length > LARGEST_LENGTH:
                raise ArgumentError(f"{name} must be below 2**31 pixels, not {length}")
