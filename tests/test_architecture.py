"""The structure of the package: layers, cycles, the map of the code, and where tests are found."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gpuio"
MAP = PACKAGE / "README.md"

# Lowest first. What stands in one line may not import each other, unless it is one package.
LAYERS = [
    [
        "errors",
        "version",
        "terminal",
        "in_flight",
        "context_variables",
        "native_structs",
        "threads",
    ],
    ["progress", "memory", "native", "sizes", "ray_package", "threads"],
    ["context"],
    ["storage"],
    ["generators"],
    ["nd"],
    ["decoding"],
    ["recordio"],
    ["sampling"],
    ["planning"],
    ["loading"],
    ["execution"],
    ["iterators"],
    ["io", "image"],
    ["ndarray", "random", "base", "util", "test_utils"],
    ["contrib", "rnn", "gluon", "tensor_loader", "torch_records", "jax_work", "ray_records"],
    ["torch", "jax", "ray"],
    ["tools"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Modules whose tests have another name: nothing to test, or tested with the package.
WITHOUT_TESTS = {"version", "__main__"}


def modules() -> dict[str, Path]:
    """All modules of the package by their dotted name, without ``__init__``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts)] = path
    return found


MODULES = modules()
PLAIN = [name for name in MODULES if not name.endswith("__init__")]


def imported(name: str) -> set[str]:
    """The modules that a module imports, wherever in its text, also for type checking only.

    ``from gpuio.x import y`` counts as gpuio.x.y where that is a module, else as gpuio.x.
    """
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    own = set()
    for each in found:
        if each.startswith("gpuio."):
            target = each.removeprefix("gpuio.")
            while target and target not in MODULES and f"{target}.__init__" not in MODULES:
                target = target.rpartition(".")[0]
            if target:
                own.add(target if target in MODULES else f"{target}.__init__")
    return own


@cache
def graph() -> dict[str, set[str]]:
    """The modules that each module imports."""
    return {name: imported(name) - {name} for name in MODULES}


def test_modules_import_from_lower_layers_only() -> None:
    wrong = []
    for name in MODULES:
        package = name.split(".")[0]
        if package == "__init__":
            continue  # gives names only
        for target in graph()[name]:
            below = target.split(".")[0]
            if below != package and RANK[below] >= RANK[package]:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_imports_form_no_cycle() -> None:
    """Neither within packages nor across, and counting imports inside functions."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> None:
        if name in path:
            pytest.fail("cycle: " + " -> ".join([*path[path.index(name) :], name]))
        if name in done:
            return
        path.append(name)
        for target in sorted(graph()[name]):
            visit(target)
        path.pop()
        done.add(name)

    for name in MODULES:
        if name != "__init__":
            visit(name)


def test_only_the_executor_imports_dali() -> None:
    users = {
        name
        for name in PLAIN
        if re.search(r"^\s*(from|import) nvidia\.dali", MODULES[name].read_text("utf-8"), re.M)
    }
    core = {name for name in users if not name.startswith("tools.")}
    assert core == {"execution.dali_graph"}


def test_the_map_has_each_module_once() -> None:
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", MAP.read_text(encoding="utf-8"), re.M)
    paths = sorted(str(MODULES[name].relative_to(PACKAGE)) for name in PLAIN)
    assert sorted(listed) == paths


def test_the_map_names_what_there_is() -> None:
    """Each class and function that the data flow names is defined somewhere."""
    text = MAP.read_text(encoding="utf-8")
    flow = text[text.index("## From file") : text.index("## Modules")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in MODULES.values())
    for name in re.findall(r"`([A-Za-z_]+)(?:\.\w+)?[(`]", flow):
        assert re.search(rf"(class|def) {name}\b", source), name


@pytest.mark.parametrize("name", PLAIN)
def test_the_test_of_a_module_is_found_by_its_name(name: str) -> None:
    if name in WITHOUT_TESTS:
        return
    *packages, module = name.split(".")
    path = ROOT.joinpath("tests", *packages, f"test_{module}.py")
    assert path.is_file(), f"there is no {path.relative_to(ROOT)}"
    assert re.search(r"^\s*(async )?def test_", path.read_text(encoding="utf-8"), re.M)


def test_tests_neither_sleep_nor_evaluate_nor_look_at_private_names() -> None:
    """They wait for events, parse literals, and use what users can use."""
    # Public, despite the underscore.
    allowed = {"_exit", "_current_frames", "_fields", "_replace", "_asdict"}
    wrong = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        # The simulated device's modules use each other's parts, as those of a package do; what goes
        # below the installed CuPy replaces parts of it.
        if {"golden", "benchmarks", "site", "installed"} & set(path.relative_to(ROOT).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in ("eval", "exec"):
                    wrong.append(f"{path}:{node.lineno} {node.func.id}")
            elif isinstance(node, ast.Attribute):
                name = node.attr
                private = name.startswith("_") and not name.startswith("__") and name not in allowed
                if private and ast.unparse(node.value) in ("self", "cls", "super()"):
                    continue
                if name == "sleep" or private:
                    wrong.append(f"{path}:{node.lineno} {name}")
    assert wrong == []
