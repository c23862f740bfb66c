"""What the commands share: JSON."""

import json
from pathlib import Path

import pytest

from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records


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
