"""gpuio bench: what it measures, and the bottleneck it finds."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.tools import bench
from gpuio.tools.commands.bench import benchmark
from gpuio.tools.commands.bench.benchmark import DALI, DECODING, READING, describe_limit
from gpuio.tools.commands.bench.command import table
from gpuio.tools.commands.bench.contestants import read_storage
from tests.io.records import jpeg, write_records
from tests.tools.commands.bench.results import ITERATOR, result

SMALL: dict[str, Any] = {"data_shape": (3, 48, 48), "resize": 56}


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
    ("changes", "message"),
    [
        ({}, "decoding: about 79% of the CPU time, of which 95% is used"),
        ({"stages": {DECODING: (1, 0.3)}}, "resizing and normalizing: about 84%"),
        ({"stages": {READING: (1100, 0.1)}}, "storage: reading alone reaches 1,100 images/s"),
        ({"cpus": 8, "threads": 2}, "the threads: only 24% .* raise preprocess_threads above 2"),
        ({"cpus": 8, "threads": 8}, "waiting: only 24% of the time of 8 CPUs"),
        ({"cpus": 8, "device": "gpu(0)"}, "the GPU: only 24%"),
    ],
)
def test_the_bottleneck(changes: dict[str, Any], message: str) -> None:
    assert re.match(message, describe_limit(result(**changes)))


def test_the_verdict() -> None:
    assert result().verdict == ""
    enough = "your loader keeps up with 1,000 images/s; you need 900"
    assert result(needed=900.0).verdict == enough
    assert result(needed=4000.0).verdict == (
        "your loader keeps up with 1,000 images/s; you need 4,000: training would wait 75% of the "
        "time"
    )


def test_blocks_are_read_in_their_order(rec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[list[int]] = []

    def noted(path: str, records: mx.recordio.RecordSet, order: np.ndarray) -> Any:
        orders.append(order.tolist())
        return read_storage(path, records, order)

    monkeypatch.setattr(benchmark, "read_storage", noted)
    options = {**SMALL, "shuffle": "blocks", "block_size": "3kB", "pool_blocks": 2}
    bench(rec, batch_size=8, rounds=1, options=options)
    files = {"path_imgrec": rec, "path_imgidx": rec.replace(".rec", ".idx")}
    with mx.io.ImageRecordIter(**files, batch_size=24, **options) as iterator:
        assert [iterator.next().index.tolist()] == [[10 * row for row in orders[0]]]


def test_why_dali_is_left_out(rec: str, tmp_path: Path) -> None:
    found = bench(rec, batch_size=8, rounds=1, options={**SMALL, "layout": "NHWC"})
    assert found.left_out == {DALI: "it has no counterpart of the option layout"}
    alone = tmp_path / "alone.rec"
    alone.write_bytes(Path(rec).read_bytes())
    found = bench(alone, batch_size=8, rounds=1, options=SMALL)
    assert "needs an index" in found.left_out[DALI]
    broken = write_records(tmp_path / "broken", [jpeg(0), b"no image", jpeg(1)])["path_imgrec"]
    found = bench(broken, batch_size=3, rounds=1, options=SMALL)
    assert DALI in found.left_out and len(found.stages) == 3


def test_invalid_arguments_are_refused(rec: str, tmp_path: Path) -> None:
    for arguments, message in (
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"step": 0}, "step must be more than 0 seconds"),
        ({"options": {"rezise": 3}}, "did you mean resize"),
        ({"options": {"path_imgrec": "y.rec"}}, "path_imgrec"),
    ):
        with pytest.raises(ArgumentError, match=message):
            bench(rec, **arguments)
    (tmp_path / "empty.rec").touch()
    with pytest.raises(mx.Error):
        bench(tmp_path / "empty.rec")


@pytest.mark.gpu
def test_on_a_gpu(rec: str) -> None:
    found = bench(rec, batch_size=8, rounds=1, ctx="gpu:0")
    assert found.device == "gpu(0)" and found.stages[0].images_per_second > 0
