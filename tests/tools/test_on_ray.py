"""Where commands run. What runs on a cluster is in ``tests/scale``."""

import sys
from pathlib import Path

import pytest

from gpuio.errors import MissingPackageError
from gpuio.tools.on_ray import running
from tests.io.records import jpeg, write_records
from tests.tools.process import failure


def test_nowhere_else_by_default() -> None:
    with running(None) as tasks:
        assert tasks is None


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match="Ray is not installed"), running("ray"):
        pass


def test_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    rec = write_records(tmp_path / "a", [jpeg(0)])["path_imgrec"]
    commands = [
        ["verify", rec],
        ["stats", rec],
        ["index", rec],
        ["shuffle", rec, tmp_path / "b.rec"],
        ["merge", tmp_path / "b.rec", rec],
        ["split", rec, tmp_path / "b", "--parts", "2"],
        ["filter", rec, tmp_path / "b.rec", "--label", "0"],
        ["im2rec", tmp_path / "b", tmp_path, "--exts", ".rec", "--pass-through"],
    ]
    for command in commands:
        assert "Ray is not installed" in failure(capsys, *command, "--on", "ray")
        assert "add that" in failure(capsys, *command, "--num-cpus", "2")
        assert "add that" in failure(capsys, *command, "--address", "auto")
    left = {path.suffix for path in tmp_path.iterdir()}
    assert left == {".rec", ".idx", ".lst"}
