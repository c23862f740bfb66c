"""gpuio extract: the images of a record file as files."""

from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records

GOLDEN = Path(__file__).parents[2] / "golden" / "data"


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("labels", [None, [[n, 0.5] for n in range(4)], [0.5, 1, 1, 2]])
def test_packed_again_the_records_are_the_same(labels: list | None, tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(4)], labels)
    done = mx.tools.extract(files["path_imgrec"], tmp_path / "out")
    assert done.images == 4 and done.bad == []
    assert main(["im2rec", str(tmp_path / "out" / "records"), str(tmp_path / "out"),
                 "--pass-through", "--pack-label"]) == 0  # fmt: skip
    for extension in (".rec", ".idx"):
        packed = (tmp_path / "out" / f"records{extension}").read_bytes()
        assert packed == (tmp_path / f"x{extension}").read_bytes()


def test_folders_and_names(tmp_path: Path) -> None:
    files = write_records(
        tmp_path / "x", [jpeg(0), jpeg(1), b"no image", jpeg(3)], [2, [1, 2], 3, 0.5]
    )
    done = mx.tools.extract(files["path_imgrec"], tmp_path / "out")
    assert files_in(tmp_path / "out") == [
        "2/0.jpg",
        "images/10.jpg",
        "images/30.jpg",
        "records.lst",
    ]
    assert (tmp_path / "out" / "2" / "0.jpg").read_bytes() == jpeg(0)
    (bad,) = done.bad
    assert "key 20" in bad.path
    only = mx.tools.extract(files["path_imgrec"], tmp_path / "some", keys=[30, 0])
    assert only.images == 2 and files_in(tmp_path / "some")[0] == "2/0.jpg"
    assert mx.tools.extract(files["path_imgrec"], tmp_path / "two", labels=[2]).images == 1
    with pytest.raises(ArgumentError, match="no image with key 7"):
        mx.tools.extract(files["path_imgrec"], tmp_path / "none", keys=[7])


def test_formats_keep_their_extensions(tmp_path: Path) -> None:
    mx.tools.extract(GOLDEN / "special.rec", tmp_path / "out", GOLDEN / "special.idx")
    extensions = {Path(name).suffix for name in files_in(tmp_path / "out")}
    assert {".jpg", ".png", ".lst"} <= extensions


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["extract", str(GOLDEN / "img.rec"), str(out)]
    first, second, *_ = mx.recordio.Index.load(GOLDEN / "img.idx").keys.tolist()
    asked = [argument for key in (first, second, first) for argument in ("--key", str(key))]
    assert main([*arguments, *asked]) == 0
    assert capsys.readouterr().out == f"{out}: 2 images; {out / 'records.lst'} lists them\n"
    files = write_records(tmp_path / "x", [b"no image", jpeg(1)])
    assert main(["extract", str(files["path_imgrec"]), str(out)]) == 1
    assert "left out" in capsys.readouterr().out
    assert main([*arguments, "--key", "99"]) == 2


def test_records_with_the_same_key_are_all_written(tmp_path: Path) -> None:
    rec = tmp_path / "x.rec"
    images = [jpeg(number) for number in range(3)]
    with mx.recordio.MXIndexedRecordIO(rec.with_suffix(".idx"), rec, "w") as writer:
        for image in images:
            writer.write_idx(7, mx.recordio.pack(mx.recordio.IRHeader(0, 1.0, 7, 0), image))
    done = mx.tools.extract(rec, tmp_path / "folder", keys=(key for key in [7]))
    assert done.images == 1
    done = mx.tools.extract(rec, tmp_path / "folder")
    assert done.images == 3
    names = [line.split("\t")[2] for line in Path(done.lst).read_text().splitlines()]
    assert names == ["1/7.jpg", "1/7-2.jpg", "1/7-3.jpg"]
    assert [(tmp_path / "folder" / name).read_bytes() for name in names] == images


def test_small_labels_are_preserved(tmp_path: Path) -> None:
    labels = [1e-7, 0.1, 3.0, -2.5e-30, 16777217.0]
    rec = write_records(tmp_path / "x", [jpeg(n) for n in range(5)], labels)["path_imgrec"]
    done = mx.tools.extract(rec, tmp_path / "folder")
    packed = mx.tools.write_records(done.lst, done.folder, pass_through=True, pack_label=True)
    assert Path(packed.rec).read_bytes() == rec.read_bytes()


def test_records_of_other_labels_are_not_decoded(tmp_path: Path) -> None:
    rec = write_records(tmp_path / "x", [jpeg(0), b"no image"], [3, 0])["path_imgrec"]
    done = mx.tools.extract(rec, tmp_path / "folder", labels=[3])
    assert (done.images, done.bad) == (1, [])
