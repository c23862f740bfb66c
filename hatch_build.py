"""The build hook that compiles the native library of ``kernels/native`` into wheels.

The library is optional. It needs a C compiler (``CC``, else cc, gcc or clang) and the headers of
libjpeg-turbo 2.1 or later (by pkg-config, ``CPPFLAGS`` or the compiler's own folders), which is
linked statically where it can be. Where libdeflate is found in the same way, it decodes PNGs, too.
Without the others gpuio is installed without it, and the reason is kept in a file that
``gpuio doctor`` shows. ``GPUIO_BUILD_NATIVE=0`` leaves it out, ``GPUIO_BUILD_NATIVE=1`` makes its
absence an error.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

LIBRARY = "libgpuio_native.so"
REASON = "native_missing.txt"  # what gpuio/native.py shows

# Of libjpeg-turbo, as LIBJPEG_TURBO_VERSION_NUMBER has it.
LEAST_JPEG = 2_001_000

# The oldest glibc that indexes have a tag for.
LEAST_GLIBC = (2, 17)

HEADERS = (
    "install libjpeg-dev (apt), libjpeg-turbo-devel (dnf) or libjpeg-turbo (conda), then gpuio "
    "again"
)

COMPILE = ("-std=c11", "-fPIC", "-fvisibility=hidden")
# After the user's flags: other arithmetic would give other pixels. Nobody asks which operations
# raised floating-point exceptions; where that counts, choices are not vectorized.
EXACT = ("-fno-fast-math", "-ffp-contract=off", "-fno-trapping-math")
# Other copies of libjpeg in the process neither use this one's symbols nor replace them.
LINK = ("-shared", "-Wl,--exclude-libs,ALL", "-Wl,-Bsymbolic", "-Wl,-z,defs")
STATIC = ("-Wl,-Bstatic", "-Wl,-Bdynamic")  # around the libraries
LIBRARIES, PNG_LIBRARIES, MATH_LIBRARY = ("-ljpeg",), ("-ldeflate",), ("-lm",)

PNG_MACRO = ("-DGPUIO_PNG",)
# Of pkg-config; one of them is enough.
JPEG_PACKAGES, PNG_PACKAGES = ("libjpeg", "libturbojpeg"), ("libdeflate",)

# Loads the library given, and prints what it was built from.
LOAD = """
import ctypes, sys
build = ctypes.CDLL(sys.argv[1]).gpuio_native_build
build.restype = ctypes.c_char_p
print(build().decode())
"""


class MissingError(Exception):
    """Why the library cannot be built, and what to install."""


class NativeLibrary(BuildHookInterface[Any]):
    """Adds the library to wheels; puts it into the checkout for editable installations."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library, before anything is packed; see hatchling."""
        if self.target_name != "wheel":
            return
        wanted = os.environ.get("GPUIO_BUILD_NATIVE", "")
        if wanted not in ("", "0", "1"):
            raise ValueError(f"GPUIO_BUILD_NATIVE is {wanted!r}, expected 0, 1 or nothing")
        self._folder = tempfile.TemporaryDirectory()  # removed with this hook if something fails
        library, reason = (Path(self._folder.name, name) for name in (LIBRARY, REASON))
        try:
            if wanted == "0":
                raise MissingError("left out by GPUIO_BUILD_NATIVE=0")
            static = build_library(Path(self.root, "kernels", "native"), library)
        except MissingError as error:
            if wanted == "1":
                raise RuntimeError(f"GPUIO_BUILD_NATIVE=1, but {error}") from None
            self.app.display_warning(
                f"gpuio is built without its native module, which loads JPEGs and PNGs on the CPU "
                f"up to twice as fast: {error}"
            )
            reason.write_text(f"{error}\n", encoding="utf-8")
        else:
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform_tag(library, static)}"
        if version == "editable":
            for made in (library, reason):
                _replace(made, Path(self.root, "gpuio", made.name))
        else:
            for made in filter(Path.exists, (library, reason)):
                build_data["force_include"][str(made)] = f"gpuio/{made.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what is packed by now; see hatchling."""
        if self.target_name == "wheel":
            self._folder.cleanup()


def _replace(made: Path, target: Path) -> None:
    """Put a new file, or none, in place of an old one, which processes may have open."""
    if made.exists():
        new = target.with_suffix(".new")
        shutil.copy(made, new)
        os.replace(new, target)
    else:
        target.unlink(missing_ok=True)


