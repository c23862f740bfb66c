"""The benchmark of Ray, on a few images."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_measures(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ["--images", "40", "--rounds", "1", "--json", str(figures)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.ray", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "two nodes" in done.stdout
    seconds = json.loads(figures.read_text())["seconds"]
    assert all(len(alone) == len(tasks) == 1 for alone, tasks in seconds.values())
    assert len(seconds) == 3
