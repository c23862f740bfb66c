"""Finding and compiling kernels."""

import sys
from collections.abc import Callable, Iterator

import pytest

from gpuio.context import require_cupy
from gpuio.errors import ContextError, Error
from gpuio.execution import kernels


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Exception], None]]:
    """Called with the exception that CuPy's compiler raises from then on."""
    import cupy

    def set_failure(error: Exception) -> None:
        def fail(code: str, options: tuple[str, ...]) -> None:
            raise error

        monkeypatch.setattr(cupy, "RawModule", fail)

    kernels.load.cache_clear()
    yield set_failure
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


def test_headers_take_the_place_of_their_includes(tmp_path):
    (tmp_path / "kernel.cu").write_text('// A kernel\n#include "outer.h"\nlast\n')
    (tmp_path / "outer.h").write_text('outer\n  #include "inner.h"\n#include "inner.h"\n')
    (tmp_path / "inner.h").write_text("a\\nb // \\1\n")
    assert kernels.read_source(tmp_path / "kernel.cu").split("\n") == [
        *("// A kernel", "outer", '  #include "inner.h"', "a\\nb // \\1", "", "", "last", ""),
    ]


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["assemble", "augment", "finish", "mix"])
def test_a_compile_error_shows_log_and_source(
    compiler: Callable[[Exception], None], family: str
) -> None:
    from cupy.cuda.compiler import CompileException

    failure = CompileException("kernel.cu(3): error: expected a ;", "", "kernel.cu", ())
    compiler(failure)
    with pytest.raises(Error, match="expected a ;") as caught:
        kernels.load(family, "anything", 0)
    first = kernels.find(family).read_text().splitlines()[0]
    assert f"  1 | {first}" in str(caught.value) and "#include" not in str(caught.value)
    assert caught.value.__cause__ is failure


@pytest.mark.gpu
def test_a_missing_compiler_says_what_to_install(compiler: Callable[[Exception], None]) -> None:
    compiler(RuntimeError("CuPy failed to load libnvrtc.so.13"))
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
