"""Pages of the documentation, whose code is run as a reader would run it."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tests.processes import ROOT, python_path

PAGES = sorted((ROOT / "docs").rglob("*.md"))

_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.M | re.S)
_NEEDS = re.compile(r"^<!-- needs: (.*) -->$", re.M)
# The first line of a block that is a file, not a step.
_FILE = re.compile(r"# (\w+\.py)\n")


class Page(NamedTuple):
    """A page with code.

    Attributes
    ----------
    path : where it is
    needs : packages that its comment ``<!-- needs: torch jax -->`` names, besides gpuio's own
    """

    path: Path
    needs: tuple[str, ...]

    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]

    def run(self, folder: Path) -> str:
        """Run its code in a folder, and return what it prints.

        All blocks of Python run in one process for each stretch between two blocks of commands, as
        cells of a notebook do. A block that begins with a comment such as ``# train.py`` becomes
        that file. In blocks of commands, lines that begin with ``$`` are run.
        """
        printed = ""
        code: list[str] = []
        text = self.path.read_text()

        def run_code() -> str:
            source = "\n".join(code)
            code.clear()
            return _run([sys.executable, "-c", source], folder) if source.strip() else ""

        for block in _BLOCK.finditer(text):
            language, content = block.groups()
            if language == "console":
                printed += run_code()
                for line in content.splitlines():
                    if line.startswith("$ "):
                        printed += _run(["bash", "-c", line[2:]], folder)
            elif file := _FILE.match(content):
                (folder / file[1]).write_text(content)
            else:
                line = text.count("\n", 0, block.start(2))
                code += [""] * (line - sum(each.count("\n") + 1 for each in code))
                code.append(content.rstrip("\n"))
        return printed + run_code()


def pages() -> list[Page]:
    """All pages that have code."""
    found = []
    for path in PAGES:
        text = path.read_text()
        if _BLOCK.search(text):
            needs = _NEEDS.search(text)
            found.append(Page(path, tuple(needs[1].split()) if needs else ()))
    return found


def environment() -> dict[str, str]:
    """The variables of a process that runs such code, with gpuio and its commands."""
    programs = [str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        **os.environ,
        "PYTHONPATH": python_path(),
        "PATH": os.pathsep.join(programs),
    }


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return done.stdout
