"""Everything of gpuio that writes files, as jobs in a folder that has the files they need.

The current folder has the folders ``in``, which nothing may change, and ``out``, where everything
is written.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import gpuio as mx
from gpuio.errors import Error
from gpuio.recordio import IRHeader, MXIndexedRecordIO, MXRecordIO, pack
from gpuio.tools.cli import main
from tests.io.records import jpeg

# Records of ``in/train.rec``, so many that each index has more bytes than the smallest limits; the
# first HEAD make up ``in/head.rec``.
RECORDS, HEAD = 300, 60

# Names of files that are visibly unfinished.
UNFINISHED = re.compile(r"\.(part|tmp)\b")


@dataclass(frozen=True)
class Writer:
    """A command line of gpuio, or a function below, that writes files.

    Attributes
    ----------
    command : the arguments after ``gpuio``, or the name of a function in this module
    outputs : the files that it writes, in ``out``, in their order; for a folder, its name and "/"
    given : files in ``out`` that it reads, by the file in ``in`` that is copied
    status : exit status of success
    keeps : whether an unfinished file stays, from which the next run continues
    last : the output without which the others are unfinished; None: each is complete by itself
    """

    command: str
    outputs: tuple[str, ...]
    given: tuple[tuple[str, str], ...] = ()
    status: int = 0
    keeps: bool = False
    last: str | None = None

    @property
    def is_tool(self) -> bool:
        """Whether it is a command line."""
        return not self.command.startswith("write_")


def _pair(name: str) -> tuple[str, str]:
    return f"{name}.rec", f"{name}.idx"


LIST = (("x.lst", "images.lst"),)

WRITERS: dict[str, Writer] = {
    "im2rec --list": Writer(
        "im2rec --list --recursive --train-ratio 0.6 --test-ratio 0.2 out/x in/images",
        ("x_train.lst", "x_val.lst", "x_test.lst"),
    ),
    "im2rec": Writer(
        "im2rec --num-thread 1 --pass-through out/x in/images", _pair("x"), LIST, keeps=True
    ),
    "im2rec in threads": Writer(
        "im2rec --num-thread 3 --resize 30 out/x in/images", _pair("x"), LIST, keeps=True
    ),
    "im2rec of a folder": Writer(
        "im2rec --recursive --chunks 2 out/x in/images",
        ("x_0.lst", "x_1.lst", *_pair("x_0"), *_pair("x_1")),
        keeps=True,
    ),
    "index": Writer("index in/train.rec --idx out/x.idx --force", ("x.idx",)),
    "index --list": Writer(
        "index in/train.rec --list in/train.lst --idx out/x.idx --force", ("x.idx",)
    ),
    "split": Writer(
        "split --ratio 3 --ratio 1 --shuffle in/train.rec out/x", (*_pair("x_0"), *_pair("x_1"))
    ),
    "merge": Writer("merge --renumber out/x.rec in/train.rec in/head.rec", _pair("x")),
    "shuffle": Writer("shuffle in/train.rec out/x.rec", _pair("x")),
    "filter": Writer("filter --label 0 --label 2 in/train.rec out/x.rec", _pair("x")),
    "repair": Writer(
        "repair in/damaged.rec out/x.rec --damaged out/x.rest", (*_pair("x"), "x.rest"), status=1
    ),
    "extract": Writer("extract in/train.rec out/x --force", ("x/",), last="x/records.lst"),
    "verify --quarantine": Writer(
        "verify --deep in/damaged.rec --quarantine out/x.tsv", ("x.tsv",), status=1
    ),
    "stats": Writer("stats --json --data-shape 3,24,24 --resize 30 in/train.rec", ()),
    "show a page": Writer("show --count 20 in/train.rec --out out/x.html", ("x.html",)),
    "show a sheet": Writer("show --count 20 in/train.rec --out out/x.png", ("x.png",)),
    "nd.save": Writer("write_arrays", ("x.params",)),
    "mean image": Writer("write_mean", ("x.nd",)),
    "list of bad records": Writer("write_bad_records", ("x.tsv",)),
    # Not whole before they are closed; their indexes are written last.
    "MXIndexedRecordIO": Writer("write_indexed", _pair("x"), last="x.idx"),
    "MXRecordIO": Writer("write_records", ("x.rec",), last="closed"),
}


def write_arrays() -> None:
    mx.nd.save("out/x.params", {"a": mx.nd.array(np.arange(3000)), "b": mx.nd.ones((40, 50))})


def write_mean() -> None:
    _images("in/train", mean_img="out/x.nd").close()


def write_bad_records() -> None:
    with _images("in/undecodable", on_error="skip") as iterator:
        list(iterator)
        iterator.write_quarantine("out/x.tsv")


def write_indexed() -> None:
    with MXIndexedRecordIO("out/x.idx", "out/x.rec", "w") as writer:
        for number in range(RECORDS):
            writer.write_idx(number, _payload(number))


def write_records() -> None:
    with MXRecordIO("out/x.rec", "w") as writer:
        for number in range(RECORDS):
            writer.write(_payload(number))


def _images(stem: str, **options: Any) -> mx.io.ImageRecordIter:
    return mx.io.ImageRecordIter(
        path_imgrec=f"{stem}.rec", path_imgidx=f"{stem}.idx", data_shape=(3, 24, 24),
        batch_size=20, preprocess_threads=2, **options,
    )  # fmt: skip


def place_given(name: str, folder: Path) -> None:
    """Copy what a writer reads to ``folder/out``."""
    for target, source in WRITERS[name].given:
        shutil.copy(folder / "in" / source, folder / "out" / target)


def run(name: str) -> int:
    """Run a writer in the current folder.

    Returns
    -------
    exit status: that of ``gpuio``; of a function 0, 2 if it raised an exception of gpuio or
    MemoryError, which is printed as ``gpuio`` does, or 1 if it raised another
    """
    return run_command(WRITERS[name].command)


def run_command(command: str) -> int:
    """Run the arguments of ``gpuio``, or a function of this module; see `run`."""
    if not command.startswith("write_"):
        status = main(command.split())
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as `gpuio.__main__` does
        return status
    try:
        globals()[command]()
    except Error as error:
        print(f"gpuio: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except MemoryError:
        print("gpuio: memory is too short", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # Python's own end by this signal has status 1 if a second one comes while it shows where
        # the first one came.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def make_inputs(folder: Path) -> None:
    """Make ``folder/in``."""
    inside = folder / "in"
    (inside / "images").mkdir(parents=True)
    images = [_image(number) for number in range(RECORDS)]
    lines = []
    for number, image in enumerate(images[:HEAD]):
        label = number % 3
        (inside / "images" / f"class{label}").mkdir(exist_ok=True)
        (inside / "images" / f"class{label}" / f"{number}.jpg").write_bytes(image)
        lines.append(f"{number}\t{label}\tclass{label}/{number}.jpg\n")
    (inside / "images.lst").write_text("".join(lines))
    _write(inside / "train", images)
    _write(inside / "head", images[:HEAD])
    _write(inside / "undecodable", [image if n % 3 else b"none" for n, image in enumerate(images)])
    names = (f"{number}\t{number % 3}\t{number}.jpg\n" for number in range(RECORDS))
    (inside / "train.lst").write_text("".join(names))
    damaged = bytearray((inside / "train.rec").read_bytes())
    for begin in range(5000, len(damaged), 9000):
        damaged[begin : begin + 700] = bytes(700)
    (inside / "damaged.rec").write_bytes(damaged)
    shutil.copy(inside / "train.idx", inside / "damaged.idx")


def _image(number: int) -> bytes:
    return jpeg(number, 32 + number % 5, 32)


def _payload(number: int) -> bytes:
    return pack(IRHeader(0, float(number % 3), number, 0), _image(number))


def _write(stem: Path, images: Sequence[bytes]) -> None:
    with MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "w") as writer:
        for number, image in enumerate(images):
            writer.write_idx(number, pack(IRHeader(0, float(number % 3), number, 0), image))


Files = dict[str, bytes]


def read_files(folder: Path) -> Files:
    """The contents of all files in a folder, by their paths in it."""
    return {
        os.path.relpath(path, folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def wrong_files(writer: Writer, found: Files, old: Files, expected: Files) -> str:
    """What is wrong with the files in ``out`` after a writer has been interrupted; empty: nothing.

    An output must be the old or the new one, or be visibly unfinished; an index must not stand next
    to other records.

    Parameters
    ----------
    found, old, expected : the files after the interruption, before it, and of a run without it
    """
    for name, content in found.items():
        if UNFINISHED.search(name):
            continue
        if name not in old and name not in expected:
            return f"{name} is left behind"
        if content in (old.get(name), expected.get(name)):
            continue
        if writer.last is None or found.get(writer.last) == expected.get(writer.last, b""):
            return f"{name} is incomplete, but has its final name"
    for name in writer.outputs:
        idx = f"{os.path.splitext(name)[0]}.idx"
        if name.endswith(".rec") and idx in writer.outputs and idx in found and name in found:
            new = found[name] == expected[name]
            if writer.last is None and found[idx] != (expected if new else old).get(idx):
                return f"{idx} is not the index of {name}"
    gone = [name for name in old if name not in found and not name.endswith(".idx")]
    return f"{gone[0]} is gone" if gone else ""
