"""Tools whose output cannot be written: one line, status 2, and everything as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.io.records import jpeg, write_records
from tests.tools.process import ROOT

# Runs commands, a line for each, and prints each one's status and what it prints to stderr.
RUN = """
import contextlib, io, os, resource, sys
from gpuio.tools.cli import main
import cv2, gpuio.image, importlib.readers, simplejpeg, PIL.Image, PIL.ImageFont  # not later

PIL.Image.init()
{before}
for line in sys.stdin.read().splitlines():
    with contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(line.split(chr(9)))
    print(status, err.getvalue().strip(), sep=chr(9), file=sys.stderr)
"""

# Tools that replace a file without being told to.
REPLACING = ("im2rec", "shuffle", "merge", "filter", "repair", "verify", "show")

LIMIT = "resource.setrlimit(resource.RLIMIT_FSIZE, (450, 450))"
OTHER_USER = "os.setgroups([]); os.setgid(65534); os.setuid(65534)"


@pytest.fixture
def inputs(public_path: Path) -> Path:
    """A folder with a record file, a damaged one, and images, which all users may read."""
    folder = public_path / "in"
    folder.mkdir()
    write_records(folder / "x", [jpeg(number) for number in range(100)])
    broken = [jpeg(number) if number % 4 else b"no image" for number in range(100)]
    write_records(folder / "bad", broken)
    content = (folder / "bad.rec").read_bytes()
    (folder / "bad.rec").write_bytes(content[:30_000] + bytes(5000) + content[35_000:])
    (folder / "images").mkdir()
    for number in range(100):
        (folder / "images" / f"{number}.jpg").write_bytes(jpeg(0, 40, 30))
    (folder / "x.lst").write_text("".join(f"{n}\t0\t{n}.jpg\n" for n in range(100)))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def commands(inputs: Path, out: Path) -> list[list[str]]:
    """A command for each tool, whose outputs replace files in a folder."""
    rec, bad, lst = inputs / "x.rec", inputs / "bad.rec", out / "z"
    arguments: list[list[object]] = [
        ["im2rec", "--list", lst, inputs / "images"],
        ["im2rec", lst, inputs / "images", "--num-thread", 1],
        ["index", rec, "--idx", out / "new.idx"],
        ["extract", rec, out, "--force"],
        ["shuffle", rec, out / "y.rec"],
        ["split", rec, out / "part", "--parts", 2],
        ["merge", out / "y.rec", rec],
        ["filter", rec, out / "y.rec", "--least", 1],
        ["repair", bad, out / "y.rec", "--damaged", out / "damaged"],
        ["verify", bad, "--quarantine", out / "bad.tsv", "--deep"],
        ["show", rec, "--out", out / "sheet.png"],
        ["show", rec, "--out", out / "page.html"],
    ]
    return [[str(each) for each in command] for command in arguments]


def run(before: str, lines: list[list[str]]) -> list[list[str]]:
    """The statuses and messages of commands in a process that begins with some code."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(before=before)],
        input="\n".join("\t".join(line) for line in lines),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stderr.splitlines()]


def old_files(out: Path, inputs: Path) -> None:
    """Files that would be replaced."""
    out.mkdir()
    (out / "0").mkdir()
    (out / "z.lst").write_bytes((inputs / "x.lst").read_bytes())
    names = "y.rec y.idx z.rec z.idx part_0.rec damaged bad.tsv sheet.png page.html 0/0.jpg"
    for name in [*names.split(), "records.lst"]:
        (out / name).write_bytes(b"precious")


def test_files_that_become_too_large(inputs: Path, public_path: Path) -> None:
    out = public_path / "out"
    old_files(out, inputs)
    before = contents(public_path)
    lines = commands(inputs, out)
    for command, (status, message) in zip(lines, run(LIMIT, lines), strict=True):
        assert status == "2" and message.startswith(f"gpuio: {out}"), (command, message)
        assert "cannot be written: File too large; make room" in message
    left = contents(public_path)
    unfinished = {name for name in left if ".part" in name}
    assert unfinished == {"out/z.rec.part", "out/z.rec.part.json"}  # im2rec's, which resumes
    for name in unfinished:
        del left[name]
    assert left == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_users_files_and_folders(inputs: Path, public_path: Path) -> None:
    """Files are not replaced either where the folder would allow it, except by force."""
    closed, shared = public_path / "closed", public_path / "shared"
    for out in (closed, shared):
        old_files(out, inputs)
    for folder in (shared, shared / "0"):
        folder.chmod(0o777)
    before = contents(public_path)
    lines = commands(inputs, closed)
    lines += [line for line in commands(inputs, shared) if line[0] in REPLACING]
    for command, (status, message) in zip(lines, run(OTHER_USER, lines), strict=True):
        assert status == "2" and message.startswith(f"gpuio: {public_path}"), (command, message)
        assert "cannot be written: Permission denied; choose a location" in message
    assert contents(public_path) == before
