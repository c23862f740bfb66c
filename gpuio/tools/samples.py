"""Sample data: a small labeled set of real photographs.

scikit-image and scikit-learn ship a few images under free licenses. Each becomes a class: a folder
of JPEG files, cropped from it at different positions, sizes and aspect ratios. The files are the
same on every run.
"""

from __future__ import annotations

import importlib.util
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpuio.errors import ArgumentError, Error
from gpuio.storage.local import Path
from gpuio.storage.output_file import create
from gpuio.storage.writing import write_file

if TYPE_CHECKING:
    from PIL.Image import Image

PER_CLASS = 12

SOURCES = "SOURCES.txt"

_SKIMAGE = "https://scikit-image.org/docs/stable/api/skimage.data.html"
_CC0 = "CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/"
_CC_BY = "CC BY 2.0, https://creativecommons.org/licenses/by/2.0/"

# Aspect ratios (width, height), and lengths of the longer side in pixels, if the original allows;
# both are cycled through.
_ASPECTS = ((4, 3), (3, 4), (3, 2), (1, 1), (2, 3), (16, 9))
_LONGER_SIDES = (500, 375, 320, 440, 640)

# Area of a crop, as a fraction of the largest with its aspect ratio.
_MIN_AREA, _MAX_AREA = 0.55, 1.0


@dataclass(frozen=True)
class SourceImage:
    """An image shipped with another package.

    Attributes
    ----------
    name : name of its class
    package, file : the package, and the file's path in it
    author, license : who made it, and its terms
    origin : where it was published
    gray : whether it is grayscale
    """

    name: str
    package: str
    file: str
    author: str
    license: str
    origin: str
    gray: bool = False

    def path(self) -> str:
        """Path of the installed file.

        Raises
        ------
        Error : the package is not installed, or lacks the file.
        """
        spec = importlib.util.find_spec(self.package)  # does not import it
        folder = os.path.dirname(spec.origin) if spec and spec.origin else None
        if folder is None:
            problem = "is not installed"
        elif os.path.isfile(path := os.path.join(folder, self.file)):
            return path
        else:
            problem = f"has no {self.file} here"
        raise Error(
            f"the sample photographs come from scikit-image and scikit-learn, and {self.package} "
            f"{problem}; run pip install 'gpuio[demo]', or use images of your own"
        )


SOURCE_IMAGES = (
    SourceImage(
        "brick",
        "skimage",
        "data/brick.png",
        "CC0Textures (Bricks25)",
        _CC0,
        "https://cc0textures.com/view.php?tex=Bricks25",
        gray=True,
    ),
    SourceImage("cat", "skimage", "data/chelsea.png", "Stefan van der Walt", _CC0, _SKIMAGE),
    SourceImage("coffee", "skimage", "data/coffee.png", "Rachel Michetti", _CC0, _SKIMAGE),
    SourceImage(
        "coins",
        "skimage",
        "data/coins.png",
        "Brooklyn Museum Collection",
        "no known copyright restrictions",
        "https://www.brooklynmuseum.org/opencollection/archives/image/51611",
        gray=True,
    ),
    SourceImage(
        "flower",
        "sklearn",
        "datasets/images/flower.jpg",
        "vultilion, https://www.flickr.com/photos/vultilion/",
        _CC_BY,
        "https://www.flickr.com/photos/vultilion/6056698931/",
    ),
    SourceImage(
        "galaxies",
        "skimage",
        "data/hubble_deep_field.jpg",
        "NASA, ESA (Hubble eXtreme Deep Field)",
        "public domain",
        "http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/",
    ),
    SourceImage(
        "pagoda",
        "sklearn",
        "datasets/images/china.jpg",
        "danielbuechele, https://www.flickr.com/photos/danielbuechele/",
        _CC_BY,
        "https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    SourceImage(
        "retina",
        "skimage",
        "data/retina.jpg",
        "Mikael Häggström",
        _CC0,
        "https://commons.wikimedia.org/wiki/File:Fundus_photograph_of_normal_left_eye.jpg",
    ),
    SourceImage(
        "rocket",
        "skimage",
        "data/rocket.jpg",
        "SpaceX",
        "public domain",
        "https://www.flickr.com/photos/spacexphotos/16511594820/",
    ),
    SourceImage(
        "tissue",
        "skimage",
        "data/ihc.png",
        "Center for Microscopy and Molecular Imaging (CMMI)",
        "no known copyright restrictions",
        _SKIMAGE,
    ),
)


def make_samples(root: Path, per_class: int = PER_CLASS) -> list[str]:
    """Write the sample photographs as ``<root>/<class>/<class>-<number>.jpg``.

    Their shorter sides have 150 to 640 pixels. SOURCES.txt in the same folder names the authors and
    licenses of the originals. Takes about a second.

    Parameters
    ----------
    root : the folder, created if missing
    per_class : images in each of the ten classes

    Returns
    -------
    the class names, sorted

    Raises
    ------
    Error : scikit-image or scikit-learn is not installed.
    ArgumentError : per_class is less than 1.
    """
    from PIL import Image

    if per_class < 1:
        raise ArgumentError(f"per_class must be at least 1, not {per_class!r}")
    root = os.fspath(root)
    paths = [source.path() for source in SOURCE_IMAGES]  # all, before anything is written
    for number, (source, path) in enumerate(zip(SOURCE_IMAGES, paths, strict=True)):
        folder = os.path.join(root, source.name)
        os.makedirs(folder, exist_ok=True)
        rng = np.random.Generator(np.random.Philox(number))
        with Image.open(path) as opened:
            original = opened.convert("L" if source.gray else "RGB")
        for i in range(per_class):
            aspect = _ASPECTS[i % len(_ASPECTS)]
            crop = _random_crop(original, aspect, _LONGER_SIDES[i % len(_LONGER_SIDES)], rng)
            file = os.path.join(folder, f"{source.name}-{i:02}.jpg")
            encoded = io.BytesIO()
            crop.save(encoded, "JPEG", quality=(85, 90, 95)[i % 3], subsampling=(2, 0)[i % 2])
            with create(file, "wb") as output:
                output.write(encoded.getbuffer())
    write_file(os.path.join(root, SOURCES), _sources().encode())
    return [source.name for source in SOURCE_IMAGES]


def _sources() -> str:
    """Content of SOURCES.txt."""
    parts = [
        "Each image in this folder was cropped from the one named below, scaled, and saved as "
        "JPEG.\n"
    ]
    for source in SOURCE_IMAGES:
        parts.append(
            f"{source.name}/\n"
            f"  original  {source.package}/{source.file}\n"
            f"  author    {source.author}\n"
            f"  license   {source.license}\n"
            f"  origin    {source.origin}\n"
        )
    return "\n".join(parts)


def _random_crop(
    image: Image, aspect: tuple[int, int], longer_side: int, rng: np.random.Generator
) -> Image:
    """Crop to an aspect ratio (width, height), and scale down to a longer side in pixels."""
    from PIL import Image

    across, down = aspect
    unit = min(image.width / across, image.height / down)
    unit *= rng.uniform(_MIN_AREA, _MAX_AREA) ** 0.5
    width, height = round(across * unit), round(down * unit)
    # Not at the very edges, where the subject might be missing.
    left = round((image.width - width) * rng.uniform(0.2, 0.8))
    top = round((image.height - height) * rng.uniform(0.2, 0.8))
    scale = min(1.0, longer_side / max(width, height))
    size = round(width * scale), round(height * scale)
    return image.resize(size, Image.Resampling.LANCZOS, (left, top, left + width, top + height))
