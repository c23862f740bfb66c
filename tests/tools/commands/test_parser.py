"""The parser: its usages, and what its errors suggest."""

import pytest

from gpuio.tools.cli import main
from gpuio.tools.commands.parser import CommandParser

USAGE = {
    "gpuio": "[OPTIONS] COMMAND ...",
    "gpuio info": "[OPTIONS] FILE.rec",
    "gpuio merge": "[OPTIONS] OUT.rec FILE.rec [FILE.rec ...]",
    "gpuio split": "[OPTIONS] (--parts N | --ratio R) FILE.rec PREFIX",
    "gpuio demo": "[OPTIONS]",
    "gpuio cache": "ACTION ...",
    "gpuio cache rm": "[OPTIONS] [URL ...]",
}

ERRORS = {
    "inf x.rec": ("gpuio: ", "argument COMMAND: 'inf' is not possible; did you mean info?"),
    "cache remove": ("gpuio cache: ", "it must be one of ls, fill, rm, verify"),
    "info": ("gpuio info: ", "the following arguments are required: FILE.rec"),
    "info a.rec b.rec": ("gpuio info: ", "'b.rec' is one argument too many"),
    "filter a b --labels=0": ("gpuio filter: ", "no option --labels; did you mean --label?"),
    "im2rec a b --pass_through": ("gpuio im2rec: ", "did you mean --pass-through?"),
    "cache ls --jsn": ("gpuio cache ls: ", "there is no option --jsn; did you mean --json?"),
    "info a.rec --nothing-like-it": ("gpuio info: ", "there is no option --nothing-like-it;"),
    "show a.rec --count many": ("gpuio show: ", "--count: expected an integer, not 'many'"),
    "filter a b --label cat": ("gpuio filter: ", "--label: expected a number, not 'cat'"),
    "show a.rec --task test": ("gpuio show: ", "it must be one of eval, train"),
    "split a.rec b": ("gpuio split: ", "one of the arguments --parts --ratio is required"),
}


@pytest.mark.parametrize("command", USAGE)
def test_usage_is_what_must_be_given(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command.split()[1:], "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.splitlines()[0] == f"usage: {command} {USAGE[command]}"


@pytest.mark.parametrize("arguments", ERRORS)
def test_errors(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments.split())
    assert end.value.code == 2
    usage, message = capsys.readouterr().err.splitlines()
    prefix, text = ERRORS[arguments]
    assert usage.startswith("usage: ")
    assert message.startswith(prefix) and text in message
    assert message.endswith(f"; see {prefix.rstrip(': ')} --help")


def test_without_arguments_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "pack a folder of images" in capsys.readouterr().out


def test_how_arguments_are_written() -> None:
    parser = CommandParser(prog="100%")
    parser.add_argument("one")
    parser.add_argument("more", nargs="?", metavar="MORE")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("-f", "--flag", action="store_true")
    group.add_argument("--value")
    assert parser.format_usage() == "usage: 100% [OPTIONS] (--flag | --value value) one [MORE]\n"
