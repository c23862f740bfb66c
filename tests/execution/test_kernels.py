"""Finding and compiling kernels, as far as no GPU is needed."""

import sys

import pytest

from gpuio.context import require_cupy
from gpuio.errors import ContextError, Error
from gpuio.execution import kernels
from tests.kernels.on_host import FakeCupy


@pytest.fixture
def broken_cupy(monkeypatch):
    """A CuPy whose compiler fails; each test defines the error."""
    cupy = FakeCupy(None)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    kernels.load.cache_clear()
    yield cupy
    kernels.load.cache_clear()


def test_finds_the_source():
    assert kernels.find("assemble").name == "assemble.cu"


def test_prefers_the_installed_package(tmp_path, monkeypatch):
    places = tmp_path / "package", tmp_path / "checkout"
    for place in places:
        place.mkdir()
        (place / "assemble.cu").touch()
    monkeypatch.setattr(kernels, "KERNEL_DIRS", places)
    assert kernels.find("assemble") == places[0] / "assemble.cu"


def test_the_error_names_the_searched_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "KERNEL_DIRS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(Error, match=r"assemble.cu is neither in .*a nor in .*b.* install it again"):
        kernels.find("assemble")


def test_a_compile_error_shows_log_and_source(broken_cupy):
    def fail(code, options):
        raise broken_cupy.CompileException("assemble.cu(3): error: expected a ;")

    broken_cupy.RawModule = fail
    with pytest.raises(Error, match="expected a ;") as caught:
        kernels.load("assemble", "assemble_float32_nchw", 0)
    first = kernels.find("assemble").read_text().splitlines()[0]
    assert f"  1 | {first}" in str(caught.value)
    assert isinstance(caught.value.__cause__, broken_cupy.CompileException)


def test_a_missing_compiler_says_what_to_install(broken_cupy):
    def fail(code, options):
        raise RuntimeError("CuPy failed to load libnvrtc.so.13")

    broken_cupy.RawModule = fail
    with pytest.raises(ContextError, match=r"libnvrtc.*pip install 'gpuio\[cuda12\]'"):
        kernels.load("assemble", "assemble_float32_nchw", 0)


def test_a_missing_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(
        ContextError, match=r"CuPy cannot be imported.*pip install 'gpuio\[cuda12\]'"
    ):
        require_cupy()


def test_lines_are_numbered():
    assert kernels.numbered("\n".join("abcdefghij")).splitlines()[::9] == [" 1 | a", "10 | j"]
