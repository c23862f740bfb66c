"""gpuio info: what a record file holds."""

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records

GOLDEN = Path(__file__).parents[2] / "golden" / "data"


def load(call: str, **changes: Any) -> Any:
    """Make the iterator that a printed call describes, with some arguments changed."""
    expression = ast.parse(call, mode="eval").body
    assert isinstance(expression, ast.Call) and not expression.args
    package, name = ast.unparse(expression.func).rsplit(".", 1)
    assert package == "gpuio.io"
    arguments = {str(each.arg): ast.literal_eval(each.value) for each in expression.keywords}
    return getattr(mx.io, name)(**{**arguments, **changes})


def test_a_plain_file(tmp_path: Path) -> None:
    images = [jpeg(number, 40 + number, 30) for number in range(4)] + [b"no image"]
    files = write_records(tmp_path / "x", images, [1, 1, 2, 3, 4])
    found = mx.tools.info(files["path_imgrec"])
    assert (found.records, found.images, found.looked_at, found.unreadable) == (5, 5, 5, 1)
    assert found.layout == "plain" and found.label_width == 1
    assert found.labels == {"1": 2, "2": 1, "3": 1, "4": 1}
    assert (found.formats, found.channels) == ({"jpeg": 4}, {"3": 4})
    assert (found.width, found.height) == ((40, 41, 43), (30, 30, 30))
    assert found.mean_bytes == int(np.mean([len(image) for image in images[:4]]))
    assert found.bytes == files["path_imgrec"].stat().st_size and found.idx is not None
    assert mx.tools.info(files["path_imgrec"], sample=2).looked_at == 2


def test_labels_are_sorted_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = [*range(12), 11]
    files = write_records(tmp_path / "x", [jpeg(0)] * 13, labels[::-1])
    found = mx.tools.info(files["path_imgrec"])
    assert [*found.labels] == ["11", *map(str, range(9))] and found.distinct_labels == 12
    assert main(["info", str(files["path_imgrec"])]) == 0
    counts = ", ".join(f"{label}: 1" for label in range(9))
    assert f"\nlabels: 11: 2, {counts}, and 2 more\n" in capsys.readouterr().out


def test_the_call_loads_the_file(tmp_path: Path) -> None:
    for name, labels in (("plain", None), ("multi", [[n, 1.5, 2] for n in range(5)])):
        files = write_records(tmp_path / name, [jpeg(n, 300, 280) for n in range(5)], labels)
        found = mx.tools.info(files["path_imgrec"])
        assert found.layout == ("plain" if labels is None else "multi-label")
        assert "batch_size=64" in found.call
        with load(found.call, batch_size=5) as iterator:
            batch = iterator.next()
        assert batch.data[0].shape == (5, 3, 224, 224)
        assert batch.label[0].shape == ((5,) if labels is None else (5, 3))


def test_layouts(tmp_path: Path) -> None:
    boxes = mx.tools.info(GOLDEN / "det.rec")
    assert boxes.layout == "detection"
    assert boxes.call == (
        f"gpuio.io.ImageDetRecordIter(path_imgrec={str(GOLDEN / 'det.rec')!r}, "
        f"path_imgidx={str(GOLDEN / 'det.idx')!r}, data_shape=(3, 112, 112), batch_size=64, "
        "shuffle=True)"
    )
    files = write_records(
        tmp_path / "faces", [b"", jpeg(1), jpeg(2), b""], [[30.0, 40.0], 0, 1, [1.0, 3.0]]
    )
    found = mx.tools.info(files["path_imgrec"])
    assert (found.layout, found.records, found.images) == ("face identity", 4, 2)
    empty = tmp_path / "empty.rec"
    empty.write_bytes(b"")
    found = mx.tools.info(empty)
    assert (found.records, found.idx, found.width, found.mean_bytes) == (0, None, None, 0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rec = str(GOLDEN / "img.rec")
    assert main(["info", rec]) == 0
    out = capsys.readouterr().out
    assert "records: 12, 12 of them images" in out and "load with: gpuio.io.ImageRecordIter(" in out
    assert main(["info", rec, "--json", "--sample", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["looked_at"] == 3
    assert main(["info", str(tmp_path / "none.rec")]) == 2
    with pytest.raises(RecordFileNotFoundError):
        mx.tools.info(tmp_path / "none.rec")
    with pytest.raises(ArgumentError, match="sample"):
        mx.tools.info(rec, sample=-1)


def test_images_without_boxes_are_detection_data_too(tmp_path: Path) -> None:
    labels = [[2.0, 5.0], [2.0, 5.0, 1.0, 0.1, 0.1, 0.5, 0.5]]
    rec = write_records(tmp_path / "x", [jpeg(0), jpeg(1)], labels)["path_imgrec"]
    found = mx.tools.info(rec)
    assert found.layout == "detection"
    with load(found.call, batch_size=2) as iterator:
        batch = iterator.next()
    assert sorted(batch.label[0].asnumpy()[:, 3].tolist()) == [2, 7]
    two = write_records(tmp_path / "y", [jpeg(0), jpeg(1)], [[2.0, 5.0]] * 2)["path_imgrec"]
    assert mx.tools.info(two).layout == "multi-label"


def test_a_name_with_a_semicolon(tmp_path: Path) -> None:
    rec = write_records(tmp_path / "a;b", [jpeg(0)])["path_imgrec"]
    assert mx.tools.info(rec).records == 1
    assert mx.tools.extract(rec, tmp_path / "out").images == 1
    assert mx.tools.show(rec, tmp_path / "x.png").pictures == 1
    assert mx.tools.stats(rec, data_shape=(3, 8, 8)).images == 1
