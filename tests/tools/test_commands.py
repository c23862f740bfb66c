"""What all commands have in common: help, JSON, exit statuses, interruptions, memory."""

import argparse
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gpuio.recordio import RecordSet
from gpuio.tools.cli import main, make_parser
from tests.io.records import jpeg, write_records

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "bench", "demo", "doctor", "extract", "filter", "im2rec", "index", "info", "merge", "repair",
    "show", "shuffle", "split", "stats", "verify",
]  # fmt: skip


# No more than 400 MiB of memory of its own; mapped files do not count.
LIMITED = ("sh", "-c", 'ulimit -d 409600 && exec "$@"', "sh")


def gpuio(*words: object, limit: Sequence[str] = ()) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [*limit, sys.executable, "-m", "gpuio", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def subparsers() -> dict[str, argparse.ArgumentParser]:
    (action,) = (
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(action.choices)


def test_these_are_all() -> None:
    assert sorted(subparsers()) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_each_has_help_with_an_example_that_it_takes(name: str) -> None:
    parser = subparsers()[name]
    example = re.fullmatch(rf"example: gpuio {name} (.*)", parser.epilog or "")
    assert example and parser.description
    args = make_parser().parse_args([name, *shlex.split(example[1])])
    assert callable(args.run)
    for action in parser._actions:
        assert action.help or action.metavar, action


@pytest.fixture
def rec(tmp_path: Path) -> str:
    """Pictures; one is broken, one label is no number."""
    pictures = [jpeg(0), jpeg(1), b"no picture", jpeg(3)]
    labels = [0, float("nan"), 2, 0]
    return str(write_records(tmp_path / "x", pictures, labels)["path_imgrec"])


@pytest.mark.parametrize(
    "words",
    [
        ["info", "{rec}"],
        ["stats", "{rec}", "--data-shape", "3,8,8"],
        ["verify", "{rec}"],
        ["repair", "{rec}", "{out}.rec"],
        ["doctor"],
        ["bench", "{rec}", "--rounds", "1", "--batch-size", "2"],
    ],
    ids=lambda words: words[0],
)
def test_json_is_json(
    words: list[str], rec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [word.format(rec=rec, out=tmp_path / "out") for word in words]
    assert main([*filled, "--json"]) in (0, 1)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out, parse_constant=refuse)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("doctor", "im2rec")])
