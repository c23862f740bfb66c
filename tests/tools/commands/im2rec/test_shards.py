"""Records of a list that are made in tasks: the same files as without them."""

import os
from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import Error, RecordError, RecordFileNotFoundError
from gpuio.tools import make_list, write_records
from gpuio.tools.commands.im2rec import shards
from gpuio.tools.commands.im2rec.folder import ImageFolder
from gpuio.tools.commands.im2rec.packer import ImagePacker
from gpuio.tools.commands.im2rec.packing import Packed, pack_list
from tests.io.records import jpeg
from tests.tools.in_process import InProcess


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "LEAST", 3)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of 20 images, some of them broken."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.jpg").write_bytes(jpeg(number))
    (folder / "07.jpg").write_bytes(b"broken")
    (folder / "08.jpg").write_bytes(b"")
    return folder


def packer(**options: Any) -> ImagePacker:
    values = {
        "pass_through": False, "resize": 0, "center_crop": False, "quality": 95,
        "encoding": ".jpg", "color": 1, "pack_label": False,
    }  # fmt: skip
    return ImagePacker(**{**values, **options})


def packed(lst: Path | str, images: Path, tasks: InProcess, **options: Any) -> Packed:
    return pack_list(
        str(lst),
        ImageFolder.at(images),
        packer(**options),
        num_thread=None,
        resume=True,
        allow_outside=False,
        tasks=tasks,
    )


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("options", [{"resize": 20}, {"pass_through": True}])
def test_the_same_files(
    images: Path, tmp_path: Path, options: dict[str, Any], attempts: int
) -> None:
    """Also where tasks are run again, and where a line cannot be read."""
    (lst,), _ = make_list(tmp_path / "a", images)
    content = Path(lst).read_text()
    for name in ("a.lst", "b.lst"):
        (tmp_path / name).write_text(content + "a line without tabs\n")
    alone = write_records(tmp_path / "a.lst", images, **options)
    tasked = packed(tmp_path / "b.lst", images, InProcess(2, attempts), **options)
    for ending in ("rec", "idx"):
        ours, theirs = (tmp_path / f"{name}.{ending}" for name in "ba")
        assert ours.read_bytes() == theirs.read_bytes()
    assert tasked.bad[:-1] == alone.bad[:-1]
    assert tasked.bad[-1].path.endswith("b.lst line 21")
    assert (tasked.records, tasked.doubtful, tasked.kept) == (alone.records, alone.doubtful, 0)
    assert not list(tmp_path.glob("*.part*"))


def test_an_interrupted_run_is_started_over(images: Path, tmp_path: Path) -> None:
    (lst,), _ = make_list(tmp_path / "a", images)
    (tmp_path / "a.rec.part").write_bytes(b"of a run without tasks")
    (tmp_path / "a.rec.0123456789abcdef.part").write_bytes(b"of a killed run")
    assert packed(lst, images, InProcess()).records == 18
    assert sorted(path.name for path in tmp_path.glob("a*")) == ["a.idx", "a.lst", "a.rec"]


class Interrupted(InProcess):
    """Raises KeyboardInterrupt at the third result."""

    def map(self, function, pieces, name):  # type: ignore[no-untyped-def]
        for number, result in enumerate(super().map(function, pieces, name)):
            if number == 2:
                raise KeyboardInterrupt
            yield result


def test_an_interrupt_leaves_nothing(images: Path, tmp_path: Path) -> None:
    (lst,), _ = make_list(tmp_path / "a", images)
    with pytest.raises(KeyboardInterrupt):
        packed(lst, images, Interrupted())
    assert [path.name for path in tmp_path.glob("a*")] == ["a.lst"]


class ElsewhereWithout(InProcess):
    """Runs tasks as on a machine that lacks a path, which is moved away meanwhile."""

    path = ""

    def map(self, function, pieces, name):  # type: ignore[no-untyped-def]
        for piece in pieces:
            os.rename(self.path, f"{self.path}.away")
            try:
                result = function(piece)
            finally:
                os.rename(f"{self.path}.away", self.path)
            yield result


@pytest.mark.parametrize("missing", ["images", "images/03.jpg"])
def test_files_that_another_machine_does_not_see(
    missing: str, images: Path, tmp_path: Path
) -> None:
    """No image is left out for that reason."""
    (lst,), _ = make_list(tmp_path / "a", images)
    elsewhere = type("Elsewhere", (ElsewhereWithout,), {"path": str(tmp_path / missing)})
    with pytest.raises(RecordFileNotFoundError, match=f"{missing} is"):
        packed(lst, images, elsewhere())
    assert [path.name for path in tmp_path.glob("a*")] == ["a.lst"]


def test_an_output_folder_that_another_machine_does_not_see(images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (lst,), _ = make_list(tmp_path / "out" / "a", images)
    elsewhere = type("Elsewhere", (ElsewhereWithout,), {"path": str(tmp_path / "out")})
    with pytest.raises(FileNotFoundError, match="not in the folder where it was begun"):
        packed(lst, images, elsewhere())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.lst"]


def test_a_task_that_outlives_the_run_leaves_nothing(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray may have failed to cancel it."""
    (lst,), _ = make_list(tmp_path / "a", images)
    made = shards.make_records

    def last(*arguments: Any) -> Any:
        yield from made(*arguments)
        (tmp_path / "a.rec.part").unlink()

    monkeypatch.setattr(shards, "make_records", last)
    with pytest.raises(FileNotFoundError, match="not in the folder where it was begun"):
        packed(lst, images, InProcess())
    assert [path.name for path in tmp_path.glob("a*")] == ["a.lst"]


def test_another_opencv_is_refused(images: Path, tmp_path: Path) -> None:
    class Other(InProcess):
        def map(self, function, pieces, name):  # type: ignore[no-untyped-def]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("cv2.__version__", "4.0.0")
                yield from super().map(function, pieces, name)

    (lst,), _ = make_list(tmp_path / "a", images)
    with pytest.raises(Error, match=r"OpenCV 4\.0\.0 and"):
        packed(lst, images, Other(), resize=20)
    assert packed(lst, images, Other(), pass_through=True).records == 20


def test_nothing_usable_keeps_the_old_file(images: Path, tmp_path: Path) -> None:
    (lst,), _ = make_list(tmp_path / "a", images)
    (tmp_path / "a.rec").write_bytes(b"older")
    for path in images.iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(RecordError, match="stays as it is"):
        packed(lst, images, InProcess())
    assert (tmp_path / "a.rec").read_bytes() == b"older"
    assert not list(tmp_path.glob("*.part*"))
