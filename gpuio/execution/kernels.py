"""Finding, compiling and caching the CUDA kernels.

CuPy's cache of compiled kernels does not notice changes of headers, so these are inserted into the
source where it includes them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from gpuio.context import GPU_INSTALL_HINT, require_cupy
from gpuio.errors import ContextError, Error

# In a wheel the kernels are inside the package, in a checkout next to it.
KERNEL_DIRS = tuple(Path(__file__).resolve().parents[up] / "kernels" for up in (1, 2))

# Options of the compiler; CuPy adds the architecture.
FLAGS = ("-std=c++17",)

INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)


def find(family: str) -> Path:
    """Find the file of a kernel family.

    Raises
    ------
    Error : it is neither in the installed package nor in a checkout.
    """
    for place in KERNEL_DIRS:
        path = place / f"{family}.cu"
        if path.is_file():
            return path
    raise Error(
        f"{family}.cu is neither in {KERNEL_DIRS[0]} nor in {KERNEL_DIRS[1]}; this installation "
        "of gpuio is incomplete: install it again"
    )


def read_source(path: Path) -> str:
    """The source of a kernel family, in which its headers take the place of their ``#include``."""
    source = path.read_text(encoding="utf-8")
    return INCLUDE.sub(lambda found: read_source(path.parent / found[1]), source)


def numbered(source: str) -> str:
    """The source with line numbers, to which a compiler's log refers."""
    lines = source.splitlines()
    width = len(str(len(lines)))
    return "\n".join(f"{number:{width}} | {line}" for number, line in enumerate(lines, 1))


@cache
def load(family: str, name: str, device_id: int) -> Any:
    """Compile a kernel for a GPU and load it there; once per process, and cached on disk by CuPy.

    Parameters
    ----------
    family : the file in ``kernels/``, without its suffix
    name : the kernel's name in it
    device_id : the GPU

    Returns
    -------
    cupy.RawKernel, launched on the current device and stream as ``kernel(grid, block, arguments)``

    Raises
    ------
    Error : the source is missing or does not compile; the message holds the compiler's log and the
        source.
    ContextError : CuPy or NVRTC is missing.
    """
    cupy = require_cupy()
    path = find(family)
    source = read_source(path)
    with cupy.cuda.Device(device_id):
        try:
            return cupy.RawModule(code=source, options=FLAGS).get_function(name)
        except cupy.cuda.compiler.CompileException as error:
            raise Error(
                f"{path} does not compile for gpu({device_id}) with {' '.join(FLAGS)}:\n{error}\n"
                f"{numbered(source)}"
            ) from error
        except (ImportError, RuntimeError) as error:
            raise ContextError(
                f"{path.name} cannot be compiled or loaded for gpu({device_id}): {error}; "
                f"if NVRTC is missing, {GPU_INSTALL_HINT}"
            ) from error
