"""Prints what CuPy, or its substitute, has: names, and the parameters of what can be called.

Run by the tests in a process of its own, for one or the other. CuPy imports without a driver. What
Cython compiled shows its parameters in the first line of its docstring, if at all.
"""

import importlib
import inspect
import json
import re
import types

MODULES = (
    "cupy",
    "cupy.cuda",
    "cupy.cuda.compiler",
    "cupy.cuda.device",
    "cupy.cuda.memory",
    "cupy.cuda.pinned_memory",
    "cupy.cuda.runtime",
    "cupy.cuda.stream",
    "cupyx",
    "cupyx.scipy.sparse",
)
SPECIAL = ("__array_function__", "__array_ufunc__", "__dlpack__", "__dlpack_device__")


def parameters(thing):
    """[[name, kind, default], ...]; None where they are not shown."""
    try:
        found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return from_docstring(thing)
    return [
        [each.name, each.kind.name, "" if each.default is each.empty else repr(each.default)]
        for each in found
        if each.name not in ("self", "cls")
    ]


def from_docstring(thing):
    first = (inspect.getdoc(thing) or "").split("\n")[0]
    match = re.match(r"^[\w.]+\((.*)\)( ->.*)?$", first)
    if match is None or "..." in first or "/" in first:  # a ufunc's has its own form
        return None
    kind, found = "POSITIONAL_OR_KEYWORD", []
    for part in filter(None, map(str.strip, match[1].split(","))):
        if part in ("*", "\\*"):
            kind = "KEYWORD_ONLY"
            continue
        name, _, default = part.partition("=")
        name = name.split()[-1]  # without the type
        if name.startswith("*"):
            keyword, kind = name.startswith("**"), "KEYWORD_ONLY"
            found.append([name.strip("*"), "VAR_KEYWORD" if keyword else "VAR_POSITIONAL", ""])
            continue
        if name == "_ndarray_base" or "[" in name:
            return None
        if name not in ("self", "cls"):
            found.append([name, kind, default])
    return found


def describe(thing):
    if isinstance(thing, type):
        members = {
            name: parameters(getattr(thing, name)) if callable(getattr(thing, name)) else None
            for name in dir(thing)
            if not name.startswith("_") or name in SPECIAL
        }
        return {"parameters": parameters(thing), "members": members}
    return {"parameters": parameters(thing) if callable(thing) else None}


def public(module):
    """The names of a module, without what it only imports."""
    for name in dir(module):
        thing = getattr(module, name)
        home = getattr(thing, "__module__", None) or ""
        imported = home.startswith(("cupy.cuda.", "simulation")) and home != module.__name__
        imported = imported and module.__name__ != "cupy.cuda"
        if not name.startswith("_") and not isinstance(thing, types.ModuleType) and not imported:
            yield name, thing


if __name__ == "__main__":
    described = {
        name: {key: describe(thing) for key, thing in public(importlib.import_module(name))}
        for name in MODULES
    }
    print(json.dumps(described))
