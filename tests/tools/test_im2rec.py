"""``python -m gpuio.tools.im2rec``, which scripts run in place of MXNet's im2rec.py."""

import subprocess
import sys
from pathlib import Path

from tests.tools.process import ROOT

IMAGES = ROOT / "tests" / "golden" / "data" / "im2rec_root"


def test_it_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gpuio.tools.im2rec", tmp_path / "x", IMAGES]
    options = ["--recursive", "--pass-through"]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{tmp_path}/x.rec: 6 records, 0.0 MB"
    failed = subprocess.run([*command, "--quality", "101"], cwd=ROOT, timeout=100)
    assert failed.returncode == 2
