"""gpuio extract: the images of a record file as files again."""

from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records

GOLDEN = Path(__file__).parents[1] / "golden" / "data"


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("labels", [None, [[n, 0.5] for n in range(4)], [0.5, 1, 1, 2]])
def test_packed_again_the_records_are_the_same(labels: list | None, tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(4)], labels)
    done = mx.tools.extract(files["path_imgrec"], tmp_path / "out")
    assert done.images == 4 and done.bad == []
    assert main(["im2rec", str(tmp_path / "out" / "records"), str(tmp_path / "out"),
                 "--pass-through", "--pack-label"]) == 0  # fmt: skip
    for ending in (".rec", ".idx"):
        packed = (tmp_path / "out" / f"records{ending}").read_bytes()
        assert packed == (tmp_path / f"x{ending}").read_bytes()


def test_folders_and_names(tmp_path: Path) -> None:
    files = write_records(
        tmp_path / "x", [jpeg(0), jpeg(1), b"no picture", jpeg(3)], [2, [1, 2], 3, 0.5]
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


def test_formats_keep_their_endings(tmp_path: Path) -> None:
    mx.tools.extract(GOLDEN / "special.rec", tmp_path / "out", GOLDEN / "special.idx")
    endings = {Path(name).suffix for name in files_in(tmp_path / "out")}
    assert {".jpg", ".png", ".lst"} <= endings


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["extract", str(GOLDEN / "img.rec"), str(out)]
    first, second, *_ = mx.recordio.Index.load(GOLDEN / "img.idx").keys.tolist()
    asked = [word for key in (first, second, first) for word in ("--key", str(key))]
    assert main([*words, *asked]) == 0
    assert capsys.readouterr().out == f"{out}: 2 images; {out / 'records.lst'} lists them\n"
    files = write_records(tmp_path / "x", [b"no picture", jpeg(1)])
    assert main(["extract", str(files["path_imgrec"]), str(out)]) == 1
    assert "left out" in capsys.readouterr().out
    assert main([*words, "--key", "99"]) == 2
