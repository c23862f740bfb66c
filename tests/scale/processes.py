"""Programs in several processes, and what they find."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.io.records import jpeg, write_records
from tests.processes import python_path

# What launchers set, which the tests' own environment must not have.
LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_", "OMPI_", "PMI", "SLURM_", "MASTER_", "TORCHELASTIC_")

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


def images(folder: Path, count: int) -> list[str]:
    """A record file of so many images, whose labels are their numbers; its path and its index's."""
    files = write_records(folder / "x", [jpeg(number, 32, 32) for number in range(count)])
    return [str(files["path_imgrec"]), str(files["path_imgidx"])]


def environment(**more: str) -> dict[str, str]:
    """The environment of a program that no launcher has started."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}
    return {
        **kept,
        "PYTHONPATH": python_path(),
        "OMP_NUM_THREADS": "1",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        **more,
    }


def start(command: Sequence[str | Path], **more: str) -> subprocess.Popen[str]:
    """Start a program; what it writes to stderr is kept with its output."""
    return subprocess.Popen(
        [str(part) for part in command],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen[str]) -> str:
    """Wait until programs have ended well, and return what they have written."""
    output = ""
    try:
        for process in processes:
            output += process.communicate(timeout=120)[0]
    finally:
        for process in processes:
            process.kill()
    for process in processes:
        assert process.returncode == 0, f"{process.args}: {process.returncode}\n{output[-8000:]}"
    return output


def run(command: Sequence[str | Path], **more: str) -> str:
    """Run a program, and return what it has written."""
    return finish(start(command, **more))


def torchrun(processes: int, *program: str | Path, **more: str) -> str:
    """Run a module in processes of one machine, by torchrun."""
    options = ["--standalone", "--nnodes=1", f"--nproc-per-node={processes}", "-m"]
    return run([*TORCHRUN, *options, *program], **more)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def found_by(folder: Path, processes: int) -> list[Any]:
    """What each process has written into its file, rank by rank; no other has written one."""
    assert sorted(path.name for path in folder.glob("*.json")) == sorted(
        f"{rank}.json" for rank in range(processes)
    )
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
