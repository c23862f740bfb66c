"""The contestants, one by one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import UnsupportedError
from gpuio.recordio import RecordSet
from gpuio.tools.commands.bench.contestants import (
    dali_load,
    decoder_load,
    iterator_load,
    read_storage,
)
from tests.io.records import jpeg, write_records


def test_iterators_go_on_with_the_next_epoch(rec: str) -> None:
    with mx.io.ImageRecordIter(path_imgrec=rec, data_shape=(3, 8, 8), batch_size=10) as iterator:
        load = iterator_load(iterator)
        assert [load(1), load(10), load(11), load(35)] == [10, 10, 20, 40]


def test_bad_images_do_not_stop_the_decoder(tmp_path: Path) -> None:
    path = write_records(tmp_path / "x", [jpeg(0), b"no image", jpeg(1)])["path_imgrec"]
    with RecordSet(path) as records, ThreadPoolExecutor(2) as pool:
        load = decoder_load(records, np.arange(3), 3, pool)
        assert load(1) >= 1 and load(40) >= 40


def test_storage(rec: str) -> None:
    with RecordSet(rec) as records:
        per_second, cpu_ms, cached = read_storage(rec, records, np.arange(24))
    assert per_second > 0 and cpu_ms >= 0 and cached in (True, False, None)


def test_dali_needs_an_index_and_known_options(rec: str) -> None:
    with pytest.raises(UnsupportedError, match="needs an index"):
        dali_load(rec, None, mx.cpu(), {})
    for options, name in (
        ({"scale": 0.5}, "scale"),
        ({"brightness": 0.5, "resize": 30}, "brightness"),
        ({"max_aspect_ratio": 0.5}, "max_aspect_ratio"),
        ({"shuffle": "blocks"}, "shuffle='blocks'"),
    ):
        with pytest.raises(UnsupportedError, match=f"no counterpart of the option {name}"):
            dali_load(rec, rec.replace(".rec", ".idx"), mx.cpu(), options)
