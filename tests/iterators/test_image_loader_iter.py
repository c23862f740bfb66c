"""ImageLoaderIter: what the iterators over images share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, Error
from gpuio.execution.output import OutputSpec
from gpuio.iterators.image_loader_iter import ImageLoaderIter, LoaderOptions
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.sampling.sharding import Shard
from tests.io.image_iterators import KINDS, open_kind, write_images
from tests.io.records import jpeg
from tests.io.threads import gpuio_threads
from tests.loading.fakes import MemorySource

OPTIONS: dict[str, Any] = {
    "batch_size": 4, "shuffle": False, "seed": 0, "last_batch": "pad",
    "shard": Shard(0, 1, "contiguous"), "ctx": None, "executor": None, "preprocess_threads": 2,
    "prefetch_buffer": 2, "on_error": "raise", "data_name": "data", "label_name": "label",
}  # fmt: skip


class Mine(ImageLoaderIter):
    """Over images in memory."""

    def __init__(self, payloads: list[Any], subset: Any = None, **options: Any) -> None:
        self.source = MemorySource(payloads)
        made = LoaderOptions(**{**OPTIONS, **options})
        super().__init__(made.batch_size)
        self._open(self.source, range(len(payloads)) if subset is None else subset, made)
        self.start(24)

    def start(self, height: int) -> None:
        """Start loading, or continue with another height."""
        planner = CropPlanner(CropOptions(height, 28), 0, 1)
        self._load(planner, OutputSpec(3, height, 28, "float32", "NCHW"), ())


GOOD = [jpeg(number, 60, 50) for number in range(10)]


def test_the_subset_is_what_is_read() -> None:
    with Mine(GOOD, np.array([1, 4, 5, 8, 9]), batch_size=2) as iterator:
        assert iterator.num_data == 5 and len(iterator) == 3
        assert [batch.index.tolist() for batch in iterator] == [[10, 40], [50, 80], [90, 10]]


def test_batches_are_described() -> None:
    with Mine(GOOD, data_name="image", label_name="class") as iterator:
        assert iterator.provide_data == [("image", (4, 3, 24, 28))]
        assert iterator.provide_label == [("class", (4,))]
        assert iterator.provide_data[0].dtype is np.float32
        batch = iterator.next()
        assert batch.data[0].shape == (4, 3, 24, 28) and batch.label[0].shape == (4,)
        assert batch.data[0].context == batch.label[0].context == mx.cpu()


def test_another_planner_continues_at_the_position() -> None:
    with Mine(GOOD) as iterator:
        iterator.next()
        iterator.start(20)
        assert iterator.provide_data[0].shape == (4, 3, 20, 28)
        batch = iterator.next()
        assert batch.index.tolist() == [40, 50, 60, 70] and batch.data[0].shape[2] == 20
        names = {thread.name for thread in gpuio_threads()}
        assert len(gpuio_threads()) == len(names) == 2, "the threads before are gone"


def test_closing_closes_the_source() -> None:
    iterator = Mine(GOOD)
    iterator.next()
    assert not iterator.source.closed
    iterator.close()
    iterator.close()
    assert iterator.source.closed and not gpuio_threads()


def test_an_order_that_is_impossible_closes_the_source() -> None:
    sources: list[MemorySource] = []

    class Noted(Mine):
        def _open(self, source: Any, *arguments: Any) -> None:
            sources.append(source)
            super()._open(source, *arguments)

    with pytest.raises(ArgumentError, match="never full"):
        Noted(GOOD, last_batch="discard", batch_size=11)
    assert sources[0].closed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"preprocess_threads": 0}, "preprocess_threads must be at least 1"),
        ({"prefetch_buffer": 0}, "prefetch_buffer must be at least 1"),
        ({"seed": 0.5}, "seed must be"),
        ({"on_error": "ignore"}, "on_error must be"),
        ({"hw_decoder_load": 1.5}, "hw_decoder_load is a fraction"),
        ({"hw_decoder_load": -0.1}, "hw_decoder_load is a fraction"),
        ({"executor": "cuda"}, "executor must be"),
        ({"ctx": "tpu"}, "ctx must be"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        LoaderOptions(**{**OPTIONS, **options})


def test_the_context_is_the_current_one_unless_given() -> None:
    assert LoaderOptions(**OPTIONS).context == mx.cpu()
    assert LoaderOptions(**{**OPTIONS, "ctx": "cpu"}).context == mx.cpu()
    with pytest.raises(AttributeError):
        LoaderOptions(**OPTIONS).seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
def test_bad_records_are_listed_once(on_error: str) -> None:
    payloads = [*GOOD[:3], b"no image", *GOOD[4:8], None, GOOD[9]]
    with Mine(payloads, on_error=on_error) as iterator:
        assert iterator.bad_records == []
        for _ in range(2):
            list(iterator)
            iterator.reset()
        first, second = iterator.bad_records
        assert (first.key, first.file, first.offset) == (30, "memory.rec", 300)
        assert second.reason == "the record is damaged"


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
def test_an_epoch_without_a_good_record_is_an_error(on_error: str) -> None:
    payloads = [b""] * 10
    with Mine(payloads, on_error=on_error) as iterator:
        for _ in range(2):
            with pytest.raises(Error, match=r"not one record of the epoch.*key 80.*empty"):
                iterator.next()
            iterator.reset()


def test_one_good_record_is_enough() -> None:
    with Mine([*[b""] * 4, GOOD[4], *[b""] * 5], on_error="skip") as iterator:
        assert [batch.index.tolist() for batch in iterator] == [[40] * 4]
        state = iterator.state_dict()
        iterator.reset()
        assert len(list(iterator)) == 1
        iterator.load_state_dict(state)
        assert list(iterator) == []


@pytest.mark.parametrize("name", KINDS)
def test_all_have_a_length_and_are_true(name: str, tmp_path: Path) -> None:
    write_images(tmp_path, 10)
    expected = {"pad": [3] * 4, "discard": [2] * 4, "roll_over": [2, 3, 2, 3]}
    for handle, lengths in expected.items():
        with open_kind(name, "host", tmp_path, last_batch_handle=handle) as iterator:
            assert bool(iterator) is True and iterator.num_data == 10
            found = []
            for _ in range(4):
                found.append((len(iterator), len(list(iterator))))
                iterator.reset()
        assert found == [(length, length) for length in lengths]
