"""Compiling programs with the native module's sources, for sanitizers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gpuio.native import SOURCES

SANITIZERS = "-fsanitize=address,undefined,float-cast-overflow"
CHECKS = (SANITIZERS, "-fno-sanitize-recover=all", "-O1", "-g", "-std=c11")


def compile_program(main: Path, folder: Path) -> Path:
    """Compile a program; skips the test where there is no compiler or library for that."""
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None:
        pytest.skip("there is no C compiler")
    made = folder / main.stem
    sources = [main, *sorted(SOURCES.glob("*.c"))]
    libraries = "-ljpeg", "-ldeflate", "-lm"
    command = [compiler, *CHECKS, "-DGPUIO_PNG", "-o", made, *sources, *libraries]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if re.search(r"(jpeglib|libdeflate)\.h|-l(jpeg|deflate)", result.stderr):
        pytest.skip("there is no libjpeg-turbo or no libdeflate to compile with")
    assert not result.returncode, result.stderr
    return made
