"""gpuio index: the index rebuilt from the records."""

from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import RecordError
from gpuio.tools.cli import main

DATA = Path(__file__).parents[2] / "golden" / "data"


def test_the_index_equals_the_one_the_writer_wrote(tmp_path: Path) -> None:
    rec = tmp_path / "magic.rec"
    rec.write_bytes((DATA / "magic.rec").read_bytes())
    assert mx.tools.index(rec) == (str(tmp_path / "magic.idx"), 6)
    assert (tmp_path / "magic.idx").read_bytes() == (DATA / "magic.idx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["magic.idx", "magic.rec"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    idx = tmp_path / "other.idx"
    assert main(["index", str(DATA / "img.rec"), "--idx", str(idx)]) == 0
    assert capsys.readouterr().out == f"{idx}: 12 records\n"
    with mx.recordio.MXIndexedRecordIO(idx, DATA / "img.rec", "r") as reader:
        assert reader.keys == list(range(12))
    assert main(["index", str(tmp_path / "none.rec")]) == 2
    assert "none.rec does not exist" in capsys.readouterr().err


def test_a_damaged_file_leaves_the_old_index(tmp_path: Path) -> None:
    rec, idx = tmp_path / "x.rec", tmp_path / "x.idx"
    rec.write_bytes((DATA / "img.rec").read_bytes()[:-8])
    idx.write_text("0\t0\n")
    with pytest.raises(RecordError, match="cut off"):
        mx.tools.index(rec)
    assert idx.read_text() == "0\t0\n"
