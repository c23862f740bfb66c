"""Lists of images: MXNet's own, byte for byte, and what does not fit into them."""

import os
from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import ArgumentError, Error, RecordFileNotFoundError
from gpuio.recordio.lists import ListItem
from gpuio.tools.commands.im2rec.lists import (
    BadImage,
    count_items,
    list_image,
    make_list,
    read_list,
    write_list,
)

GOLDEN = Path(__file__).parents[3] / "golden" / "data"
ROOT = GOLDEN / "im2rec_root"

# What MXNet 1.9.1's im2rec --list wrote: the name of its lists, the options.
CASES: dict[str, dict[str, Any]] = {
    "flat": {},
    "rec": {"recursive": True, "shuffle": False},
    "shuf": {"recursive": True},
    "chunk": {"recursive": True, "shuffle": False, "chunks": 3},
    "split": {"recursive": True, "shuffle": False, "train_ratio": 0.5, "test_ratio": 0.3},
    "trainval": {"recursive": True, "shuffle": False, "train_ratio": 0.7},
    "exts": {"recursive": True, "shuffle": False, "exts": [".png"]},
}


@pytest.mark.parametrize("name", CASES)
def test_lists_are_those_of_mxnet(name: str, tmp_path: Path) -> None:
    lists, names = make_list(tmp_path / name, ROOT, **CASES[name])
    theirs = {path.name: path.read_bytes() for path in (GOLDEN / "im2rec_out").glob(f"{name}*.lst")}
    assert theirs
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == theirs
    assert sorted(lists) == sorted(str(tmp_path / file) for file in theirs)
    if name == "rec":
        assert names == {0: "ant", 1: "cat", 2: "dog", 3: "dog/puppy"}


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("chunks", [1, 4])
def test_a_test_ratio_alone_leaves_the_rest_for_training(
    ratio: float, chunks: int, tmp_path: Path
) -> None:
    """No image is lost by rounding."""
    whole, _ = make_list(tmp_path / "whole", ROOT, recursive=True, chunks=chunks)
    lists, _ = make_list(tmp_path / "x", ROOT, recursive=True, chunks=chunks, test_ratio=ratio)
    assert len(lists) == 2 * chunks
    size = -(-count_items(tmp_path / "whole.lst") // chunks) if chunks == 1 else 2
    for number, path in enumerate(whole):
        test, train = lists[2 * number : 2 * number + 2]
        assert test.endswith("_test.lst") and train.endswith("_train.lst")
        assert Path(test).read_text() + Path(train).read_text() == Path(path).read_text()
        assert count_items(test) == min(int(size * ratio), count_items(path))


def test_only_the_folder_itself_unless_recursive(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.jpeg", "c.txt", "below/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert list(list_image(tmp_path)) == [
        ListItem(0, (0.0,), "a.jpeg"),
        ListItem(1, (0.0,), "b.JPG"),
    ]
    assert [item.labels for item in list_image(tmp_path, True)] == [(0.0,), (0.0,), (1.0,)]
    assert [item.path for item in list_image(tmp_path, True, [".JPG"])] == ["b.JPG", "below/d.jpg"]


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.jpg").touch()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "far")
    assert [item.path for item in list_image(tmp_path / "root", True)] == ["link/a.jpg"]


def test_links_to_folders_around_them_are_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("a/1.jpg", "b/2.jpg"):
        (root / name).parent.mkdir(parents=True)
        (root / name).touch()
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "top").symlink_to(tmp_path)
    (root / "a" / "self").symlink_to(".")
    (root / "a" / "other").symlink_to(root / "b")
    (root / "b" / "back").symlink_to(root / "a")
    (root / "b" / "broken").symlink_to("nowhere")
    paths = ["a/1.jpg", "a/other/2.jpg", "b/2.jpg", "b/back/1.jpg"]
    assert [item.path for item in list_image(root, True)] == paths
    (tmp_path / "link").symlink_to(root)
    assert [item.path for item in list_image(tmp_path / "link", True)] == paths


def test_lists_are_read_as_written(tmp_path: Path) -> None:
    items = [
        ListItem(7, (1.0, -2.5), "Bär/ä b.jpg"),
        ListItem(0, (0.0,), os.fsdecode(b"not utf-8 \xff.jpg")),
    ]
    write_list(tmp_path / "x.lst", items)
    assert list(read_list(tmp_path / "x.lst")) == items


def test_bad_lines_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.lst").write_text(
        "0\t1\ta.jpg\n1 1 b.jpg\n\nx\t1\tc.jpg\n2\td.jpg\r\n3\t1\te.jpg"
    )
    good, *bad, last = read_list(tmp_path / "x.lst")
    assert (good, last) == (ListItem(0, (1.0,), "a.jpg"), ListItem(3, (1.0,), "e.jpg"))
    assert [image.path for image in bad if isinstance(image, BadImage)] == [
        f"{tmp_path}/x.lst line {number}"
        for number in (2, 4, 5)  # line 3 is blank
    ]
    assert bad[0][1].startswith("expected a key, at least one label and a path")
    assert bad[0][1].endswith(": '1 1 b.jpg'")


@pytest.mark.parametrize("name", ["a\tb.jpg", "a\nb.jpg", " a.jpg"])
def test_names_that_do_not_fit_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ArgumentError, match="rename it"):
        make_list(tmp_path / "x", tmp_path)
    assert not (tmp_path / "x.lst").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunks": 0}, "chunks must be at least 1"),
        ({"train_ratio": 1.5}, "train_ratio must be from 0 to 1"),
        ({"test_ratio": -0.1}, "test_ratio must be from 0 to 1"),
        ({"train_ratio": 0.9, "test_ratio": 0.2}, "together exceed 1"),
        ({"train_ratio": 1.0, "test_ratio": 0.2}, "leave out train_ratio, or lower it to 0.8"),
        ({"exts": ["jpg"]}, "with a dot"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=message):
        make_list(tmp_path / "x", tmp_path, **options)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match="nowhere is not a folder"):
        make_list(tmp_path / "x", tmp_path / "nowhere")
    with pytest.raises(Error, match=r"nowhere/x.lst: its directory does not exist"):
        make_list(tmp_path / "nowhere" / "x", tmp_path)
    with pytest.raises(RecordFileNotFoundError, match=r"the list .* does not exist"):
        list(read_list(tmp_path / "x.lst"))


def test_items_are_counted_without_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "x.lst").write_text("0\t1\ta.jpg\n\n  \nnonsense")
    assert count_items(tmp_path / "x.lst") == 2
