"""Kill training or tools many times: ``python -m tests.faults training --count 500``."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.faults.processes import Launcher
from tests.faults.tools import Interrupter
from tests.faults.training import Trainer


def main() -> int:
    """Parse the command line and run; the exit status is 1 if there are failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("what", choices=["training", "tools"])
    parser.add_argument("--count", type=int, default=500, help="processes that a signal must end")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Launcher(Path(name)) as launcher:
        kind = Trainer if options.what == "training" else Interrupter
        tally = kind(launcher, Path(name), options.seed).kill(options.count)
    signals = ", ".join(f"{count} by {name}" for name, count in sorted(tally.signals.items()))
    print(f"{options.what} ended {signals}; {len(tally.failures)} failures")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
