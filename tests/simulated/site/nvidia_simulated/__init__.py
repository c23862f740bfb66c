"""DALI and nvImageCodec on simulated devices: their CPU back ends, behind device memory.

The installed libraries are used, and their own Python code checks arguments and placements. Where
they are imported, a few classes of their back ends are replaced:

- `dali`: pipelines of mixed and GPU operators run their CPU versions
- `nvimgcodec`: decoders for GPUs decode on the CPU
- `buffers`: what both return: memory that their own streams fill and take back
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

# Modules that are changed when they are imported, by a function of the same-named module here.
MODULES = {"nvidia.dali.backend": "dali", "nvidia.nvimgcodec": "nvimgcodec"}


class _Loader(importlib.abc.Loader):
    """Loads a module, then replaces parts of it."""

    def __init__(self, loader: importlib.abc.Loader, part: str) -> None:
        self._loader, self._part = loader, part

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        importlib.import_module(f"{__name__}.{self._part}").replace(module)

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of `MODULES` as the other finders do."""

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
        if fullname not in MODULES:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader, MODULES[fullname])
                return spec
        return None


def install() -> None:
    """Let these libraries use simulated devices when they are imported from now on."""
    imported = sorted(set(MODULES) & set(sys.modules))
    if imported:
        raise RuntimeError(f"{', '.join(imported)} must not be imported before the simulation")
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
