"""A record file to show."""

from pathlib import Path

import pytest

from tests.io.records import jpeg, write_records


@pytest.fixture
def rec(tmp_path: Path) -> str:
    """Twelve images with labels 0, 1, 2: two of them broken, one truncated."""
    images = [jpeg(number, 60 + 10 * number, 90) for number in range(12)]
    images[4], images[7] = b"<b>no</b> image", images[7][:20]
    images[9] = images[9][: len(images[9]) // 2]
    labels = [number % 3 for number in range(12)]
    return str(write_records(tmp_path / "x", images, labels)["path_imgrec"])
