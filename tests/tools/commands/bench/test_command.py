"""gpuio bench: the table, the JSON and the plot."""

import json
from pathlib import Path

import pytest
from PIL import Image

from gpuio.errors import ArgumentError, RecordError
from gpuio.tools.cli import main
from gpuio.tools.commands.bench.benchmark import DALI, DECODING, READING
from gpuio.tools.commands.bench.command import plot
from tests.iterators.test_stats import parsed
from tests.tools.commands.bench.results import ITERATOR, result


def test_the_command(rec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", rec, "--batch-size", "8", "--rounds", "1", "--with", "data_shape=3,48,48"]
    plot_file = tmp_path / "bench.png"
    assert main([*arguments, "--step", "0.001", "--plot", str(plot_file)]) == 0
    out = capsys.readouterr().out
    for expected in ("images/s", "CPU-ms per image", *(ITERATOR, READING, DECODING, DALI),
                 "limited by", "you need 8,000", str(plot_file)):  # fmt: skip
        assert expected in out
    with Image.open(plot_file) as image:
        assert image.width > 1000
    assert main([*arguments, "--task", "train", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [stage["name"] for stage in found["stages"]] == [ITERATOR, READING, DECODING, DALI]
    assert found["verdict"] == "" and found["needed"] is None


def test_numbers_for_prometheus(rec: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", rec, "--batch-size", "8", "--rounds", "1", "--with", "data_shape=3,48,48"]
    assert main([*arguments, "--stats"]) == 0
    found = parsed(capsys.readouterr().out)
    assert len(found["gpuio_bench_images_per_second"]) == 4
    assert found["gpuio_batches_total"][0] >= 2 and len(found["gpuio_stage_seconds_total"]) == 4
    assert main([*arguments, "--stats", "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)["stats"]
    assert stats["iterator"] == ITERATOR and stats["batches"] >= 2


@pytest.mark.parametrize("extension", ["png", "svg", "pdf"])
def test_a_plot(extension: str, tmp_path: Path) -> None:
    plot(result(needed=1200.0), tmp_path / f"x.{extension}")
    assert (tmp_path / f"x.{extension}").stat().st_size > 3000
    with pytest.raises(ArgumentError, match="xyz"):
        plot(result(), tmp_path / "x.xyz")


def test_a_plot_of_a_file_with_any_name(tmp_path: Path) -> None:
    for name in ("pass\udce9.rec", "$x^{$.rec"):
        plot(result()._replace(rec=name), tmp_path / "x.svg")
    with pytest.raises(RecordError, match="its directory does not exist"):
        plot(result(), tmp_path / "none" / "x.svg")


def test_a_plot_that_would_replace_the_records_is_refused_first(
    rec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(rec).read_bytes()
    assert main(["bench", rec, "--plot", rec]) == 2
    assert "would overwrite the original" in capsys.readouterr().err
    assert Path(rec).read_bytes() == before
