"""Text for a terminal: harmless, whatever is in the names that it shows."""

import ast
from pathlib import Path

import pytest

from gpuio.terminal import counted, echo, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("naïve ¿ 日本", "naïve ¿ 日本"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b]0;title\x07\x1b[31mred", r"\x1b]0;title\x07\x1b[31mred"),
        ("a\rb\x00c\x7f", r"a\x0db\x00c\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("na\udcefve \ud800", r"na\udcefve \ud800"),
    ],
)
def test_control_characters_and_surrogates_are_escaped(
    text: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printable(text) == expected
    echo(text)
    assert capsys.readouterr().out == f"{expected}\n"


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 records"), (1, "1 record"), (1200, "1,200 records")]
)
def test_counted(count: int, expected: str) -> None:
    assert counted(count, "record") == expected


def test_tools_print_nothing_in_another_way() -> None:
    tools = Path(__file__).parents[1] / "gpuio" / "tools"
    found = [
        f"{path.relative_to(tools)}:{node.lineno}"
        for path in tools.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert found == []
