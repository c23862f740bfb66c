"""``gpuio … --on ray``, on a cluster of two nodes: the same files as without it, whatever dies."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.errors import Error, RecordError
from gpuio.recordio import Index
from gpuio.tools import RayCluster
from gpuio.tools.cli import main
from gpuio.tools.commands import copying_in_tasks, moments, record_checks, selection, walking
from gpuio.tools.commands.im2rec import shards
from gpuio.tools.on_ray import running
from tests.io.records import jpeg, write_records

ROOT = Path(__file__).parents[2]

SHARD = re.compile(r"b\.rec\.[0-9a-f]{16}\.part")

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying_in_tasks, "LEAST_BYTES", 1 << 12)
    monkeypatch.setattr(record_checks, "LEAST_RANGE", 1 << 12)
    monkeypatch.setattr(walking, "LEAST_RANGE", 1 << 12)
    monkeypatch.setattr(selection, "LEAST_RECORDS", 16)
    monkeypatch.setattr(moments, "LEAST_BATCHES", 1)
    monkeypatch.setattr(shards, "LEAST", 8)


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    """200 records, three of them no images."""
    images = [jpeg(number % 17, 40 + number, 70) for number in range(200)]
    for number in (3, 77, 150):
        images[number] = b"not an image"
    return write_records(tmp_path / "a", images, [n % 5 for n in range(200)])["path_imgrec"]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """60 images that take a while each, one of them broken, and their list."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}.jpg").write_bytes(jpeg(number % 5, 3000, 2200))
    (folder / "41.jpg").write_bytes(b"broken")
    return folder


def contents(folder: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(f"{name}*") if path.is_file()}


