"""gpuio doctor: what works on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gpuio as mx
from gpuio import native
from gpuio.tools.cli import main
from gpuio.tools.commands.doctor import CLIENTS, LONG, Check, check_packages
from tests.tools.process import ROOT


def test_what_works_here(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["gpuio"]["text"].startswith(mx.__version__)
    for name in ("numpy", "polars", "host executor", "DALI on the CPU"):
        assert checks[name]["state"] == "works", checks[name]
    for name in CLIENTS:
        check = checks[name]
        assert check["state"] == "works" or "pip install" in check["text"]
    gpu = checks["GPU"]
    assert gpu["state"] == ("works" if mx.num_gpus() else "missing")
    if not mx.num_gpus():
        assert "install" in gpu["text"] or "nvidia-smi" in gpu["text"]
    in_use, about = native.state()
    state = "works" if in_use else "missing"
    assert checks["native module"] == {"name": "native module", "state": state, "text": about}
    broken = [name for name, check in checks.items() if check["state"] == "broken"]
    assert status == (1 if broken else 0)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("simplejpeg", "broken   host executor: RuntimeError: out of order"),
        ("torch", "broken   batches in torch: RuntimeError: out of order"),
    ],
)
def test_what_is_broken_is_said(module: str, line: str, tmp_path: Path) -> None:
    """With a package that cannot be imported."""
    (tmp_path / f"{module}.py").write_text('raise RuntimeError("out of\\norder")\n')
    done = subprocess.run(
        [sys.executable, "-m", "gpuio", "doctor"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "GPUIO_NATIVE": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1, done.stderr
    assert line in done.stdout.splitlines()
    summary = done.stdout.splitlines()[-1]
    assert summary.startswith("broken: ") and line[9:].partition(":")[0] in summary
    assert "missing  native module: turned off by GPUIO_NATIVE=0" in done.stdout.splitlines()


def test_a_summary_and_nothing_long_twice(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    *lines, last = capsys.readouterr().out.splitlines()
    assert last.startswith(("nothing is broken", "everything works", "broken: "))
    texts = [line.partition(": ")[2] for line in lines]
    assert all(len(text) <= LONG or texts.count(text) == 1 for text in texts)
    if not mx.num_gpus():
        assert "missing  DALI on the GPU: see GPU" in lines


def test_missing_packages() -> None:
    name = "no-such-package"
    (check,) = check_packages([name], required=True)
    assert check == Check(name, "broken", "not installed; run: pip install no-such-package")
    assert check_packages([name], required=False) == [Check(name, "missing", "not installed")]
    assert check_packages(["numpy"], required=True)[0].state == "works"
