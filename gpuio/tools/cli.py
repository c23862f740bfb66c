"""The command line: ``gpuio COMMAND``, thin over the functions of this package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gpuio.errors import Error
from gpuio.tools.demo import add_command as add_demo
from gpuio.tools.im2rec import add_command as add_im2rec
from gpuio.version import VERSION

# Exit codes: what was asked for could not be done; some of the input had to be left out (1).
FAILED, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    0: done; 1: done, but some of the input had to be left out; 2: not done, with a line that says
    why; 130: interrupted
    """
    parser = argparse.ArgumentParser(
        prog="gpuio", description="MXNet's data loading, for today's Python and GPUs."
    )
    parser.add_argument("--version", action="version", version=f"gpuio {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_demo(commands)
    add_im2rec(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (Error, OSError) as error:
        print(f"gpuio: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("gpuio: interrupted", file=sys.stderr)
        return INTERRUPTED
