"""What the commands share: flags with values, and JSON."""

import json
from pathlib import Path

import pytest

from gpuio.errors import ArgumentError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.cli import main
from gpuio.tools.commands.common import CommandParser, add_remote, remote_options
from tests.io.records import jpeg, write_records


@pytest.fixture
def parser() -> CommandParser:
    """Two flags of opposite meaning, another option, and a path."""
    parser = CommandParser()
    parser.add_flag(parser, "--deep-copy", help="copy")
    parser.add_flag(parser, "--no-order", dest="order", meaning=False, help="no order")
    parser.add_argument("--depth", nargs="+")
    parser.add_argument("path")
    return parser


@pytest.mark.parametrize(
    ("line", "deep_copy", "order"),
    [
        ("x", None, None),
        ("x --deep-copy", True, None),
        ("--deep-copy x", True, None),
        ("--deep-copy 0 x", False, None),
        ("--deep-copy=TRUE x --no-order", True, False),
        ("--no-order no x", None, True),
        ("--no-order=1 --deep-copy=No x", False, False),
        ("--deep x", True, None),
        ("--no 0 --deep- yes x", True, True),
        ("x --deep-copy 1 --deep-copy 0", False, None),
        ("--depth 1 2 --deep-copy -- x", True, None),
    ],
)
def test_flags_have_a_value_or_none(
    line: str, deep_copy: bool | None, order: bool | None, parser: CommandParser
) -> None:
    args = parser.parse_args(line.split())
    assert (args.deep_copy, args.order, args.path) == (deep_copy, order, "x")


@pytest.mark.parametrize("line", ["--deep-copy=x y", "--de x", "--deep-copy 1", "--deep-copy= x"])
def test_flags_that_cannot_be_parsed(line: str, parser: CommandParser) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(line.split())


def test_arguments_of_the_process(parser: CommandParser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["program", "--deep-copy", "0", "x"])
    assert parser.parse_args().deep_copy is False


@pytest.fixture
def rec(tmp_path: Path) -> str:
    """Images; one is broken, one label is no number."""
    images = [jpeg(0), jpeg(1), b"no image", jpeg(3)]
    labels = [0, float("nan"), 2, 0]
    return str(write_records(tmp_path / "x", images, labels)["path_imgrec"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "{rec}"],
        ["stats", "{rec}", "--data-shape", "3,8,8"],
        ["verify", "{rec}"],
        ["repair", "{rec}", "{out}.rec"],
        ["doctor"],
        ["bench", "{rec}", "--rounds", "1", "--batch-size", "2"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_json_is_json(
    arguments: list[str], rec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(rec=rec, out=tmp_path / "out") for argument in arguments]
    assert main([*filled, "--json"]) in (0, 1)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out, parse_constant=refuse)


def test_options_of_remote_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parser = CommandParser()
    add_remote(parser)
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("GPUIO_CACHE_LIMIT", "3MB")
    assert remote_options(parser.parse_args([])) == RemoteOptions.create(tmp_path, 3_000_000)
    arguments = ["--cache-dir=x", "--cache-limit", "5GB", "--readahead=1MiB", "--retries=2"]
    arguments += ["--timeout=1.5", "--storage-option", "a=b=c", "--storage-option=d=FALSE"]
    found = remote_options(parser.parse_args(arguments))
    assert found == RemoteOptions.create("x", "5GB", "1MiB", {"a": "b=c", "d": False}, 2, 1.5)
    for wrong in ("--storage-option=secret", "--storage-option==secret", "--cache-limit=many"):
        with pytest.raises(ArgumentError) as caught:
            remote_options(parser.parse_args([wrong]))
        assert "secret" not in str(caught.value)
