"""A folder of images with a list, and an ImageIter over it."""

from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from tests.io.records import jpeg

I = mx.image  # noqa: E741


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight images in a folder, and a list of them with two labels each."""
    (tmp_path / "images").mkdir()
    lines = []
    for number in range(8):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(jpeg(number, 60, 50))
        lines.append(f"{10 * number}\t{number}.000000\t0.500000\t{number}.jpg\n")
    (tmp_path / "x.lst").write_text("".join(lines))
    return tmp_path


def over(folder: Path, **options: Any) -> Any:
    values: dict[str, Any] = {
        "path_imglist": folder / "x.lst", "path_root": folder / "images", "label_width": 2,
        "batch_size": 3, "data_shape": (3, 24, 28),
    }  # fmt: skip
    return I.ImageIter(**{**values, **options})
