"""ImageRecordIter for records whose labels do not matter."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.tools.unlabelled import UnlabelledImageIter
from tests.io.records import EXECUTORS, RUNS
from tests.tools.record_layouts import COUNT, write_layout


@pytest.mark.parametrize("options", [{"rand_crop": True}, {"pad": 4}, {"max_rotate_angle": 30}])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_images_are_those_of_image_record_iter(
    executor: str, options: dict[str, Any], tmp_path: Path
) -> None:
    call = {"data_shape": (3, 32, 40), "batch_size": COUNT, **options, **RUNS[executor]}
    plain = write_layout("plain", tmp_path / "plain")
    other = write_layout("different lengths", tmp_path / "other")
    with (
        mx.io.ImageRecordIter(path_imgrec=plain, **call) as expected,
        UnlabelledImageIter(path_imgrec=other, **call) as found,
    ):
        theirs, ours = expected.next(), found.next()
        np.testing.assert_array_equal(ours.data[0].asnumpy(), theirs.data[0].asnumpy())
        assert not ours.label[0].asnumpy().any() and found.bad_records == []


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="UnlabelledImageIter has no argument 'rezise'"):
        UnlabelledImageIter(
            path_imgrec=write_layout("plain", tmp_path / "x"), data_shape=(3, 8, 8), batch_size=1,
            rezise=3,
        )  # fmt: skip