def test_a_missing_file_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none, out = str(tmp_path / "none.rec"), str(tmp_path / "out")
    words = {
        "demo": ["--rec", none, "--output", out],
        "extract": [none, out],
        "split": [none, out, "--ratio", "1"],
        "merge": [f"{out}.rec", none],
    }.get(name, [none, f"{out}.rec"] if name in ("filter", "repair", "shuffle") else [none])
    assert main([name, *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("gpuio: ") and err.count("\n") == 1 and "none.rec does not exist" in err
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record file that takes seconds to decode."""
    folder = tmp_path_factory.mktemp("large")
    pictures = [jpeg(number, 2000, 1500) for number in range(4)]
    return write_records(folder / "x", pictures * 60)["path_imgrec"]


def wait_for(condition: Callable[[], bool], run: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert run.poll() is None and time.monotonic() < limit
        time.sleep(0.005)


def cpu_seconds(run: subprocess.Popen[str]) -> float:
    """Processor time that a running process has used so far."""
    fields = Path(f"/proc/{run.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize(
    "words",
    [
        ["verify", "{rec}", "--deep"],
        ["stats", "{rec}"],
        ["show", "{rec}", "--bad", "--out", "{out}/sheet.png"],
        ["bench", "{rec}"],
        ["demo", "--rec", "{rec}", "--output", "{out}/demo", "--epochs", "9"],
    ],
    ids=lambda words: words[0],
)
def test_an_interrupt_ends_it(words: list[str], large: Path, tmp_path: Path) -> None:
    run = gpuio(*(word.format(rec=large, out=tmp_path) for word in words))
    wait_for(lambda: cpu_seconds(run) > 1.2, run)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (130, "gpuio: interrupted\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["shuffle", "merge", "repair", "im2rec"])
def test_an_interrupt_leaves_nothing_under_the_name(name: str, large: Path, tmp_path: Path) -> None:
    """What was there stays there."""
    out = tmp_path / "out.rec"
    index = tmp_path / "out.idx"
    out.write_bytes(b"precious")
    index.write_bytes(b"precious")
    if name == "im2rec":
        (tmp_path / "pictures").mkdir()
        for number in range(3):
            (tmp_path / "pictures" / f"{number}.jpg").write_bytes(jpeg(number, 3000, 2000))
        lines = "".join(f"{number}\t0\t{number % 3}.jpg\n" for number in range(600))
        (tmp_path / "out.lst").write_text(lines)
        words = ["im2rec", tmp_path / "out", tmp_path / "pictures"]
    elif name == "merge":
        words = ["merge", "--renumber", out, *[large] * 40]
    else:
        big = tmp_path / "big.rec"
        with big.open("wb") as file:
            for _ in range(40):
                file.write(large.read_bytes())
        words = [name, big, out]
    run = gpuio(*words)
    part = tmp_path / "out.rec.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 1000, run)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130 and err == "gpuio: interrupted\n"
    assert out.read_bytes() == index.read_bytes() == b"precious"
    assert part.exists() == (name == "im2rec")  # which goes on with it


def test_a_reader_that_goes_away_is_no_failure(rec: str, tmp_path: Path) -> None:
    pictures = [b"no picture"] * 20_000
    many = write_records(tmp_path / "many", pictures)["path_imgrec"]
    with gpuio("verify", many, "--most", "20000") as run:
        assert run.stdout is not None and run.stderr is not None
        assert run.stdout.readline().startswith("image at byte 0")
        run.stdout.close()
        assert run.stderr.read() == ""
        assert run.wait(60) == 141


def test_names_that_are_not_text_are_printed(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/pictures/na\xefve"))
    folder.mkdir(parents=True)
    (folder / "x.jpg").write_bytes(b"no picture")
    (folder / "y.jpg").write_bytes(jpeg(0))
    run = gpuio("im2rec", tmp_path / "x", tmp_path / "pictures", "--recursive")
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1 and "1 records" in out
    assert "na\\udcefve 0" in out and "na\\udcefve/x.jpg: not an image" in err


GIGABYTES_100 = 100 * 10**9


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on memory that Linux has")
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["index", "{rec}", "--idx", "{out}.idx"], 0),
        (["info", "{rec}", "--sample", "3"], 0),
        (["filter", "{rec}", "{out}.rec", "--key", "12", "--key", "2900"], 0),
        (["filter", "{rec}", "{out}.rec", "--label", "77"], 0),
        (["extract", "{rec}", "{out}", "--key", "5"], 1),
        (["show", "{rec}", "--key", "1", "--out", "{out}.html"], 0),
    ],
    ids=lambda words: " ".join(words[::3]) if isinstance(words, list) else None,
)
def test_a_hundred_gigabytes_in_bounded_memory(
    words: list[str], status: int, sparse: Callable[[int], Path], tmp_path: Path
) -> None:
    """A sparse file: records of 32 MiB, whose payload is a hole."""
    rec = sparse(GIGABYTES_100)
    filled = [word.format(rec=rec, out=tmp_path / "out") for word in words]
    run = gpuio(*filled, limit=LIMITED)
    _, err = run.communicate(timeout=100)
    assert (run.returncode, err) == (status, "")
    if words[0] == "index":
        with RecordSet(rec, tmp_path / "out.idx") as records:
            assert records.nbytes >= GIGABYTES_100
            assert len(records) == -(-GIGABYTES_100 // RECORD)


def test_every_byte_is_looked_at_in_bounded_memory(
    sparse: Callable[[int], Path], tmp_path: Path
) -> None:
    rec = sparse(600 << 20)
    for words in (["verify", rec, "--framing"], ["shuffle", rec, tmp_path / "out.rec"]):
        run = gpuio(*words, limit=LIMITED)
        out, err = run.communicate(timeout=100)
        assert (run.returncode, err) == (0, "")
        assert "19 records" in out


RECORD = 32 << 20


@pytest.fixture
def sparse(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a record file of at least so many bytes that takes next to none on the disk."""

    def make(size: int) -> Path:
        path = tmp_path / "big.rec"
        count = -(-size // RECORD)
        with path.open("wb") as file, path.with_suffix(".idx").open("w") as index:
            for key in range(count):
                file.seek(key * RECORD)
                label = 77.0 if key == count // 2 else 1.0
                file.write(struct.pack("<IIIfQQ", 0xCED7230A, RECORD - 8, 0, label, key, 0))
                index.write(f"{key}\t{key * RECORD}\n")
            file.truncate(count * RECORD)
        return path

    return make


def test_closed_outputs_are_no_failure(rec: str) -> None:
    words = [sys.executable, "-m", "gpuio", "info", rec]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words], cwd=ROOT, stderr=subprocess.PIPE, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
