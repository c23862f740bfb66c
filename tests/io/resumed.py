"""Resumes iterators in another process: the other half of `Conformance.resumed`.

Each line of standard input is a request as JSON: kind (module:class), folder, device, count (calls
of `next`), and states, by variant. Each is answered by a line of JSON: what follows the states.
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
    """Answer all requests."""
    for line in sys.stdin:
        request = json.loads(line)
        module, _, name = request["kind"].partition(":")
        tests = getattr(importlib.import_module(module), name)()
        folder, ctx = Path(request["folder"]), mx.Context(request["device"])
        found: dict[str, list[list[str]]] = {}
        for variant, states in request["states"].items():
            options = tests.variants[variant]
            found[variant] = [
                _follow(tests, folder, ctx, options, state, request["count"]) for state in states
            ]
        print(json.dumps(found), flush=True)


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
