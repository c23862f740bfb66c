"""The parser of the command line: usages of one line, flags with values, errors that suggest."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

# Values of flags, in any case.
FLAG_VALUES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

# What a value of a type is called.
EXPECTED: dict[type, str] = {int: "an integer", float: "a number"}

# How a positional argument is written, by its number of values.
WRITTEN = {None: "{0}", "?": "[{0}]", "*": "[{0} ...]", "+": "{0} [{0} ...]", "A...": "{0} ..."}


class CommandParser(argparse.ArgumentParser):
    """Parser of a command. Its usage says what must be given, in one line, and its errors name
    what may have been meant.

    A command may have flags with an optional value, as MXNet's im2rec has them: ``--flag``,
    ``--flag=1`` and ``--flag 1`` are the same. argparse would take any word after such a flag for
    its value, so that here the value is joined to the flag first, if it is one of `FLAG_VALUES`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._flags: list[str] = []

    def add_flag(
        self, group: Any, name: str, *, help: str, dest: str | None = None, meaning: bool = True
    ) -> None:
        """Add a flag to a group of this parser's arguments.

        Parameters
        ----------
        group : as made by ``add_argument_group`` or ``add_mutually_exclusive_group``
        name : the option, such as "--recursive"
        help : what it does
        dest : attribute of the result; None: as the name. It is None unless the flag is given
        meaning : the attribute's value if the flag is given or true
        """

        def convert(value: str) -> bool:
            if value.lower() not in FLAG_VALUES:
                raise argparse.ArgumentTypeError(
                    f"expected no value, or 1, 0, true, false, yes or no, not {value!r}"
                )
            return FLAG_VALUES[value.lower()] == meaning

        dest = dest or name.lstrip("-").replace("-", "_")
        group.add_argument(name, dest=dest, nargs="?", type=convert, metavar="1|0", help=help)
        self._flags.append(name)

    def format_usage(self) -> str:
        """What must be given; the options are in the help."""
        self.usage = self.usage or self._usage()
        return super().format_usage()

    def format_help(self) -> str:
        """The whole help."""
        self.usage = self.usage or self._usage()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """End the process with status 2 and a message."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_known_args(  # type: ignore[override]  # argparse's overloads
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse arguments, with the values of flags joined to them. None may be unknown."""
        given = sys.argv[1:] if args is None else list(args)
        parsed, unknown = super().parse_known_args(self._with_values(given), namespace)
        if unknown:
            self.error(self._about_unknown(unknown[0]))
        return parsed, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(each) for each in action.choices]
            instead = _suggestion(str(value), choices) or f"it must be one of {', '.join(choices)}"
            raise argparse.ArgumentError(action, f"{value!r} is not possible; {instead}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        expected = EXPECTED.get(action.type) if isinstance(action.type, type) else None
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            if expected is None:
                raise
            message = f"expected {expected}, not {arg_string!r}"
            raise argparse.ArgumentError(action, message) from error

    def _about_unknown(self, argument: str) -> str:
        if not argument.startswith("-"):
            return f"{argument!r} is one argument too many"
        name = argument.partition("=")[0]
        instead = _suggestion(name, self._option_string_actions)
        return f"there is no option {name}" + (f"; {instead}" if instead else "")

    def _usage(self) -> str:
        parts = [self.prog.replace("%", "%%")]
        if any(action.option_strings and action.dest != "help" for action in self._actions):
            parts.append("[OPTIONS]")
        for group in self._mutually_exclusive_groups:
            if group.required:
                options = [_written(action) for action in group._group_actions]
                parts.append(f"({' | '.join(options)})")
        parts += [_written(each) for each in self._actions if not each.option_strings]
        return " ".join(parts)

    def _with_values(self, args: list[str]) -> list[str]:
        joined: list[str] = []
        number = 0
        while number < len(args):
            argument = args[number]
            if argument == "--":
                return joined + args[number:]
            if len(argument) > 2 and sum(flag.startswith(argument) for flag in self._flags) == 1:
                has_value = number + 1 < len(args) and args[number + 1].lower() in FLAG_VALUES
                argument += f"={args[number + 1] if has_value else 1}"
                number += has_value
            joined.append(argument)
            number += 1
        return joined


def _written(action: argparse.Action) -> str:
    """How an argument is written in a usage."""
    name = str(action.metavar or action.dest)
    if action.option_strings:
        return " ".join([action.option_strings[-1], *([name] if action.nargs != 0 else [])])
    return WRITTEN[action.nargs].format(name)  # type: ignore[index]  # no numbers here


def _suggestion(given: str, possible: Iterable[str]) -> str:
    """What may have been meant; empty: nothing is similar."""
    similar = difflib.get_close_matches(given, possible, 1, 0.6)
    return f"did you mean {similar[0]}?" if similar else ""