COMMANDS: dict[str, Callable[..., Any]] = {
    "shuffle": lambda rec, out, **on: mx.tools.shuffle(rec, f"{out}.rec", seed=3, **on),
    "merge": lambda rec, out, **on: mx.tools.merge([rec, rec], f"{out}.rec", renumber=True, **on),
    "split": lambda rec, out, **on: mx.tools.split(rec, out, [3, 1], shuffle=True, **on),
    "filter": lambda rec, out, **on: mx.tools.filter_records(
        rec, f"{out}.rec", labels=[1, 3], least=60, **on
    ),
    "index": lambda rec, out, **on: mx.tools.index(rec, f"{out}.idx", **on),
    "verify": lambda rec, out, **on: mx.tools.verify(rec, level="deep", **on),
    "stats": lambda rec, out, **on: mx.tools.stats(
        rec, data_shape=(3, 32, 32), resize=36, sample=130, **on
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_result_is_that_of_one_machine(name: str, rec: Path, tmp_path: Path) -> None:
    results = []
    for number, on in enumerate([{}, {"on": "ray"}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = COMMANDS[name](rec, folder / "out", **on)
        files = contents(folder, "")
        results.append((str(result).replace(str(folder), ""), files))
    assert results[0] == results[1]
    assert bool(results[0][1]) is (name not in ("verify", "stats"))


@pytest.mark.parametrize("options", [{"resize": 200}, {"pass_through": True}])
def test_im2rec(photographs: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    (alone,) = mx.tools.im2rec(tmp_path / "a", photographs, **options)
    (tasked,) = mx.tools.im2rec(tmp_path / "b", photographs, on="ray", **options)
    ours, theirs = contents(tmp_path, "b."), contents(tmp_path, "a.")
    assert list(ours.values()) == [theirs[name.replace("b.", "a.")] for name in ours]
    assert sorted(ours) == ["b.idx", "b.lst", "b.rec"]
    assert alone[2:] == tasked[2:]
    assert len(tasked.bad) == (0 if "pass_through" in options else 1)


def test_lists_of_several_files(photographs: Path, tmp_path: Path) -> None:
    for name, on in (("a", None), ("b", "ray")):
        (tmp_path / name).mkdir()
        options = {"train_ratio": 0.5, "test_ratio": 0.25, "pass_through": True}
        mx.tools.im2rec(tmp_path / name / "x", photographs, on=on, **options)
    assert contents(tmp_path / "a", "x") == contents(tmp_path / "b", "x")
    assert len(contents(tmp_path / "a", "x")) == 9


def test_the_command_line(
    rec: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it prints is the same, too: bad images with their reasons."""
    printed = []
    for on in ([], ["--on", "ray", "--num-cpus", "1"]):
        arguments = [str(tmp_path / "p"), str(photographs), "--resize", "100", "--no-resume"]
        assert main(["im2rec", *arguments, *on]) == 1
        assert main(["verify", str(rec), *on]) == 1
        assert main(["filter", str(rec), str(tmp_path / "f.rec"), "--least", "50", *on]) == 1
        printed.append(capsys.readouterr())
        (tmp_path / "p.lst").unlink()
    assert printed[0] == printed[1]
    assert "41.jpg: not an image that OpenCV can read" in printed[0].err


def test_errors_are_those_of_one_machine(rec: Path, tmp_path: Path) -> None:
    content = bytearray(rec.read_bytes())
    offset = Index.load(rec.with_suffix(".idx")).offsets[100]
    content[offset : offset + 8] = b"\xff" * 8
    rec.write_bytes(content)
    for command in (
        partial(mx.tools.index, rec, tmp_path / "b.idx"),
        partial(mx.tools.shuffle, rec, tmp_path / "b.rec", seed=1),
    ):
        messages = []
        for on in (None, "ray"):
            try:
                command(on=on)
            except RecordError as error:
                messages.append((type(error), str(error)))
        assert len(set(messages)) == 1
    assert not contents(tmp_path, "b")


def dies_once(marker: Path, piece: int) -> int:
    """Kill the worker of one piece, the first time."""
    if piece == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return piece * piece


def dies_always(piece: int) -> int:
    if piece == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return piece


def test_a_task_whose_worker_is_killed_is_run_again(tmp_path: Path) -> None:
    with running("ray") as tasks:
        assert tasks is not None
        marker = tmp_path / "marker"
        found = list(tasks.map(partial(dies_once, marker), range(9), "test"))
        assert found == [number * number for number in range(9)]
        assert marker.exists()
        with pytest.raises(Error, match="runs again 3 times where a worker dies"):
            list(tasks.map(dies_always, range(3), "test"))


def test_more_pieces_than_are_consumed() -> None:
    taken = []

    def numbers() -> Iterator[int]:
        for number in range(10**6):
            taken.append(number)
            yield number

    with running(RayCluster(num_cpus=1)) as tasks:
        assert tasks is not None
        results = tasks.map(abs, numbers(), "test")
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        results.close()
    assert len(taken) < 20


class HandlerError(BaseException):
    """Raised by a signal handler."""


def waits_long(piece: int) -> None:
    threading.Event().wait(20)


def test_what_a_signal_handler_raises() -> None:
    """It ends the wait for a task, which is cancelled, and not waited for to its end."""

    def handler(number: int, frame: object) -> None:
        raise HandlerError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with running("ray") as tasks, pytest.raises(HandlerError):
            assert tasks is not None
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            list(tasks.map(waits_long, range(3), "test"))
        with running("ray") as tasks:
            assert tasks is not None
            assert list(tasks.map(abs, [-3], "test")) == [3]
    finally:
        signal.signal(signal.SIGALRM, before)


def shard_writers(folder: Path) -> list[int]:
    """The other processes that have a shard of b.rec open."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                names = [os.readlink(each) for each in (process / "fd").iterdir()]
            except OSError:
                continue
            if any(SHARD.fullmatch(name.removeprefix(f"{folder}/")) for name in names):
                found.append(int(process.name))
    return found


def wait_for(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return its value."""
    never = threading.Event()
    while not (found := condition()):
        never.wait(0.005)
    return found


class InThread:
    """im2rec on Ray, in a thread."""

    def __init__(self, prefix: Path, root: Path) -> None:
        self.result: Any = None
        self._thread = threading.Thread(target=self._run, args=(prefix, root))
        self._thread.start()

    def _run(self, prefix: Path, root: Path) -> None:
        try:
            self.result = mx.tools.im2rec(prefix, root, resize=300, on="ray")
        except Exception as error:
            self.result = error

    def end(self) -> Any:
        self._thread.join(120)
        return self.result


def test_workers_are_killed_while_they_write(photographs: Path, tmp_path: Path) -> None:
    (alone,) = mx.tools.im2rec(tmp_path / "a", photographs, resize=300)
    (tmp_path / "out").mkdir()
    run = InThread(tmp_path / "out" / "b", photographs)
    for _ in range(2):
        writer = wait_for(lambda: shard_writers(tmp_path / "out"))[0]
        os.kill(writer, signal.SIGKILL)
        wait_for(lambda writer=writer: writer not in shard_writers(tmp_path / "out"))
    (tasked,) = run.end()
    assert tasked[2:] == alone[2:]
    assert (tmp_path / "out" / "b.rec").read_bytes() == (tmp_path / "a.rec").read_bytes()
    assert sorted(contents(tmp_path / "out", "")) == ["b.idx", "b.lst", "b.rec"]


def raylet_of(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("PPid:")[1].split()[0])


def test_a_node_dies(ray_cluster: Any, photographs: Path, tmp_path: Path) -> None:
    (alone,) = mx.tools.im2rec(tmp_path / "a", photographs, resize=300)
    (tmp_path / "out").mkdir()
    node = next(node for node in ray_cluster.worker_nodes)
    raylets = {each.process.pid for each in node.all_processes["raylet"]}
    run = InThread(tmp_path / "out" / "b", photographs)
    try:
        wait_for(
            lambda: any(raylet_of(each) in raylets for each in shard_writers(tmp_path / "out"))
        )
        ray_cluster.remove_node(node, allow_graceful=False)
        (tasked,) = run.end()
    finally:
        ray_cluster.add_node(num_cpus=1, object_store_memory=80 * 10**6)
    assert tasked[2:] == alone[2:]
    assert (tmp_path / "out" / "b.rec").read_bytes() == (tmp_path / "a.rec").read_bytes()
    assert sorted(contents(tmp_path / "out", "")) == ["b.idx", "b.lst", "b.rec"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_signals(
    ray_cluster: Any, photographs: Path, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "out").mkdir()
    assert shard_writers(tmp_path / "out") == []
    where = ["--on", "ray", "--address", ray_cluster.address]
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuio", "im2rec", tmp_path / "out" / "b", photographs, "--resize",
         "300", *where],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    wait_for(lambda: process.poll() is not None or shard_writers(tmp_path / "out"))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    status, said = {
        signal.SIGINT: (130, "gpuio: interrupted\n"),
        signal.SIGTERM: (143, "gpuio: terminated\n"),
    }[number]
    assert (process.returncode, err) == (status, said)
    assert sorted(contents(tmp_path / "out", "")) == ["b.lst"]
    assert shard_writers(tmp_path / "out") == []
