"""Records of image files."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.recordio import unpack
from gpuio.recordio.framing import HEADER
from gpuio.recordio.lists import ListItem
from gpuio.tools.commands.im2rec.folder import ImageFolder
from gpuio.tools.commands.im2rec.lists import BadImage
from gpuio.tools.commands.im2rec.packer import ImagePacker, Record

PASS_THROUGH = ImagePacker(True, 0, False, 95, ".jpg", 1, False)


@pytest.fixture
def images(tmp_path: Path) -> ImageFolder:
    cv2.imwrite(f"{tmp_path}/good.png", np.zeros((40, 50, 3), np.uint8))
    (tmp_path / "bad.png").write_bytes(b"not an image")
    return ImageFolder(str(tmp_path))


def payload(record: Record | BadImage) -> bytes:
    assert isinstance(record, Record)
    return b"".join(map(bytes, record.framed))[HEADER.size :]


def test_a_file_is_stored_unchanged_or_scaled(images: ImageFolder, tmp_path: Path) -> None:
    item = ListItem(7, (2.0,), "good.png")
    header, image = unpack(payload(PASS_THROUGH.make_record(item, images)))
    assert (header.id, header.label) == (7, 2.0)
    assert bytes(image).startswith((tmp_path / "good.png").read_bytes())
    scaling = ImagePacker(False, 20, False, 95, ".png", 1, False)
    made = scaling.make_record(item, images)
    decoded = cv2.imdecode(np.frombuffer(unpack(payload(made))[1], np.uint8), 1)
    assert decoded.shape == (20, 25, 3)


def test_what_is_not_an_image_is_doubtful_or_bad(images: ImageFolder) -> None:
    item = ListItem(0, (0.0,), "bad.png")
    stored = PASS_THROUGH.make_record(item, images)
    assert isinstance(stored, Record) and stored.doubt
    scaling = ImagePacker(False, 20, False, 95, ".png", 1, False)
    left_out = scaling.make_record(item, images)
    assert isinstance(left_out, BadImage) and left_out.path.endswith("bad.png")
    missing = PASS_THROUGH.make_record(item._replace(path="missing.png"), images)
    assert isinstance(missing, BadImage) and missing.reason == "No such file or directory"
    line = BadImage("x.lst line 3", "there is no tab")
    assert PASS_THROUGH.make_record(line, images) is line


def test_options_are_checked() -> None:
    with pytest.raises(ArgumentError, match="quality"):
        ImagePacker(False, 0, False, 0, ".jpg", 1, False)
