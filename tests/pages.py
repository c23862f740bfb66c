"""Pages of the documentation, whose code is run as a reader would run it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tests.processes import ROOT, python_path
from tests.simulated import SITE

# Those that Sphinx has made, such as copies of notebooks, are not ours.
PAGES = sorted(
    path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.relative_to(ROOT).parts
)
# Its code is the README's, and needs record files: `tests/test_readme.py` runs both.
START = ROOT / "docs" / "index.md"

_BLOCK = re.compile(r"^(?:<!-- needs: ([^\n]*) -->\n)?```(python|console)\n(.*?)^```$", re.M | re.S)
_COMMENT = re.compile(r"^<!-- (needs|device|server): (.*) -->\n(?!```)", re.M)
# The first line of a block that is a file, not a step.
_FILE = re.compile(r"# (\w+\.py)\n")


class Page(NamedTuple):
    """A page with code.

    Attributes
    ----------
    path : where it is
    needs : packages besides gpuio's own, which its comment ``<!-- needs: torch jax -->`` names
    device : "simulated" if it has the comment ``<!-- device: simulated -->``, else None: its code
        runs with the substitutes of ``tests/simulated``, as on a machine with GPUs
    server : "s3" if it has the comment ``<!-- server: s3 -->``, else None: its code finds files in
        ``s3://bucket``
    """

    path: Path
    needs: tuple[str, ...] = ()
    device: str | None = None
    server: str | None = None

    def needs_of_blocks(self) -> set[str]:
        """The packages that single blocks need, as the comments directly above them say."""
        found = _BLOCK.finditer(self.path.read_text())
        return {name for block in found for name in (block[1] or "").split()}

    def run(self, folder: Path, variables: Mapping[str, str] | None = None) -> str:
        """Run its code in a folder, and return what it prints.

        All blocks of Python run in one process for each stretch between two blocks of commands, as
        cells of a notebook do. A block that begins with a comment such as ``# train.py`` becomes
        that file. In blocks of commands, lines that begin with ``$`` are run, and must print what
        follows them, if anything does: with other numbers, and where there is ``...``, with more.
        Blocks whose own needs are not installed are left out.

        Parameters
        ----------
        variables : what to add to the environment
        """
        printed = ""
        code: list[str] = []
        text = self.path.read_text()
        inherited = {**environment(), **(variables or {})}
        if self.device == "simulated":
            inherited["PYTHONPATH"] = os.pathsep.join([str(SITE), inherited["PYTHONPATH"]])

        def run_code() -> str:
            source = "\n".join(code)
            code.clear()
            if not source.strip():
                return ""
            return _run([sys.executable, "-c", source], folder, inherited)

        for block in _BLOCK.finditer(text):
            needs, language, content = block.groups()
            if missing((needs or "").split()):
                continue
            if language == "console":
                printed += run_code()
                for step in re.split(r"^\$ ", content, flags=re.M)[1:]:
                    command, _, expected = step.partition("\n")
                    found = _run(["bash", "-c", command], folder, inherited)
                    assert not expected or _is_like(found, expected), f"{command}\n{found}"
                    printed += found
            elif file := _FILE.match(content):
                (folder / file[1]).write_text(content)
            else:
                line = text.count("\n", 0, block.start(3))
                code += [""] * (line - sum(each.count("\n") + 1 for each in code))
                code.append(content.rstrip("\n"))
        return printed + run_code()


def missing(packages: Iterable[str]) -> list[str]:
    """Those of some packages that are not installed."""
    return [name for name in packages if find_spec(name) is None]


def pages() -> list[Page]:
    """All pages that have code, but for the first one."""
    found = []
    for path in PAGES:
        text = path.read_text()
        if _BLOCK.search(text) and path != START:
            says = dict(_COMMENT.findall(text))
            needs = tuple(says.get("needs", "").split())
            found.append(Page(path, needs, says.get("device"), says.get("server")))
    return found


def environment() -> dict[str, str]:
    """The variables of a process that runs such code, with gpuio and its commands."""
    programs = [str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        **os.environ,
        "PYTHONPATH": python_path(),
        "PATH": os.pathsep.join(programs),
    }


def _is_like(found: str, expected: str) -> bool:
    """Whether a command has printed what a page shows, but for numbers and the width of columns."""
    found, expected = (
        re.sub(r"\d[\d,.]*", "0", re.sub(r"[ \n]+", " ", text)).strip()
        for text in (found, expected)
    )
    pattern = re.escape(expected).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, found) is not None


def _run(command: list[str], folder: Path, variables: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return done.stdout
