"""Resumes iterators in a new process: the other half of `Conformance.resumed`.

Arguments: module:class, folder, device, number of calls of `next`. Standard input holds the states
of each variant as JSON, standard output receives the lines that follow each.
"""

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import gpuio as mx
from tests.io.conformance import trace


def main() -> None:
    """Resume all states, and print what follows each."""
    kind, folder, device, count = sys.argv[1:]
    module, _, name = kind.partition(":")
    tests = getattr(importlib.import_module(module), name)()
    found: dict[str, list[list[str]]] = {}
    for variant, states in json.load(sys.stdin).items():
        options = tests.variants[variant]
        found[variant] = [
            _follow(tests, Path(folder), mx.Context(device), options, state, int(count))
            for state in states
        ]
    json.dump(found, sys.stdout)


def _follow(
    tests: Any, folder: Path, ctx: mx.Context, options: dict[str, Any], state: Any, count: int
) -> list[str]:
    """What follows a state; what goes wrong with one does not keep the others from resuming."""
    try:
        with tests.make(folder, ctx, **options) as iterator:
            iterator.load_state_dict(state)
            return trace(iterator, count)
    except Exception:
        return [traceback.format_exc()]


if __name__ == "__main__":
    main()
