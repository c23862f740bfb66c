"""Wheels: their contents, with and without the native module; extras on the installation page."""

import importlib.util
import os
import platform
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from gpuio import native
from gpuio.execution.output import OutputSpec
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from tests.decoding.pngs import png
from tests.execution.native import check
from tests.io.records import jpeg, write_records

ROOT = Path(__file__).parents[1]

# Of the native module, the library and the reason why there is none; in a checkout, they are those
# of the last installation.
LIBRARY, MISSING = "libgpuio_native.so", "native_missing.txt"

# Variables that would change what is built or found.
BUILDERS = ("PYTHONPATH", "GPUIO_BUILD_NATIVE", "GPUIO_NATIVE")

BUILD = """
import sys
from hatchling.build import build_sdist, build_wheel
print({"sdist": build_sdist, "wheel": build_wheel}[sys.argv[1]](sys.argv[2]))
"""


def run(
    *command: str | Path, cwd: Path, change: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with a changed environment."""
    kept = {name: os.environ[name] for name in os.environ if name not in BUILDERS}
    environment = {**kept, **(change or {})}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def build(
    kind: str, folder: Path, root: Path = ROOT, change: Mapping[str, str] | None = None
) -> Path:
    """Build a distribution of a checkout, as pip and build do."""
    done = run(sys.executable, "-c", BUILD, kind, folder, cwd=root, change=change)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / done.stdout.splitlines()[-1]


def install(wheel: Path, site: Path) -> Path:
    """Unpack a wheel, as pip would: the folder of the package."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site / "gpuio"


def state(site: Path) -> str:
    """What an installed gpuio says of the native module, after it has loaded a JPEG."""
    write_records(site / "x", [jpeg(0, 40, 30)])
    code = f"""
import sys
sys.path.insert(0, {str(site)!r})
import gpuio
assert gpuio.__file__.startswith({str(site)!r}), gpuio.__file__
options = dict(path_imgrec="x.rec", data_shape=(3, 24, 24), batch_size=1)
with gpuio.io.ImageRecordIter(**options) as iterator:
    assert iterator.next().data[0].asnumpy().std() > 1
print(*gpuio.native.state())
"""
    done = run(sys.executable, "-c", code, cwd=site)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """The build hook."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that this machine makes."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def pure_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a machine whose compiler does not work."""
    return build("wheel", tmp_path_factory.mktemp("pure"), change={"CC": "false"})


@pytest.fixture(scope="module")
def native_wheel(wheel: Path) -> Path:
    """The wheel, if it has the native module; where GPUIO_NATIVE is 1, it must."""
    if LIBRARY not in {Path(name).name for name in zipfile.ZipFile(wheel).namelist()}:
        assert os.environ.get("GPUIO_NATIVE") != "1"
        pytest.skip("there is no C compiler, or no libjpeg-turbo, to build the native module")
    return wheel


def test_wheel_contains_the_package_and_the_kernels(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for path in (ROOT / "gpuio").rglob("*"):
        if path.is_file() and path.parent.name != "__pycache__":
            assert path.relative_to(ROOT).as_posix() in names or path.name in (LIBRARY, MISSING)
    sources = [path for path in (ROOT / "kernels").rglob("*") if path.is_file()]
    assert {source.suffix for source in sources} == {".cu", ".c", ".h"}
    for source in sources:
        assert f"gpuio/{source.relative_to(ROOT)}" in names
    assert "gpuio/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "kernels/", "hatch"))]
    assert (f"gpuio/{LIBRARY}" in names) + (f"gpuio/{MISSING}" in names) == 1


def test_installed_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    done = run(*pip, "--target", site, wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
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
    done = run(sys.executable, "-c", code, cwd=tmp_path)
    assert done.stdout == "b'record'\n", done.stderr


def test_the_native_wheel_is_one_for_every_python_of_a_platform(
    native_wheel: Path, tmp_path: Path
) -> None:
    machine = platform.machine()
    assert re.search(rf"-py3-none-(manylinux_2_\d+|linux)_{machine}\.whl$", native_wheel.name)
    package = install(native_wheel, tmp_path)
    said = r"True libjpeg-turbo [\d.]+, (libdeflate [\d.]+|without .+)"
    assert re.fullmatch(said, state(tmp_path))
    if "manylinux" in native_wheel.name:  # then nothing but the C library is needed
        library = (package / LIBRARY).read_bytes()
        assert not re.search(rb"lib(jpeg|deflate)\w*\.so", library)


def test_the_library_s_libjpeg_is_its_own(native_wheel: Path, tmp_path: Path) -> None:
    """Other copies in the process, OpenCV's or Pillow's, neither use it nor replace it."""
    if "manylinux" not in native_wheel.name:
        pytest.skip("libjpeg-turbo is not linked statically here")
    library = install(native_wheel, tmp_path) / LIBRARY
    done = run("nm", "-D", library, cwd=tmp_path)
    names = {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}
    assert {"gpuio_native_abi", "gpuio_native_render"} <= names
    assert not [name for name in names if name.startswith(("j", "_j", "libdeflate"))]
    defined = run("nm", "-D", "--defined-only", library, cwd=tmp_path).stdout.splitlines()
    assert [line for line in defined if not line.split()[-1].startswith("gpuio_native_")] == []


def test_a_compiler_that_fails_makes_a_pure_wheel(pure_wheel: Path, tmp_path: Path) -> None:
    assert pure_wheel.name.endswith("-py3-none-any.whl")
    install(pure_wheel, tmp_path)
    reason = "gpuio was installed without it: false failed with status 1: no error"
    assert state(tmp_path) == f"False {reason}"


def test_no_compiler_makes_a_pure_wheel(tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    change = {"PATH": str(empty), "CC": ""}
    done = run(sys.executable, "-c", BUILD, "wheel", tmp_path, cwd=ROOT, change=change)
    assert done.returncode == 0, done.stderr
    assert "no C compiler is found; install gcc or clang, then gpuio again" in " ".join(
        (done.stdout + done.stderr).split()
    )
    assert done.stdout.splitlines()[-1].endswith("-py3-none-any.whl")


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"GPUIO_BUILD_NATIVE": "0"}, 0, "left out by GPUIO_BUILD_NATIVE=0"),
        (
            {"GPUIO_BUILD_NATIVE": "1", "CC": "/nowhere/cc"},
            1,
            "GPUIO_BUILD_NATIVE=1, but the C compiler CC=/nowhere/cc is not found",
        ),
        ({"GPUIO_BUILD_NATIVE": "yes"}, 1, "GPUIO_BUILD_NATIVE is 'yes', expected 0, 1 or nothing"),
    ],
)
def test_who_builds_it_decides(
    change: dict[str, str], status: int, message: str, tmp_path: Path
) -> None:
    done = run(sys.executable, "-c", BUILD, "wheel", tmp_path, cwd=ROOT, change=change)
    assert done.returncode == status
    assert message in " ".join((done.stdout + done.stderr).split())
    assert [path.name.endswith("-py3-none-any.whl") for path in tmp_path.iterdir()] == [True] * (
        not status
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("#define LIBJPEG_TURBO_VERSION_NUMBER 2000090", "older than version 2.1"),
        ("#define JPEG_LIB_VERSION 90", "jpeglib.h is not that of libjpeg-turbo"),
        (None, "headers of libjpeg-turbo are not found; install libjpeg-dev"),
    ],
)
def test_headers_that_do_not_serve(
    hook: ModuleType, header: str | None, message: str, tmp_path: Path
) -> None:
    try:
        compiler = hook.find_compiler()
    except hook.MissingError:
        pytest.skip("there is no C compiler")
    flags = ["-nostdinc", f"-I{tmp_path}"]
    (tmp_path / "stdio.h").touch()
    if header is not None:
        (tmp_path / "jpeglib.h").write_text(header)
    with pytest.raises(hook.MissingError, match=re.escape(message)):
        hook.check_headers(compiler, tuple(flags))


