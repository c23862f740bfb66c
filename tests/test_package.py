"""The wheel contains the kernels and works outside the checkout; the README names the extras."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_wheel_contains_the_package_and_the_kernels(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for path in (ROOT / "gpuio").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.relative_to(ROOT).as_posix() in names
    sources = list((ROOT / "kernels").iterdir())
    assert {source.suffix for source in sources} == {".cu", ".h"}
    for source in sources:
        assert f"gpuio/kernels/{source.name}" in names
    assert "gpuio/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "kernels/"))]


def test_installed_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        site,
        wheel,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    code = f"""
import sys
sys.path.insert(0, {str(site)!r})
import gpuio as mx
from gpuio.execution import kernels
assert mx.__file__.startswith({str(site)!r}), mx.__file__
source = kernels.find("assemble")
assert str(source).startswith({str(site)!r}), source
assert "#include" not in kernels.read_source(source)
with mx.recordio.MXRecordIO("x.rec", "w") as writer:
    writer.write(b"record")
print(mx.recordio.MXRecordIO("x.rec", "r").read())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=100
    )
    assert done.stdout == "b'record'\n", done.stderr


def test_the_readme_names_every_extra() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    extras = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    install = (ROOT / "README.md").read_text("utf-8").split("## Install")[1].split("## ")[0]
    named = {name for group in re.findall(r"\.\[([\w,]+)\]", install) for name in group.split(",")}
    assert named == {*re.findall(r"^(\w+) = ", extras, re.M)} - {"test", "dev"}
