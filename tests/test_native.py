"""The native module: whether it is in use, and why not."""

import _ctypes
import re
import shutil
from pathlib import Path

import pytest

from gpuio import native
from gpuio.errors import ArgumentError, Error

needs_library = pytest.mark.skipif(not native.LIBRARY.exists(), reason="it is not built")


def test_it_is_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUIO_NATIVE", "0")
    assert native.library() is None
    assert native.state() == (False, "turned off by GPUIO_NATIVE=0")


@pytest.mark.parametrize("setting", ["2", "no", " "])
def test_other_settings_are_refused(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUIO_NATIVE", setting)
    for function in (native.library, native.state):
        with pytest.raises(ArgumentError, match=f"GPUIO_NATIVE must be 0 or 1, not '{setting}'"):
            function()


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "none.so")
    monkeypatch.delenv("GPUIO_NATIVE", raising=False)
    assert native.library() is None
    assert native.state() == (False, "gpuio was installed without it")
    # The reason that the installation has left beside it.
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "none-either.so")
    (tmp_path / native.MISSING).write_text("no C compiler is found\n")
    assert native.state() == (False, "gpuio was installed without it: no C compiler is found")
    monkeypatch.setenv("GPUIO_NATIVE", "1")
    with pytest.raises(Error, match="GPUIO_NATIVE=1 asks for the native module: gpuio was inst"):
        native.library()


def test_a_file_that_is_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GPUIO_NATIVE", raising=False)
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "text.so")
    native.LIBRARY.write_text("no library")
    in_use, reason = native.state()
    assert not in_use and reason.startswith("it cannot be loaded: ")
    monkeypatch.setenv("GPUIO_NATIVE", "1")
    with pytest.raises(Error, match="cannot be loaded"):
        native.library()


@needs_library
@pytest.mark.parametrize("kept", [0, 10, 100, 5000, -5000, -1])
def test_a_truncated_library(kept: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Loading it would end the process."""
    monkeypatch.delenv("GPUIO_NATIVE", raising=False)
    library = native.LIBRARY.read_bytes()
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "x.so")
    native.LIBRARY.write_bytes(library[:kept])
    in_use, reason = native.state()
    assert not in_use and re.search("too short|cannot read|is truncated: install gpuio", reason)


@needs_library
def test_a_library_of_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GPUIO_NATIVE", raising=False)
    library = bytearray(native.LIBRARY.read_bytes())
    library[18] ^= 0xFF  # the machine in the header
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "x.so")
    native.LIBRARY.write_bytes(library)
    in_use, reason = native.state()
    assert not in_use and reason.startswith("it cannot be loaded: ")


def test_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPUIO_NATIVE", raising=False)
    monkeypatch.setattr(native, "LIBRARY", Path(_ctypes.__file__))
    in_use, reason = native.state()
    assert not in_use and reason.startswith("it cannot be loaded: ")


@needs_library
def test_a_library_of_other_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GPUIO_NATIVE", raising=False)
    sources = tmp_path / "native"
    shutil.copytree(native.SOURCES, sources)
    monkeypatch.setattr(native, "SOURCES", sources)
    assert native.state()[0]
    (sources / "native.h").write_text("// changed")
    # What was found is kept: another name for the same folder.
    monkeypatch.setattr(native, "SOURCES", sources / "." / ".." / "native")
    in_use, reason = native.state()
    assert not in_use and reason.endswith("is of another version: install gpuio again")
    monkeypatch.setattr(native, "SOURCES", tmp_path / "installed")  # without sources beside it
    assert native.state()[0]


@needs_library
def test_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUIO_NATIVE", "1")
    module = native.library()
    assert module is not None and module.build == native.source_hash(native.SOURCES)
    png = f"libdeflate {module.png}" if module.png else "without libdeflate, so without PNGs"
    assert native.state() == (True, f"libjpeg-turbo {module.jpeg}, {png}")
