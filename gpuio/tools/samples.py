"""A small set of real photographs with labels, cut from pictures that come with other packages.

scikit-image and scikit-learn ship a few pictures of free licences. Each becomes a class: a folder
of JPEG files cut from it in different places, sizes and shapes, the same at every run.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpuio.errors import ArgumentError, Error

if TYPE_CHECKING:
    from PIL.Image import Image

Path = str | os.PathLike[str]

PER_CLASS = 12

SOURCES = "SOURCES.txt"

_SKIMAGE = "https://scikit-image.org/docs/stable/api/skimage.data.html"
_CC0 = "CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/"
_CC_BY = "CC BY 2.0, https://creativecommons.org/licenses/by/2.0/"

# Width and height in proportion, in turn; and the longer side in pixels, where the original allows.
_SHAPES = ((4, 3), (3, 4), (3, 2), (1, 1), (2, 3), (16, 9))
_SIDES = (500, 375, 320, 440, 640)

# Share of the original's greatest cut of that shape.
_LEAST_CUT, _GREATEST_CUT = 0.55, 1.0


@dataclass(frozen=True)
class Source:
    """A picture of another package.

    Attributes
    ----------
    name : its class
    package, file : the package, and the file in it
    author, licence : whose it is, and on what terms
    origin : where it was published
    gray : whether it is gray
    """

    name: str
    package: str
    file: str
    author: str
    licence: str
    origin: str
    gray: bool = False

    def path(self) -> str:
        """The picture's file.

        Raises
        ------
        Error : the package is not installed, or lacks it.
        """
        spec = importlib.util.find_spec(self.package)  # does not import it
        folder = os.path.dirname(spec.origin) if spec and spec.origin else None
        if folder is None:
            what = "is not installed"
        elif os.path.isfile(path := os.path.join(folder, self.file)):
            return path
        else:
            what = f"has no {self.file} here"
        raise Error(
            f"the sample photographs are cut from pictures of scikit-image and scikit-learn, and "
            f"{self.package} {what}; run pip install 'gpuio[demo]', or use images of your own"
        )


PICTURES = (
    Source(
        "brick",
        "skimage",
        "data/brick.png",
        "CC0Textures (Bricks25)",
        _CC0,
        "https://cc0textures.com/view.php?tex=Bricks25",
        gray=True,
    ),
    Source("cat", "skimage", "data/chelsea.png", "Stefan van der Walt", _CC0, _SKIMAGE),
    Source("coffee", "skimage", "data/coffee.png", "Rachel Michetti", _CC0, _SKIMAGE),
    Source(
        "coins",
        "skimage",
        "data/coins.png",
        "Brooklyn Museum Collection",
        "no known copyright restrictions",
        "https://www.brooklynmuseum.org/opencollection/archives/image/51611",
        gray=True,
    ),
    Source(
        "flower",
        "sklearn",
        "datasets/images/flower.jpg",
        "vultilion, https://www.flickr.com/photos/vultilion/",
        _CC_BY,
        "https://www.flickr.com/photos/vultilion/6056698931/",
    ),
    Source(
        "galaxies",
        "skimage",
        "data/hubble_deep_field.jpg",
        "NASA, ESA (Hubble eXtreme Deep Field)",
        "public domain",
        "http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/",
    ),
    Source(
        "pagoda",
        "sklearn",
        "datasets/images/china.jpg",
        "danielbuechele, https://www.flickr.com/photos/danielbuechele/",
        _CC_BY,
        "https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    Source(
        "retina",
        "skimage",
        "data/retina.jpg",
        "Mikael Häggström",
        _CC0,
        "https://commons.wikimedia.org/wiki/File:Fundus_photograph_of_normal_left_eye.jpg",
    ),
    Source(
        "rocket",
        "skimage",
        "data/rocket.jpg",
        "SpaceX",
        "public domain",
        "https://www.flickr.com/photos/spacexphotos/16511594820/",
    ),
    Source(
        "tissue",
        "skimage",
        "data/ihc.png",
        "Center for Microscopy and Molecular Imaging (CMMI)",
        "no known copyright restrictions",
        _SKIMAGE,
    ),
)


def make_samples(root: Path, per_class: int = PER_CLASS) -> list[str]:
    """Write the sample photographs, as ``<root>/<class>/<class>-<number>.jpg``.

    Their shorter sides have 150 to 640 pixels. Beside them stands SOURCES.txt: whose the
    originals are, and on what terms. Takes a second; the same files at every run.

    Parameters
    ----------
    root : the folder; it is made
    per_class : pictures in each of the ten classes

    Returns
    -------
    the classes, in the order of their names

    Raises
    ------
    Error : scikit-image or scikit-learn is not installed.
    ArgumentError : per_class is less than 1.
    """
    from PIL import Image

    if per_class < 1:
        raise ArgumentError(f"per_class must be at least 1, not {per_class!r}")
    root = os.fspath(root)
    paths = [source.path() for source in PICTURES]  # all, before anything is written
    for number, (source, path) in enumerate(zip(PICTURES, paths, strict=True)):
        folder = os.path.join(root, source.name)
        os.makedirs(folder, exist_ok=True)
        random = np.random.Generator(np.random.Philox(number))
        with Image.open(path) as opened:
            picture = opened.convert("L" if source.gray else "RGB")
        for i in range(per_class):
            cut = _cut(picture, _SHAPES[i % len(_SHAPES)], _SIDES[i % len(_SIDES)], random)
            file = os.path.join(folder, f"{source.name}-{i:02}.jpg")
            cut.save(file, quality=(85, 90, 95)[i % 3], subsampling=(2, 0)[i % 2])
    with open(os.path.join(root, SOURCES), "w", encoding="utf-8") as text:
        text.write(sources_text())
    return [source.name for source in PICTURES]


def sources_text() -> str:
    """Where the sample photographs come from: whose the originals are, and on what terms."""
    parts = [
        "Each picture of this folder was cut from the one named below, scaled, and saved as JPEG.\n"
    ]
    for source in PICTURES:
        parts.append(
            f"{source.name}/\n"
            f"  original  {source.package}/{source.file}\n"
            f"  author    {source.author}\n"
            f"  licence   {source.licence}\n"
            f"  origin    {source.origin}\n"
        )
    return "\n".join(parts)


def _cut(picture: Image, shape: tuple[int, int], longer: int, random: np.random.Generator) -> Image:
    """A random cut of a shape, scaled so that its longer side has at most so many pixels."""
    from PIL import Image

    across, down = shape
    unit = min(picture.width / across, picture.height / down)
    unit *= random.uniform(_LEAST_CUT, _GREATEST_CUT) ** 0.5
    width, height = round(across * unit), round(down * unit)
    # Not at the very edges, where what the picture shows might be missing.
    left = round((picture.width - width) * random.uniform(0.2, 0.8))
    top = round((picture.height - height) * random.uniform(0.2, 0.8))
    scale = min(1.0, longer / max(width, height))
    size = round(width * scale), round(height * scale)
    return picture.resize(size, Image.Resampling.LANCZOS, (left, top, left + width, top + height))