def build_library(sources: Path, library: Path) -> bool:
    """Build the library, with PNGs if libdeflate is found; whether the libraries that it needs are
    part of it, linked statically.

    Raises
    ------
    MissingError : that is not possible here.
    """
    if not sys.platform.startswith("linux"):
        raise MissingError(f"it is made for Linux, and this is {sys.platform}")
    compiler = find_compiler()
    packages = JPEG_PACKAGES, PNG_PACKAGES
    preprocess = (*_pkg_config("--cflags-only-I", *packages), *_flags("CPPFLAGS"))
    check_headers(compiler, preprocess)
    folders = (*_pkg_config("--libs-only-L", *packages), *_flags("LDFLAGS"))
    macro = f'-DGPUIO_BUILD="{source_hash(sources)}"'
    common = (*_flags("CFLAGS"), *EXACT)
    compiled = [*compiler, "-O3", *COMPILE, *preprocess, *common, macro]
    failure = None
    for png in (True, False) if has_png(compiler, preprocess) else (False,):
        objects = _compile([*compiled, *PNG_MACRO] if png else compiled, sources, library.parent)
        link = [*compiler, *LINK, *common, *objects, "-o", str(library), *folders]
        libraries = LIBRARIES + PNG_LIBRARIES if png else LIBRARIES
        for static in (True, False):
            around = STATIC if static else ()
            try:
                _run([*link, *around[:1], *libraries, *around[1:], *MATH_LIBRARY], library.parent)
                _run([sys.executable, "-c", LOAD, str(library)], library.parent)
                return static
            except MissingError as error:
                failure = error
    assert failure is not None
    raise failure


def _compile(command: list[str], sources: Path, folder: Path) -> list[str]:
    """Compile the sources; the names of the objects in the folder."""
    files = [path.resolve() for path in sorted(sources.glob("*.c"))]
    _run([*command, "-c", *map(str, files)], folder)
    return [f"{file.stem}.o" for file in files]


def source_hash(sources: Path) -> str:
    """SHA-256 over the names and contents of the sources, which tells stale libraries apart."""
    digest = hashlib.sha256()
    for path in sorted(sources.glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def find_compiler() -> list[str]:
    """The C compiler: a command and its arguments."""
    if given := _flags("CC"):
        if not shutil.which(given[0]):
            raise MissingError(f"the C compiler CC={' '.join(given)} is not found")
        return given
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise MissingError("no C compiler is found; install gcc or clang, then gpuio again")


def check_headers(compiler: list[str], flags: tuple[str, ...]) -> None:
    """Raise MissingError unless the compiler finds the headers of a recent libjpeg-turbo."""
    source = "#include <stdio.h>\n#include <jpeglib.h>\nversion: LIBJPEG_TURBO_VERSION_NUMBER\n"
    try:
        found = _run([*compiler, *flags, "-E", "-P", "-xc", "-"], None, source)
    except MissingError as error:
        if "jpeglib.h" in str(error):
            raise MissingError(f"the headers of libjpeg-turbo are not found; {HEADERS}") from None
        raise
    version = re.search(r"^version:\s*(\w+)", found, re.M)
    if version is None or not version[1].isdigit():
        raise MissingError(f"jpeglib.h is not that of libjpeg-turbo; {HEADERS}")
    if int(version[1]) < LEAST_JPEG:
        raise MissingError("libjpeg-turbo's headers are older than version 2.1")


def has_png(compiler: list[str], flags: tuple[str, ...]) -> bool:
    """Whether the compiler finds libdeflate's header."""
    try:
        _run([*compiler, *flags, "-E", "-P", "-xc", "-"], None, "#include <libdeflate.h>\n")
    except MissingError:
        return False
    return True


def platform_tag(library: Path, static: bool) -> str:
    """The platforms that the library works on.

    It is manylinux's with the oldest glibc whose symbols suffice, if nothing else is needed:
    indexes take no others, and installers refuse it where it would not load. Else, linux's.
    """
    tag = next(tag for tag in platform_tags() if tag.startswith("linux_"))
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", library.read_bytes())
    if not static or not versions:
        return tag
    major, minor = max(LEAST_GLIBC, *((int(major), int(minor)) for major, minor in versions))
    return tag.replace("linux", f"manylinux_{major}_{minor}", 1)


def _flags(variable: str) -> list[str]:
    return shlex.split(os.environ.get(variable, ""))


def _pkg_config(option: str, *choices: tuple[str, ...]) -> list[str]:
    """Flags from pkg-config, for the first package that it knows of each group."""
    command = os.environ.get("PKG_CONFIG", "pkg-config")
    flags = []
    for packages in choices:
        for package in packages:
            try:
                flags += shlex.split(_run([command, option, package], None))
                break
            except MissingError:
                continue
    return flags


def _run(command: list[str], folder: Path | None, text: str = "") -> str:
    """What a command prints. Raises MissingError, with the command's first error, if it fails."""
    try:
        done = subprocess.run(
            command, check=False, cwd=folder, input=text, capture_output=True, text=True,
            errors="replace", env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError as error:
        raise MissingError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.splitlines()
        said = next((line for line in lines if "error" in line), lines[-1] if lines else "no error")
        raise MissingError(f"{command[0]} failed with status {done.returncode}: {said}")
    return done.stdout
