"""Scripts for shells, run by Bash itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gpuio.tools.cli import main


def print_script(shell: str, status: int) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--completion", shell])
    assert end.value.code == status


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no Bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["inf"], ["info"]),
        (["info", "--js"], ["--json"]),
        (["show", "--task", "tr"], ["train"]),
        (["info", "some"], ["some.rec"]),
        (["cache", "v"], ["verify"]),
        (["cache", "ls", "--cache-dir", "fol"], ["folder"]),
    ],
)
def test_bash(
    words: list[str], expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_script("bash", 0)
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "some.rec").touch()
    (tmp_path / "folder").mkdir()
    code = f"""
source ./script
COMP_WORDS=(gpuio {" ".join(words)}); COMP_CWORD={len(words)}
_shtab_gpuio
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == expected, done.stderr


def test_other_shells(capsys: pytest.CaptureFixture[str]) -> None:
    print_script("zsh", 0)
    assert capsys.readouterr().out.startswith("#compdef gpuio")
    print_script("ksh", 2)
    assert "the shell must be one of bash, zsh" in capsys.readouterr().err
