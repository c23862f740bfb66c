"""The commands of ``gpuio`` on damaged record files, indexes and lists."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np

from gpuio.recordio.framing import parse, walk
from gpuio.recordio.index import Index
from gpuio.recordio.record_set import RecordSet
from gpuio.recordio.recovery import scan
from gpuio.tools.cli import main
from tests.fuzz.formats import bombs
from tests.fuzz.mutators import TEXT_MUTATORS, Rng, mutate_one, pick
from tests.fuzz.target import Parts, Refused, Target, write_files
from tests.fuzz.targets.images import damaged_image
from tests.fuzz.targets.records import labelled, make_pair, record_file
from tests.io.records import jpeg

COMMANDS = [
    ["verify", "x.rec", "--framing"],
    ["verify", "x.rec", "--threads", "2", "--quarantine", "bad.tsv"],
    ["verify", "x.rec", "--deep", "--threads", "2", "--json"],
    ["info", "x.rec"],
    ["info", "x.rec", "--json", "--sample", "0"],
    ["stats", "x.rec", "--data-shape", "3,12,12", "--resize", "-1", "--threads", "2"],
    ["repair", "x.rec", "--damaged", "damaged"],
    ["index", "x.rec", "--idx", "new.idx"],
    ["show", "x.rec", "--count", "4", "--size", "20", "--out", "sheet.png"],
    ["show", "x.rec", "--count", "4", "--size", "20", "--bad", "--out", "sheet.html"],
    ["extract", "x.rec", "images"],
    ["split", "x.rec", "part", "--parts", "2"],
    ["shuffle", "x.rec", "out.rec"],
    ["merge", "out.rec", "x.rec", "x.rec", "--renumber"],
    ["filter", "x.rec", "out.rec", "--least", "15"],
]


def gpuio(command: list[str], folder: Path) -> int:
    """Run a command in a folder; its exit status."""
    paths = {"x.rec", "bad.tsv", "damaged", "new.idx", "sheet.png", "sheet.html", "images", "part",
             "out.rec", "x.lst", "x", "root", "part_0.rec", "part_1.rec",
             "x.repaired.rec", "x.repaired.idx"}  # fmt: skip
    arguments = [str(folder / each) if each in paths else each for each in command]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        status = main(arguments)
    assert status in (0, 1, 2), f"{command} ended with {status}"
    assert "Traceback" not in printed.getvalue(), printed.getvalue()
    return status


def make_files(rng: Rng) -> Parts:
    """The number of a command, a record file, and an index, which may be missing."""
    content, index = make_pair(rng)
    return bytes([int(rng.integers(len(COMMANDS)))]), content, index if rng.integers(2) else b""


def make_images(rng: Rng) -> Parts:
    """The same with damaged images in an intact file."""
    images = [jpeg(0), *(damaged_image(rng) for _ in range(3)), jpeg(1)]
    content, index = record_file(labelled([float(n) for n in range(5)], images))
    return bytes([int(rng.integers(len(COMMANDS)))]), content, index


def make_bomb(rng: Rng) -> Parts:
    """The same with an image that costs more than it looks."""
    content, index = record_file(labelled([0.0], [pick(rng, list(bombs().values()))]))
    return bytes([int(rng.integers(len(COMMANDS)))]), content, index


def check_command(parts: Parts, folder: Path) -> None:
    """Run a command, and compare what it writes with the records that can be read."""
    command = COMMANDS[(parts[0][0] if parts[0] else 0) % len(COMMANDS)]
    (path,) = write_files(folder, x_rec=parts[1])
    if parts[2]:
        write_files(folder, x_idx=parts[2])
    status = gpuio(command, folder)
    if command[0] == "repair" and status != 2:
        data = np.frombuffer(parts[1], np.uint8)
        intact = [
            parse(data, span.begin, "")[0].tobytes()
            for span in scan(data, "")
            if span.reason is None
        ]
        assert _payloads(folder / "x.repaired.rec") == intact
        assert gpuio(["verify", "x.repaired.rec", "--framing"], folder) == 0
        Index.load(folder / "x.repaired.idx")
    elif command[0] == "index" and status == 0:
        offsets = list(walk(np.frombuffer(parts[1], np.uint8), ""))
        assert Index.load(folder / "new.idx").offsets.tolist() == offsets
    elif command[0] == "split" and status == 0 and not parts[2] and not _has_faces(path):
        halves = [_payloads(folder / f"part_{half}.rec") for half in range(2)]
        assert [*halves[0], *halves[1]] == _payloads(path)
    elif command[0] == "shuffle" and status == 0 and not parts[2] and not _has_faces(path):
        assert sorted(_payloads(folder / "out.rec")) == sorted(_payloads(path))
    if status == 2:
        raise Refused


def _has_faces(path: Path) -> bool:
    """Whether some records have no images, and are not copied."""
    with RecordSet(path) as records:
        return records.has_faces


def _payloads(path: Path) -> list[bytes]:
    data = np.fromfile(path, np.uint8)
    return [parse(data, offset, "")[0].tobytes() for offset in walk(data, str(path))]


LIST = b"".join(b"%d\t%d\t%s\n" % (n, n % 3, name) for n, name in enumerate(
    [b"a.jpg", b"b.png", b"c.bin", b"sub/d.jpg", "h\u00f6.jpg".encode(),
     "h\u00f6.jpg".encode("latin-1")]
))  # fmt: skip


def make_list(rng: Rng) -> Parts:
    """A list for im2rec, and a damaged image that it names."""
    return mutate_one(rng, [LIST], TEXT_MUTATORS), damaged_image(rng)


def check_im2rec(parts: Parts, folder: Path) -> None:
    """Pack a list of images; the record file must be intact."""
    root = folder / "root"
    (root / "sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/d.jpg"):
        (root / name).write_bytes(jpeg(0, 20, 20))
    (root / "c.bin").write_bytes(parts[1])
    write_files(folder, x_lst=parts[0])
    status = gpuio(["im2rec", "x", "root", "--num-thread", "1", "--pack-label"], folder)
    if (folder / "x.rec").exists():
        assert len(_payloads(folder / "x.rec")) == len(Index.load(folder / "x.idx"))
    if status == 2:
        raise Refused


TARGETS = [
    Target("tools.records", make_files, check_command, cost=8),
    Target("tools.images", make_images, check_command, 3, cost=10),
    Target("tools.bomb", make_bomb, check_command, cost=400),
    Target("tools.im2rec", make_list, check_im2rec, cost=10),
]
