"""The command ``gpuio``: its help, its exit statuses, and how it ends."""

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.tools.cli import main, make_parser
from tests.io.records import jpeg, write_records
from tests.tools.process import ROOT, start, stop_at

COMMANDS = [
    "bench", "cache", "demo", "doctor", "extract", "filter", "im2rec", "index", "info", "merge",
    "repair", "show", "shuffle", "split", "stats", "verify",
]  # fmt: skip


def test_python_m_gpuio() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpuio", "--version"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"gpuio {mx.__version__}\n", "")


def help_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> list[str]:
    """Lines of a command's help, unwrapped."""
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out.splitlines()


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "demo" in out and "im2rec" in out
    with pytest.raises(SystemExit) as end:
        main(["pack"])
    assert end.value.code == 2


def test_these_are_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = help_of(capsys, monkeypatch)
    listed = lines[lines.index("commands:") + 2 :]
    assert sorted(line.split()[0] for line in listed) == COMMANDS
    assert all(len(line.split()) > 1 for line in listed)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_has_help_with_an_example_that_it_takes(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = help_of(capsys, monkeypatch, name)
    example = re.fullmatch(rf"example: gpuio {name} (.*)", lines[-1])
    assert example
    # The description stands between the usage and the first group of arguments.
    assert lines[1] == "" and lines[2] and not lines[2].endswith(":")
    args = make_parser().parse_args([name, *shlex.split(example[1])])
    assert callable(args.run)
    arguments = [number for number, line in enumerate(lines) if re.match(r"  \S", line)]
    assert any(lines[number].startswith("  -h, --help") for number in arguments)
    for number in arguments:
        assert re.search(r"\S  +\S", lines[number]) or lines[number + 1].startswith("     "), lines[
            number
        ]


def test_the_commands_import_nothing_heavy_before_they_run() -> None:
    code = """
import sys
from gpuio.tools.cli import main
try:
    main(["demo", "--help"])
except SystemExit:
    pass
heavy = {"cv2", "PIL", "tqdm", "skimage", "sklearn", "gpuio.io"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
        timeout=60,
    )


@pytest.fixture
def rec(tmp_path: Path) -> str:
    """Images; one is broken, one label is no number."""
    images = [jpeg(0), jpeg(1), b"no image", jpeg(3)]
    labels = [0, float("nan"), 2, 0]
    return str(write_records(tmp_path / "x", images, labels)["path_imgrec"])


@pytest.mark.skipif(importlib.util.find_spec("paramiko") is not None, reason="paramiko is here")
def test_a_missing_package_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "sftp://host/x.rec"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("gpuio: sftp://host") and err.count("\n") == 1 and "paramiko" in err


def test_a_url_with_one_slash_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "s3:/bucket/x.rec"]) == 2
    assert "give URLs with two slashes" in capsys.readouterr().err


NO_FILE = ("cache", "doctor", "im2rec")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in NO_FILE])
def test_a_missing_file_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none, out = str(tmp_path / "none.rec"), str(tmp_path / "out")
    arguments = {
        "demo": ["--rec", none, "--output", out],
        "extract": [none, out],
        "split": [none, out, "--ratio", "1"],
        "merge": [f"{out}.rec", none],
    }.get(name, [none, f"{out}.rec"] if name in ("filter", "repair", "shuffle") else [none])
    assert main([name, *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("gpuio: ") and err.count("\n") == 1 and "none.rec does not exist" in err
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record file that takes seconds to decode."""
    folder = tmp_path_factory.mktemp("large")
    images = [jpeg(number, 2000, 1500) for number in range(4)]
    return write_records(folder / "x", images * 60)["path_imgrec"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "{rec}", "--deep"],
        ["stats", "{rec}"],
        ["show", "{rec}", "--bad", "--out", "{out}/sheet.png"],
        ["bench", "{rec}"],
        ["demo", "--rec", "{rec}", "--output", "{out}/demo", "--epochs", "9"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_interrupt_ends_it(arguments: list[str], large: Path, tmp_path: Path) -> None:
    filled = [argument.format(rec=large, out=tmp_path) for argument in arguments]
    run = stop_at(large.name, *filled, cpu_seconds=0.7)
    assert (run.returncode, run.stderr) == (130, "gpuio: interrupted\n")
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def huge(large: Path) -> Iterator[Path]:
    """A record file that takes seconds to read; what it takes on the disk is freed soon."""
    path = large.with_name("huge.rec")
    with path.open("wb") as file:
        for _ in range(40):
            file.write(large.read_bytes())
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("merge", signal.SIGINT),
        ("merge", signal.SIGTERM),
        ("im2rec", signal.SIGINT),
        ("shuffle", signal.SIGINT),
        ("repair", signal.SIGINT),
    ],
)
def test_an_interrupt_leaves_existing_files(
    name: str,
    number: signal.Signals,
    request: pytest.FixtureRequest,
    large: Path,
    tmp_path: Path,
) -> None:
    """What was there stays there."""
    out = tmp_path / "out.rec"
    index = tmp_path / "out.idx"
    out.write_bytes(b"precious")
    index.write_bytes(b"precious")
    if name == "im2rec":
        (tmp_path / "images").mkdir()
        for number in range(3):
            (tmp_path / "images" / f"{number}.jpg").write_bytes(jpeg(number, 3000, 2000))
        lines = "".join(f"{number}\t0\t{number % 3}.jpg\n" for number in range(600))
        (tmp_path / "out.lst").write_text(lines)
        arguments = ["im2rec", tmp_path / "out", tmp_path / "images"]
    elif name == "merge":
        arguments = ["merge", "--renumber", out, *[large] * 40]
    else:
        arguments = [name, request.getfixturevalue("huge"), out]
    part = tmp_path / "out.rec.part"
    run = stop_at(part.name, *arguments, cpu_seconds=0.3, number=number)
    what = "interrupted" if number == signal.SIGINT else "terminated"
    assert (run.returncode, run.stderr) == (128 + number, f"gpuio: {what}\n")
    assert out.read_bytes() == index.read_bytes() == b"precious"
    assert part.exists() == (name == "im2rec")  # which resumes


def test_a_closed_pipe_is_not_an_error(rec: str, tmp_path: Path) -> None:
    images = [b"no image"] * 20_000
    many = write_records(tmp_path / "many", images)["path_imgrec"]
    with start("verify", many, "--most", "20000") as run:
        assert run.stdout is not None and run.stderr is not None
        assert run.stdout.readline().startswith("image at byte 0")
        run.stdout.close()
        assert run.stderr.read() == ""
        assert run.wait(60) == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_at_stdout_is_one_line(rec: str) -> None:
    """Also where the buffer is only written when Python exits."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gpuio", "info", rec],
            cwd=ROOT, env=environment, stdout=full, stderr=subprocess.PIPE, timeout=60, text=True,
        )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch("gpuio: .*No space left on device\n", done.stderr)


def test_names_that_are_not_utf_8_are_printed(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/images/na\xefve"))
    folder.mkdir(parents=True)
    (folder / "x.jpg").write_bytes(b"no image")
    (folder / "y.jpg").write_bytes(jpeg(0))
    run = start("im2rec", tmp_path / "x", tmp_path / "images", "--recursive")
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1 and "1 record," in out
    assert "na\\udcefve 0" in out and "na\\udcefve/x.jpg: not an image" in err


def test_a_closed_stdout_is_not_an_error(rec: str) -> None:
    arguments = [sys.executable, "-m", "gpuio", "info", rec]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
