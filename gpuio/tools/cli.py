"""The command ``gpuio``: a word for each tool, thin over its function."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from gpuio.errors import Error
from gpuio.tools.bench.command import add_command as add_bench
from gpuio.tools.demo import add_command as add_demo
from gpuio.tools.doctor import add_command as add_doctor
from gpuio.tools.extract import add_command as add_extract
from gpuio.tools.im2rec import add_command as add_im2rec
from gpuio.tools.index import add_command as add_index
from gpuio.tools.info import add_command as add_info
from gpuio.tools.rearrange import add_commands as add_rearrangements
from gpuio.tools.repair import add_command as add_repair
from gpuio.tools.show import add_command as add_show
from gpuio.tools.stats import add_command as add_stats
from gpuio.tools.verify import add_command as add_verify
from gpuio.version import VERSION

# Exit statuses; 1, from a command, means: done, but some of the input had to be left out.
FAILED, INTERRUPTED, UNREAD = 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : the words after ``gpuio``; None: those of this process

    Returns
    -------
    exit status: 0, done; 1, done, but some of the input had to be left out; 2, not done, and a line
    on stderr says why; 130, interrupted; 141, nobody reads what is printed any more

    Raises
    ------
    SystemExit : with 2, the words make no sense; with 0, they asked for help.
    """
    args = make_parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        status = int(args.run(args))
        if sys.stdout is not None:  # it may have been closed
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to come
        return UNREAD
    except (Error, OSError) as error:
        print(f"gpuio: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("gpuio: interrupted", file=sys.stderr)
        return INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="gpuio", description="MXNet's data loading, for today's Python and GPUs."
    )
    parser.add_argument("--version", action="version", version=f"gpuio {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_demo(commands)
    add_im2rec(commands)
    add_index(commands)
    add_info(commands)
    add_stats(commands)
    add_show(commands)
    add_bench(commands)
    add_extract(commands)
    add_verify(commands)
    add_repair(commands)
    add_rearrangements(commands)
    add_doctor(commands)
    return parser
