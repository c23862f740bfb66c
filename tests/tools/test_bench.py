"""gpuio bench: what it measures, what it says, and what it draws."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.tools.bench import bench
from gpuio.tools.bench.command import plot, table
from gpuio.tools.bench.contest import (
    DALI,
    DECODING,
    ITERATOR,
    READING,
    Bench,
    Stage,
    describe_limit,
)
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records

SMALL: dict[str, Any] = {"data_shape": (3, 48, 48), "resize": 56}


@pytest.fixture(scope="module")
def rec(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bench")
    pictures = [jpeg(number, 120, 100) for number in range(24)]
    return str(write_records(folder / "x", pictures)["path_imgrec"])


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["gpuio.tools.bench.contest"], "ROUND", 0.02)


def made(**changes: Any) -> Bench:
    """Figures of a loader with 2 of 2 processors, which decoding keeps busy."""
    stages = {ITERATOR: (1000, 1.9), READING: (50_000, 0.02), DECODING: (1300, 1.5)}
    stages.update(changes.pop("stages", {}))
    values: dict[str, Any] = dict(
        rec="x.rec", images=10, device="cpu(0)", cpus=2, threads=2, batch_size=100,
        stages=[Stage(name, speed, cpu, cpu, cpu) for name, (speed, cpu) in stages.items()],
        left_out={}, cached=None, limit="", step=None, needed=None,
    )  # fmt: skip
    return Bench(**{**values, **changes})


@pytest.mark.parametrize("options", [None, SMALL, {**SMALL, "rand_crop": True, "shuffle": True}])
def test_the_contestants_take_turns(options: dict[str, Any] | None, rec: str) -> None:
    found = bench(rec, batch_size=8, threads=2, rounds=2, step=0.5, options=options)
    assert [stage.name for stage in found.stages] == [ITERATOR, READING, DECODING, DALI]
    assert (found.images, found.batch_size, found.threads) == (24, 8, 2)
    for stage in found.stages:
        assert stage.images_per_second > 0
        assert 0 <= stage.least_cpu_ms <= stage.cpu_ms <= stage.most_cpu_ms
    assert found.stage(ITERATOR) == found.stages[0] and found.stage("nobody") is None
    assert found.needed == 16
    assert found.limit and found.verdict.startswith("your loader keeps up with")
    assert len(table(found)) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "decoding: about 79% of the processors' time, of which 95% is used"),
        ({"stages": {DECODING: (1, 0.3)}}, "resizing and normalising: about 84%"),
        ({"stages": {READING: (1100, 0.1)}}, "storage: reading alone gives 1,100 images/s"),
        ({"cpus": 8, "threads": 2}, "the threads: only 24% .* raise preprocess_threads above 2"),
        ({"cpus": 8, "threads": 8}, "waiting: only 24% of the time of 8 processors"),
        ({"cpus": 8, "device": "gpu(0)"}, "the GPU: only 24%"),
    ],
)
def test_what_limits(changes: dict[str, Any], said: str) -> None:
    assert re.match(said, describe_limit(made(**changes)))


def test_the_verdict() -> None:
    assert made().verdict == ""
    enough = "your loader keeps up with 1,000 images/s; you need 900"
    assert made(needed=900.0).verdict == enough
    assert made(needed=4000.0).verdict == (
        "your loader keeps up with 1,000 images/s; you need 4,000: training would wait 75% of the "
        "time"
    )


def test_what_dali_cannot_do_is_said(rec: str, tmp_path: Path) -> None:
    found = bench(rec, batch_size=8, rounds=1, options={**SMALL, "layout": "NHWC"})
    assert found.left_out == {DALI: "its operators are not told what layout means"}
    alone = tmp_path / "alone.rec"
    alone.write_bytes(Path(rec).read_bytes())
    found = bench(alone, batch_size=8, rounds=1, options=SMALL)
    assert "needs an index" in found.left_out[DALI]
    broken = write_records(tmp_path / "broken", [jpeg(0), b"no picture", jpeg(1)])["path_imgrec"]
    found = bench(broken, batch_size=3, rounds=1, options=SMALL)
    assert DALI in found.left_out and len(found.stages) == 3


def test_the_command(rec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", rec, "--batch-size", "8", "--rounds", "1", "--with", "data_shape=3,48,48"]
    picture = tmp_path / "bench.png"
    assert main([*words, "--step", "0.001", "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    for text in ("images/s", "CPU-ms per image", *(ITERATOR, READING, DECODING, DALI),
                 "limited by", "you need 8,000", str(picture)):  # fmt: skip
        assert text in out
    with Image.open(picture) as image:
        assert image.width > 1000
    assert main([*words, "--task", "train", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [stage["name"] for stage in found["stages"]] == [ITERATOR, READING, DECODING, DALI]
    assert found["verdict"] == "" and found["needed"] is None


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_plot(ending: str, tmp_path: Path) -> None:
    plot(made(needed=1200.0), tmp_path / f"x.{ending}")
    assert (tmp_path / f"x.{ending}").stat().st_size > 3000
    with pytest.raises(ArgumentError, match="xyz"):
        plot(made(), tmp_path / "x.xyz")


def test_wrong_wishes_are_refused(rec: str, tmp_path: Path) -> None:
    for arguments, said in (
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"step": 0}, "step must be more than 0 seconds"),
        ({"options": {"rezise": 3}}, "did you mean resize"),
        ({"options": {"path_imgrec": "y.rec"}}, "path_imgrec"),
    ):
        with pytest.raises(ArgumentError, match=said):
            bench(rec, **arguments)
    (tmp_path / "empty.rec").touch()
    with pytest.raises(mx.Error):
        bench(tmp_path / "empty.rec")


@pytest.mark.gpu
def test_on_a_gpu(rec: str) -> None:
    found = bench(rec, batch_size=8, rounds=1, ctx="gpu:0")
    assert found.device == "gpu(0)" and found.stages[0].images_per_second > 0
