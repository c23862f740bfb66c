"""``import mxnet`` gives gpuio, in this process.

`install` adds a finder to ``sys.meta_path``: ``mxnet`` is gpuio, and ``mxnet.x.y`` is
``gpuio.x.y``. A name that gpuio does not have is an ImportError, as for a script whose import was
edited.
"""

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Alias(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "mxnet":
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        # The import system returns what a module has put in its place.
        name = module.__name__
        sys.modules[name] = importlib.import_module("gpuio" + name.removeprefix("mxnet"))


def install() -> None:
    """Make ``mxnet`` another name of gpuio."""
    if "mxnet" in sys.modules:
        raise RuntimeError("mxnet is imported already")
    sys.meta_path.insert(0, _Alias())
