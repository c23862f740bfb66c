"""Records that are copied into a new file, here."""

from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import RecordError
from gpuio.recordio import MXIndexedRecordIO
from gpuio.tools.commands.copying import Copied, Inputs
from tests.io.records import write_records


def test_records_are_copied_in_a_given_order_with_given_keys(tmp_path: Path) -> None:
    payloads = [bytes([number]) * (number + 1) for number in range(5)]
    rec = write_records(tmp_path / "a", payloads)["path_imgrec"]
    out = tmp_path / "b.rec"
    with Inputs([rec], None) as inputs:
        copied = inputs.copy(np.array([3, 0, 3]), out, np.array([7, 5, 6]))
    assert copied == Copied(str(out), str(tmp_path / "b.idx"), 3, 0)
    with MXIndexedRecordIO(tmp_path / "b.idx", out, "r") as reader:
        assert list(reader.keys) == [7, 5, 6]
        assert reader.read_idx(7) == reader.read_idx(6)
        assert reader.read_idx(5).endswith(payloads[0])


def test_a_damaged_record_ends_it(tmp_path: Path) -> None:
    rec = write_records(tmp_path / "a", [bytes(30)] * 3)["path_imgrec"]
    with Inputs([rec], None) as inputs:
        rec.write_bytes(b"\0" * rec.stat().st_size)
        with pytest.raises(RecordError, match="byte 0"):
            inputs.copy(np.array([0]), tmp_path / "b.rec")
    assert not list(tmp_path.glob("b.*"))
