"""File names that are not UTF-8, or that would change a terminal: in lists, and as shown."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import DecodeError
from gpuio.gluon.data.vision import ImageFolderDataset, ImageListDataset
from tests.io.records import jpeg
from tests.tools.process import ROOT

SHAPE = (3, 24, 24)

# The C locale, without what Python does to make it UTF-8: file names are ASCII and surrogates.
LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

NAMES = [b"na\xefve/pass\xe9.jpg", b"na\xefve/\xc3\xbc.jpg", b"plain/x.jpg", b"\xff/\x1b[31m.jpg"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of images whose names are in Latin-1, in UTF-8, and in neither."""
    for number, name in enumerate(NAMES):
        path = tmp_path / "images" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))
    return tmp_path / "images"


def run(folder: Path, code: str, data: bytes = b"") -> str:
    """Run Python code in the C locale; its output, in which all is printable."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=data,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": ":surrogateescape"}
        | LOCALE,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    output = (done.stdout + done.stderr).decode("utf-8")
    assert all(line.isprintable() for line in output.splitlines())
    return output


IN_ANOTHER_LOCALE = f"""
import gpuio as mx
from gpuio.gluon.data.vision import ImageListDataset
from gpuio.tools.cli import main

assert main(["im2rec", "x", "images", "--recursive", "--pass-through"]) == 0
it = mx.image.ImageIter(2, {SHAPE}, path_imglist="x.lst", path_root="images")
print(len(list(it)), len([image for image, _ in ImageListDataset("images", "../x.lst")]))
"""


@pytest.mark.usefixtures("folder")
def test_lists_have_the_bytes_of_names_in_every_locale(tmp_path: Path) -> None:
    output = run(tmp_path, IN_ANOTHER_LOCALE)
    assert r"na\udcefve 0" in output and r"\udcff 2" in output and output.endswith("\n2 4\n")
    lines = (tmp_path / "x.lst").read_bytes()
    assert sorted(line.split(b"\t")[2] for line in lines.splitlines()) == sorted(NAMES)
    mx.tools.make_list(tmp_path / "y", tmp_path / "images", recursive=True)
    assert (tmp_path / "y.lst").read_bytes() == lines


def test_every_reader_of_lists_reads_them(folder: Path, tmp_path: Path) -> None:
    (packed,) = mx.tools.im2rec(
        tmp_path / "x", folder, recursive=True, pass_through=True, shuffle=False
    )
    assert (packed.records, packed.bad) == (len(NAMES), [])
    lst = tmp_path / "x.lst"
    options = {"batch_size": 4, "data_shape": SHAPE, "path_imglist": str(lst)}
    with mx.image.ImageIter(path_root=str(folder), **options) as images:
        first = images.next()
        state = images.state_dict()
        images.reset()
        again = pickle.loads(pickle.dumps(images))
        again.load_state_dict(state)
        again.reset()
        np.testing.assert_array_equal(again.next().data[0].asnumpy(), first.data[0].asnumpy())
    with mx.io.ImageRecordIter(path_imgrec=packed.rec, path_imgidx=packed.idx, **options) as it:
        assert it.next().label[0].asnumpy().tolist() == [0, 0, 1, 2]
    boxes = tmp_path / "boxes.lst"
    rows = [line.split(b"\t") for line in lst.read_bytes().splitlines()]
    box = b"4\t5\t30\t30\t1\t0.1\t0.1\t0.9\t0.9"
    boxes.write_bytes(b"".join(b"%s\t%s\t%s\n" % (key, box, name) for key, _, name in rows))
    with mx.image.ImageDetIter(4, SHAPE, path_imglist=str(boxes), path_root=str(folder)) as it:
        assert len(it.next().label[0]) == 4
    assert ImageListDataset(folder, lst)[3][0].shape == ImageFolderDataset(folder)[3][0].shape
    assert mx.tools.index(packed.rec, lst=lst)[1] == len(NAMES)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_byte_order_mark_is_skipped(ending: bytes, folder: Path, tmp_path: Path) -> None:
    lst = tmp_path / "x.lst"
    lst.write_bytes(b"\xef\xbb\xbf" + ending.join(b"7\t1\t" + name for name in NAMES))
    with mx.image.ImageIter(4, SHAPE, path_imglist=str(lst), path_root=str(folder)) as it:
        assert len(it.next().data[0]) == 4
    packed = mx.tools.write_records(lst, folder, pass_through=True)
    assert (packed.records, packed.bad) == (4, [])


def test_a_bad_image_is_named(folder: Path, tmp_path: Path) -> None:
    name = os.fsdecode(NAMES[0])
    (folder / name).write_bytes(b"no image")
    (packed,) = mx.tools.im2rec(tmp_path / "x", folder, recursive=True)
    assert [Path(bad.path) for bad in packed.bad] == [folder / name]
    lst = str(tmp_path / "x.lst")
    with (
        mx.image.ImageIter(1, SHAPE, path_imglist=lst, path_root=str(folder)) as it,
        pytest.raises(DecodeError, match=r"na\udcefve/pass\udce9\.jpg"),
    ):
        list(it)


RECORD_TOOLS: dict[str, Callable[[Path], list[object]]] = {
    "info": lambda rec: [rec],
    "verify": lambda rec: [rec, "--deep", "--quarantine", "bad.tsv"],
    "stats": lambda rec: [rec],
    "show": lambda rec: [rec, "--out", "page.html"],
    "shuffle": lambda rec: [rec, f"{rec}.shuffled.rec"],
    "extract": lambda rec: [rec, f"{rec}.folder"],
}


RUN_ALL = """
import sys
from gpuio.tools.cli import main

for line in sys.stdin.read().split(chr(0)):
    assert main(line.split(chr(9))) == 0, line
"""


def test_tools_show_and_take_any_name(tmp_path: Path) -> None:
    commands = []
    for name in (b"pass\xe9", b"\x1b[31m"):
        rec = tmp_path / f"{os.fsdecode(name)}.rec"
        with mx.recordio.MXIndexedRecordIO(rec.with_suffix(".idx"), rec, "w") as writer:
            for key in range(2):
                header = mx.recordio.IRHeader(0, 1.0, key, 0)
                writer.write_idx(key, mx.recordio.pack(header, jpeg(key)))
        commands += [[tool, *map(str, make(rec))] for tool, make in RECORD_TOOLS.items()]
    lines = [os.fsencode("\t".join(command)) for command in commands]
    output = run(tmp_path, RUN_ALL, b"\0".join(lines))
    for shown in (r"pass\udce9.rec", r"\x1b[31m.rec"):
        assert f"{shown}: 2 records in" in output
    assert r"\x1b[31m.rec" in (tmp_path / "page.html").read_bytes().decode("utf-8")