def test_without_libdeflate_there_are_only_jpegs(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libdeflate.h").write_text("#error not this one")
    monkeypatch.setenv("CPPFLAGS", f"-I{tmp_path}")
    monkeypatch.setenv("PKG_CONFIG", "false")
    try:
        hook.build_library(ROOT / "kernels" / "native", tmp_path / LIBRARY)
    except hook.MissingError as error:
        pytest.skip(f"the native module cannot be built: {error}")
    monkeypatch.delenv("GPUIO_NATIVE", raising=False)
    monkeypatch.setattr(native, "LIBRARY", tmp_path / LIBRARY)
    module = native.library()
    assert module is not None and module.png == ""
    payloads = [png(0, 30, 30), jpeg(0)]
    output = OutputSpec(3, 20, 20, "uint8", "NHWC")  # type: ignore[arg-type]
    assert check(payloads, CropPlanner(CropOptions(20, 20), 0, 1), output) == [1]


@pytest.mark.parametrize(
    ("content", "static", "tag"),
    [
        (b"\0GLIBC_2.4\0GLIBC_2.14\0", True, "manylinux_2_17_"),
        (b"\0GLIBC_2.4\0GLIBC_2.38\0GLIBC_2.9\0", True, "manylinux_2_38_"),
        (b"\0GLIBC_2.38\0", False, "linux_"),  # needs the system's libjpeg-turbo
        (b"", True, "linux_"),  # of another C library
    ],
)
def test_the_platform_says_how_old_a_system_may_be(
    hook: ModuleType, content: bytes, static: bool, tag: str, tmp_path: Path
) -> None:
    (tmp_path / LIBRARY).write_bytes(content)
    assert hook.platform_tag(tmp_path / LIBRARY, static) == tag + platform.machine()


def test_an_sdist_has_all_that_a_wheel_is_made_of(pure_wheel: Path, tmp_path: Path) -> None:
    sdist = build("sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = tmp_path.glob("gpuio-*/")
    again = build("wheel", tmp_path, root, {"CC": "false"})
    assert again.name == pure_wheel.name
    assert again.read_bytes() == pure_wheel.read_bytes()


def test_the_installation_page_names_every_extra() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    extras = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    named = {*re.findall(r"'\.\[(\w+)\]'", page), *re.findall(r"^\| `(\w+)` \|", page, re.M)}
    for_developers = {"test", "scale", "docs", "dev"}
    assert named == {*re.findall(r"^(\w+) = ", extras, re.M)} - for_developers
