"""Records that are copied in tasks: the same bytes as without them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.recordio import Index
from gpuio.recordio.framing import MAGIC_BYTES
from gpuio.tools.commands import copying_in_tasks
from gpuio.tools.commands.copying import Inputs
from tests.io.records import write_records
from tests.tools.in_process import InProcess


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying_in_tasks, "LEAST_BYTES", 64)


def payloads() -> list[bytes]:
    return [bytes([number]) * (3 * number) + MAGIC_BYTES * (number % 3) for number in range(40)]


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write_records(tmp_path / "a", payloads())["path_imgrec"]


ORDERS = [
    np.arange(40),
    np.arange(39, -1, -1),
    np.array([5, 5, 2]),
    np.array([39]),
    np.arange(0),
]


def copied_both_ways(rec: list[Path], order: NDArray[np.int64], tasks: InProcess) -> int:
    """Copy with tasks and without, and compare; the number of records."""
    folder = rec[0].parent
    with Inputs(rec, None) as inputs:
        alone = inputs.copy(order, folder / "alone.rec")
        tasked = inputs.copy(order, folder / "tasked.rec", tasks=tasks)
    assert alone[2:] == tasked[2:]
    for ending in ("rec", "idx"):
        assert (folder / f"alone.{ending}").read_bytes() == (
            folder / f"tasked.{ending}"
        ).read_bytes()
    assert not list(folder.glob("*.part"))
    return tasked.records


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("order", ORDERS, ids=["all", "backwards", "some", "one", "none"])
def test_the_same_bytes(rec: Path, order: NDArray[np.int64], attempts: int) -> None:
    """Also where tasks are run again."""
    assert copied_both_ways([rec], order, InProcess(3, attempts)) == len(order)


def test_several_files(rec: Path, tmp_path: Path) -> None:
    second = write_records(tmp_path / "z", payloads()[::-1])["path_imgrec"]
    assert copied_both_ways([rec, second], np.arange(79, 2, -3), InProcess()) == 26


def test_an_index_that_does_not_list_all_records(rec: Path) -> None:
    """The sizes of records do not follow from it."""
    lines = rec.with_suffix(".idx").read_text().splitlines(keepends=True)
    rec.with_suffix(".idx").write_text("".join(lines[1::3]))
    assert copied_both_ways([rec], np.arange(12, -1, -1), InProcess()) == 13


def test_records_that_others_have_framed_with_padding(rec: Path) -> None:
    """A split record that needs not be, so that its copy is shorter."""
    content = bytearray(rec.read_bytes())
    first, second = Index.build(rec).offsets[10:12].tolist()
    payload = bytes(content[first + 8 : second])
    parts = b"".join(
        MAGIC_BYTES + (kind << 29 | len(part)).to_bytes(4, "little") + part
        for kind, part in ((1, b""), (3, payload))
    )
    content[first:second] = parts
    rec.write_bytes(content)
    index = Index.build(rec)
    rec.with_suffix(".idx").write_text(
        "".join(f"{key}\t{offset}\n" for key, offset in enumerate(index.offsets.tolist()))
    )
    copied_both_ways([rec], np.arange(40), InProcess())


def test_a_damaged_record_ends_it(rec: Path, tmp_path: Path) -> None:
    (tmp_path / "b.rec").write_bytes(b"older")
    with Inputs([rec], None) as inputs:
        rec.write_bytes(b"\0" * rec.stat().st_size)
        with pytest.raises(RecordError, match="byte 0"):
            inputs.copy(np.arange(40), tmp_path / "b.rec", tasks=InProcess())
    assert [path.name for path in tmp_path.glob("b*")] == ["b.rec"]
    assert (tmp_path / "b.rec").read_bytes() == b"older"


def test_what_a_killed_run_has_left_is_removed(rec: Path, tmp_path: Path) -> None:
    left = tmp_path / "b.rec.0123456789abcdef.part"
    left.write_bytes(b"left")
    with Inputs([rec], None) as inputs:
        inputs.copy(np.arange(40), tmp_path / "b.rec", tasks=InProcess())
    assert not left.exists()


def test_the_permissions_of_a_file_that_is_replaced_are_kept(rec: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.rec"
    out.write_bytes(b"older")
    out.chmod(0o640)
    with Inputs([rec], None) as inputs:
        inputs.copy(np.arange(40), out, tasks=InProcess())
    assert out.stat().st_mode & 0o777 == 0o640
