"""Targets by name: the module of this package that has it, a dot, and what is done there."""

import importlib
import pkgutil

from tests.fuzz.target import Target


def find_target(name: str) -> Target:
    """The target of a name; only its module is imported."""
    module = importlib.import_module(f"{__name__}.{name.partition('.')[0]}")
    (found,) = (target for target in module.TARGETS if target.name == name)
    target: Target = found
    return target


def all_targets() -> dict[str, Target]:
    """All targets by their names, those that fail on purpose included."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    ]
    return {target.name: target for module in modules for target in module.TARGETS}
