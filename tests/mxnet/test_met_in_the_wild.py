"""What people met when they tried gpuio on their own files and habits."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.tools.cli import main
from tests.mxnet import files
from tests.mxnet.files import record_iter
from tests.tools.process import failure

# Face and detection files


def test_identity_alone_as_label(tmp_path: Path) -> None:
    iterator = mx.io.ImageRecordIter(
        **files.faces(tmp_path), data_shape=(3, 112, 112), batch_size=9, label_width=1
    )
    assert iterator.provide_label[0].shape == (9,)
    assert iterator.next().label[0].asnumpy().tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("kind", [files.faces, files.detection])
def test_commands_on_face_and_detection_files(
    kind: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rec = kind(tmp_path)["path_imgrec"]
    assert main(["stats", rec]) == 0
    assert "mean_r=" in capsys.readouterr().out
    assert main(["show", rec, "--task", "train", "--out", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_extract_gives_each_identity_a_folder(tmp_path: Path) -> None:
    assert main(["extract", files.faces(tmp_path)["path_imgrec"], str(tmp_path / "out")]) == 0
    found = {path.name: len(list(path.glob("*.jpg"))) for path in (tmp_path / "out").glob("*/")}
    assert sorted(found.values()) == sorted(map(len, files.IDENTITIES))


def test_index_keeps_the_keys_of_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = files.write(tmp_path / "some", [(key, 0, b"x") for key in (7, 3, 5)])
    (tmp_path / "some.lst").write_text("7\t0\ta\n3\t0\tb\n5\t0\tc\n")
    before = Path(paths["path_imgidx"]).read_text()
    assert "--force" in failure(capsys, "index", paths["path_imgrec"])
    assert Path(paths["path_imgidx"]).read_text() == before
    Path(paths["path_imgidx"]).unlink()
    assert main(["index", paths["path_imgrec"], "--list", str(tmp_path / "some.lst")]) == 0
    assert Path(paths["path_imgidx"]).read_text() == before


# Errors


def test_damaged_framing_advises_repair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two records lose their first bytes; verify reports two faults."""
    paths = files.images(tmp_path)
    content = bytearray(Path(paths["path_imgrec"]).read_bytes())
    offsets = [int(line.split()[1]) for line in Path(paths["path_imgidx"]).read_text().splitlines()]
    for record in (2, 6):
        content[offsets[record] : offsets[record] + 4] = b"...."
    Path(paths["path_imgrec"]).write_bytes(content)
    assert main(["verify", paths["path_imgrec"], "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [each["kind"] for each in findings] == ["framing"] * 2
    with pytest.raises(mx.RecordError, match="gpuio repair"):
        list(mx.io.ImageRecordIter(**paths, data_shape=(3, 64, 64), batch_size=4))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(40), "JPEG"),
        (b"0\t1.0\tcat/0.jpg\n1\t0.0\tdog/0.jpg\n", "list"),
        (b"0\t0\n1\t4032\n2\t8064\n", "index"),
        (b"Dear reader, this is a text.\n" * 3, "text"),
    ],
)
def test_other_files_given_as_rec(content: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "train.rec"
    path.write_bytes(content)
    with pytest.raises(mx.RecordError, match=f"(?i){kind}"):
        mx.recordio.MXRecordIO(str(path), "r").read()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("num_workers", "preprocess_threads"),
        ("drop_last", "last_batch_handle"),
        ("device", "ctx"),
        ("transform", "transform"),
    ],
)
def test_suggestions_for_options_of_other_libraries(name: str, advice: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=advice):
        record_iter(tmp_path, **{name: 1})


def test_a_missing_key(tmp_path: Path) -> None:
    paths = files.images(tmp_path)
    record = mx.recordio.MXIndexedRecordIO(paths["path_imgidx"], paths["path_imgrec"], "r")
    with pytest.raises(KeyError, match=r"train\.idx.* 99\b"):
        record.read_idx(99)


def test_unpacking_what_is_no_record() -> None:
    with pytest.raises(mx.RecordError, match="24"):
        mx.recordio.unpack(b"abc")


# Around the library


def test_split_into_parts(tmp_path: Path) -> None:
    rec = files.images(tmp_path)["path_imgrec"]
    assert main(["split", rec, str(tmp_path / "part"), "--parts", "3"]) == 0
    counts = [len(mx.recordio.RecordSet(str(each))) for each in tmp_path.glob("part*.rec")]
    assert sorted(counts) == [3, 3, 4]


def test_reprs(tmp_path: Path) -> None:
    text = repr(record_iter(tmp_path))
    assert "ImageRecordIter" in text and "train.rec" in text and "batch_size=4" in text
    text = repr(mx.io.NDArrayIter(np.arange(10), batch_size=4))
    assert "NDArrayIter" in text and "batch_size=4" in text


def first_labels(batches: Any) -> list[float]:
    """In another process."""
    _, label = next(iter(batches))
    return label.tolist()


@pytest.mark.parametrize("started", [False, True])
def test_loader_made_by_the_parent_of_a_spawned_process(started: bool, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    batches = mx.torch.loader(record_iter(tmp_path))
    if started:
        next(iter(batches))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        expected = [1, 2, 0, 1] if started else [0, 1, 2, 0]
        assert pool.apply(first_labels, (batches,)) == expected
