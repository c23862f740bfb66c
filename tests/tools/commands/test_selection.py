"""Which records meet conditions, here and in tasks."""

from pathlib import Path

import numpy as np
import pytest

from gpuio.tools.commands import selection
from gpuio.tools.commands.copying import Inputs
from gpuio.tools.commands.selection import Conditions, select, select_in_tasks
from gpuio.tools.labels import label_strings
from tests.io.records import jpeg, write_records
from tests.tools.in_process import InProcess

LABELS = [0.0, 1.0, 0.1, [1.0, 5.0], 2.0] * 6

CONDITIONS = {
    "none": (Conditions(None, 0, None), 30, 0),
    "label": (Conditions(label_strings([1.0]), 0, None), 12, 0),
    "size": (Conditions(None, 35, 40), 6, 1),
    "both": (Conditions(label_strings([0.1, 2.0]), 0, 45), 5, 1),
    "nothing": (Conditions(label_strings([77.0]), 0, 45), 0, 0),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_same_records(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "LEAST_RECORDS", 4)
    images = [jpeg(number, 30 + number, 90) for number in range(30)]
    images[4] = b"not an image"
    rec = write_records(tmp_path / "a", images, LABELS)["path_imgrec"]
    conditions, count, unreadable = CONDITIONS[name]
    with Inputs([rec], None) as inputs:
        alone = select(inputs.records, inputs.images, conditions)
        tasked = select_in_tasks(inputs.shared(), inputs.images, conditions, InProcess(3))
        none = select_in_tasks(inputs.shared(), inputs.images[:0], conditions, InProcess(3))
    assert alone.ordinals.tolist() == tasked.ordinals.tolist()
    assert (len(tasked.ordinals), tasked.unreadable) == (count, unreadable)
    assert alone.unreadable == unreadable
    assert np.array_equal(none.ordinals, []) and none.unreadable == 0
