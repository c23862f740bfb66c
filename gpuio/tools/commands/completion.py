"""Completion of commands, options and file names in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from gpuio.errors import ArgumentError
from gpuio.terminal import echo

# Words in the names of values of which the shell completes files or folders.
FILES, FOLDERS = ("FILE", "PREFIX"), ("FOLDER", "DIR", "ROOT")


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """A script that makes a shell complete a command line.

    Parameters
    ----------
    parser : of the command line
    shell : "bash", "zsh" or another one that shtab knows

    Raises
    ------
    ArgumentError : it does not know the shell.
    """
    import shtab  # takes longer to import than all other commands

    if shell not in shtab.SUPPORTED_SHELLS:
        raise ArgumentError(
            f"the shell must be one of {', '.join(shtab.SUPPORTED_SHELLS)}, not {shell!r}"
        )
    for words, completed in ((FILES, shtab.FILE), (FOLDERS, shtab.DIRECTORY)):
        for action in _actions(parser):
            if any(word in str(action.metavar) for word in words):
                action.complete = completed  # type: ignore[attr-defined]  # shtab looks for it
    script: str = shtab.complete(parser, shell)
    return script


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--completion``, which prints a script, to the parser of the command line."""
    parser.add_argument(
        "--completion",
        action=_Completion,
        metavar="SHELL",
        help="print a script that lets a shell complete commands, options and names of files, and "
        "exit. Bash reads such scripts from ~/.local/share/bash-completion/completions/gpuio, Zsh "
        "from a file _gpuio in a folder of $fpath",
    )


class _Completion(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        try:
            echo(completion(parser, values))
        except ArgumentError as error:
            parser.error(str(error))
        parser.exit()
