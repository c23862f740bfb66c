"""Goes on with an iterator in a new process: what `Conformance` runs.

Arguments: module:class, folder, device, variant, state as JSON, number of calls of `next`.
"""

import importlib
import json
import sys
from pathlib import Path

import gpuio as mx
from tests.io.conformance import trace


def main() -> None:
    """Print what the next calls give."""
    kind, folder, device, variant, state, count = sys.argv[1:]
    module, _, name = kind.partition(":")
    tests = getattr(importlib.import_module(module), name)()
    with tests.make(Path(folder), mx.Context(device), **tests.variants[variant]) as iterator:
        iterator.load_state_dict(json.loads(state))
        print("\n".join(trace(iterator, int(count))))


if __name__ == "__main__":
    main()
