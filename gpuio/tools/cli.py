"""The command line ``gpuio``: its parser and its exit statuses."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from gpuio.errors import Error
from gpuio.terminal import echo
from gpuio.tools.commands.bench import add_command as add_bench
from gpuio.tools.commands.cache import add_command as add_cache
from gpuio.tools.commands.completion import add_option as add_completion
from gpuio.tools.commands.demo import add_command as add_demo
from gpuio.tools.commands.doctor import add_command as add_doctor
from gpuio.tools.commands.extract import add_command as add_extract
from gpuio.tools.commands.im2rec import add_command as add_im2rec
from gpuio.tools.commands.index import add_command as add_index
from gpuio.tools.commands.info import add_command as add_info
from gpuio.tools.commands.parser import CommandParser
from gpuio.tools.commands.rearrange import add_commands as add_rearrangements
from gpuio.tools.commands.repair import add_command as add_repair
from gpuio.tools.commands.show import add_command as add_show
from gpuio.tools.commands.stats import add_command as add_stats
from gpuio.tools.commands.verify import add_command as add_verify
from gpuio.version import VERSION

# Exit statuses. Commands themselves return 0, or 1 if some of the input was left out or is bad.
FAILED, INTERRUPTED, BROKEN_PIPE, TERMINATED = 2, 130, 141, 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : the arguments after ``gpuio``; None: those of this process

    Returns
    -------
    exit status: 0, success; 1, done, but some of the input was left out or is bad; 2, failure, with
    the reason on stderr; 130, interrupted; 141, the reader of stdout has gone; 143, terminated

    Raises
    ------
    SystemExit : with 2, the arguments are invalid; with 0, help was asked for.
    """
    parser = make_parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help()
        return FAILED
    args = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # for names that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        with _signals_raise():
            status = int(args.run(args))
        if sys.stdout is not None:  # None if it was closed before Python started
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        _give_up_output()
        return BROKEN_PIPE
    except (Error, OSError) as error:
        echo(f"gpuio: {' '.join(str(error).split())}", file=sys.stderr)
        _give_up_output()
        return FAILED
    except MemoryError as error:
        echo(f"gpuio: memory is too short: {error}", file=sys.stderr)
        return FAILED
    except _TerminatedError:
        echo("gpuio: terminated", file=sys.stderr)
        return TERMINATED
    except KeyboardInterrupt:
        echo("gpuio: interrupted", file=sys.stderr)
        return INTERRUPTED


def _give_up_output() -> None:
    """Drop what cannot be written to stdout: the interpreter would try it again when it exits, and
    change the status if that fails.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _TerminatedError(BaseException):
    """SIGTERM has come."""


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Have SIGTERM raise an exception, as SIGINT does, so that unfinished files are removed.

    A second signal ends the process at once. Handlers that a program has set itself stay.
    """
    defaults: dict[signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    own = [number for number in defaults if signal.getsignal(number) == defaults[number]]
    if threading.current_thread() is not threading.main_thread():
        own = []  # only the main thread may set handlers

    def stop(number: int, frame: object) -> NoReturn:
        for each in own:
            signal.signal(each, signal.SIG_DFL)
        raise KeyboardInterrupt if number == signal.SIGINT else _TerminatedError

    try:
        for number in own:
            signal.signal(number, stop)
        yield
    finally:
        for number in own:
            signal.signal(number, defaults[number])


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = CommandParser(
        prog="gpuio", description="MXNet's data loading, for today's Python and GPUs."
    )
    parser.add_argument("--version", action="version", version=f"gpuio {VERSION}")
    add_completion(parser)
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=CommandParser
    )
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
    add_cache(commands)
    add_doctor(commands)
    return parser
