"""The sample photographs: the same on every run, of many shapes, with their sources."""

from pathlib import Path

import pytest
from PIL import Image

from gpuio.errors import ArgumentError, Error
from gpuio.tools.samples import SOURCE_IMAGES, SourceImage, make_samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("samples")
    classes = make_samples(root)
    assert classes == sorted(path.name for path in root.iterdir() if path.is_dir())
    return root


def test_there_are_images_of_many_shapes(samples: Path) -> None:
    modes, shapes, sizes = set(), set(), []
    for path in samples.glob("*/*.jpg"):
        assert path.name.startswith(f"{path.parent.name}-")
        with Image.open(path) as image:
            image.load()
            assert image.format == "JPEG"
            modes.add(image.mode)
            shapes.add((image.width > image.height) - (image.width < image.height))
            sizes.append(min(image.size))
    assert modes == {"L", "RGB"}
    assert shapes == {-1, 0, 1}
    assert len(sizes) == 120
    assert min(sizes) >= 120 and max(sizes) <= 640 and len(set(sizes)) > 20


def test_they_are_the_same_on_every_run(samples: Path, tmp_path: Path) -> None:
    make_samples(tmp_path, per_class=2)
    again = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.jpg"))
    assert len(again) == 20
    for path in again:
        assert (tmp_path / path).read_bytes() == (samples / path).read_bytes()


def test_the_sources_are_listed(samples: Path) -> None:
    sources = (samples / "SOURCES.txt").read_text(encoding="utf-8")
    for source in SOURCE_IMAGES:
        for part in (source.name, source.author, source.license, source.origin):
            assert part in sources


def test_a_missing_package_is_named_with_what_to_do() -> None:
    for source in (
        SourceImage("x", "no_such_package", "x.png", "", "", ""),
        SourceImage("x", "numpy", "x.png", "", "", ""),
    ):
        with pytest.raises(Error, match=rf"{source.package} .*pip install 'gpuio\[demo\]'"):
            source.path()


def test_per_class_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="per_class must be at least 1"):
        make_samples(tmp_path, per_class=0)
