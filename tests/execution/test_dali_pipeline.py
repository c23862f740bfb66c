"""One built DALI graph, of CPU operators: batches in, batches out, and what goes wrong between."""

import struct
import zlib
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest

from gpuio.errors import ContextError, DeviceError
from gpuio.execution.dali_errors import GraphError
from gpuio.execution.dali_graph import Feed, blank_feed, build_graph, interpolation_types, make_feed
from gpuio.execution.dali_pipeline import DaliPipeline, MisplacedBatchError
from gpuio.execution.output import OutputSpec
from gpuio.loading.reader import BatchReader
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.planner import AffineFill
from tests.io.records import jpeg
from tests.loading.fakes import MemorySource, indices

GOOD = [jpeg(number, 60 + number, 50) for number in range(4)]
# A format that the host decodes, and DALI does not; it does not name the sample. (In large batches
# such samples end the process, so that the executor keeps them out of the graph.)
RASTER = cv2.imencode(".ras", np.full((40, 50, 3), 80, np.uint8))[1].tobytes()


def damaged_png() -> bytes:
    """Its header is intact, and its first row has no valid filter: DALI names the sample."""
    rows = b"\x09" * (1 + 60 * 3) + bytes(49 * (1 + 60 * 3))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 60, 50, 8, 2, 0, 0, 0)),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


DAMAGED = damaged_png()


def make_pipeline(
    depth: int = 2, channels: int = 3, borders: bool = False, affine: AffineFill | None = None
) -> DaliPipeline:
    build = partial(
        build_graph, output=OutputSpec(channels, 24, 28, "uint8", "NHWC"), batch_size=4,
        device_id=None, threads=2, depth=depth, antialias=False, hw_decoder_load=0.5,
        apply_orientation=True, borders=borders, affine=affine,
    )  # fmt: skip
    blank = blank_feed(channels, borders, affine is not None)
    return DaliPipeline(build, depth, blank, (24, 28, 4) if channels == 4 else None)


def feed(payloads: list[Any], channels: int = 3, borders: bool = False) -> Feed:
    """The feed of a batch. What DALI refuses is planned as a small image and put in afterwards, as
    nothing may keep it out here.
    """
    refused = {row: each for row, each in enumerate(payloads) if each in (RASTER, DAMAGED)}
    planned = [GOOD[0] if row in refused else each for row, each in enumerate(payloads)]
    reader = BatchReader(MemorySource(planned), CropPlanner(CropOptions(24, 28), 0, 1), ())
    at = indices(len(payloads), len(payloads))
    batch = reader.plan(at, reader.read_whole(at), strict=True)
    made = make_feed(batch, (28, 24), channels, interpolation_types(), borders)
    for row, payload in refused.items():
        made.encoded[row] = np.frombuffer(payload, np.uint8)
    return made


def pixels(tensors: Any) -> np.ndarray:
    return np.array(tensors.as_tensor())


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_batches_come_out_as_they_went_in(depth: int) -> None:
    pipeline = make_pipeline(depth)
    alone = [pixels(pipeline.run(feed([each]), None)) for each in GOOD]
    for first in range(0, 4, depth):
        chosen = GOOD[first : first + depth]
        numbers = [pipeline.schedule(feed([each])) for each in chosen]
        for place, number in enumerate(numbers):
            np.testing.assert_array_equal(
                pixels(pipeline.collect(number, None)), alone[first + place]
            )
    assert not pipeline.broken
    pipeline.close()
    pipeline.close()


@pytest.mark.parametrize("affine", [None, AffineFill((9, 9, 9), False)])
@pytest.mark.parametrize("borders", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_graph_takes_its_blank_feed(
    channels: int, borders: bool, affine: AffineFill | None
) -> None:
    if affine is not None and channels != 3:
        affine = AffineFill((9,) * channels, False)
    pipeline = make_pipeline(2, channels, borders, affine)
    found = pixels(pipeline.run(blank_feed(channels, borders, affine is not None), None))
    assert found.shape == (1, 24, 28, channels)
    assert found[0, 0, 0].tolist() == [0] * channels
    pipeline.close()


def test_some_samples_of_a_feed() -> None:
    pipeline = make_pipeline()
    full = pixels(pipeline.run(feed(GOOD, borders=False), None))
    part = pixels(pipeline.run(feed(GOOD).take([3, 1]), None))
    np.testing.assert_array_equal(part, full[[3, 1]])
    pipeline.close()


def test_a_batch_that_fails_does_not_break_the_pipeline() -> None:
    pipeline = make_pipeline(3)
    expected = pixels(pipeline.run(feed(GOOD), None))
    numbers = [pipeline.schedule(feed(each)) for each in (GOOD, [*GOOD[:3], RASTER], GOOD)]
    np.testing.assert_array_equal(pixels(pipeline.collect(numbers[0], None)), expected)
    with pytest.raises(GraphError, match="nvImageCodec failure"):
        pipeline.collect(numbers[1], None)
    np.testing.assert_array_equal(pixels(pipeline.collect(numbers[2], None)), expected)
    assert not pipeline.broken
    pipeline.close()


def test_a_sample_of_another_shape_is_named() -> None:
    pipeline = make_pipeline(channels=4)
    rgba = cv2.imencode(".png", np.full((50, 60, 4), 80, np.uint8))[1].tobytes()
    good = feed([rgba] * 2, 4)
    assert pixels(pipeline.run(good, None)).shape == (2, 24, 28, 4)
    with pytest.raises(GraphError, match="channels") as caught:
        rgb = np.frombuffer(GOOD[0], np.uint8)
        pipeline.run(good._replace(encoded=[good.encoded[0], rgb]), None)
    assert caught.value.sample == 1
    pipeline.close()


def test_a_batch_that_does_not_come_is_noticed() -> None:
    pipeline = make_pipeline(2)
    pipeline.run(feed(GOOD), None)
    with pytest.raises(MisplacedBatchError, match="no batch came where 7 was expected"):
        pipeline.collect(7, None)
    assert pipeline.broken
    pipeline.close()


class FailingFeed(Feed):
    """Runs out of memory when it is asked for its arrays."""

    def arrays(self) -> list[Any]:
        raise MemoryError("no memory for the feed")


def failing_feeds() -> dict[str, tuple[Feed, type[BaseException]]]:
    good = feed(GOOD)
    return {
        "the source raises": (FailingFeed(*good), MemoryError),
        "an input in the middle is refused": (
            good._replace(shape=good.shape.astype(str)),
            ValueError,
        ),
        "a batch that is too large": (good.take([0, 1, 2, 3, 0]), RuntimeError),
    }


@pytest.mark.parametrize("name", failing_feeds())
@pytest.mark.parametrize("primed", [True, False])
def test_an_exception_while_scheduling_breaks_the_pipeline(primed: bool, name: str) -> None:
    pipeline = make_pipeline(3)
    expected = pixels(make_pipeline().run(feed(GOOD), None))
    numbers = [pipeline.schedule(feed(GOOD))] if primed else []
    bad, error = failing_feeds()[name]
    with pytest.raises(error):
        pipeline.schedule(bad)
    assert pipeline.broken
    for number in numbers:  # what was scheduled before is still right
        np.testing.assert_array_equal(pixels(pipeline.collect(number, None)), expected)
    pipeline.close()


def test_a_batch_that_is_not_the_awaited_one_is_noticed() -> None:
    """As if the exception of an input in the middle had been ignored."""
    pipeline = make_pipeline(3)
    pipeline.run(feed(GOOD), None)
    with pytest.raises(ValueError):
        pipeline.schedule(failing_feeds()["an input in the middle is refused"][0])
    pipeline.broken = False
    number = pipeline.schedule(feed(GOOD[::-1]))
    with pytest.raises(MisplacedBatchError, match=f"batch {number - 1} came where {number}"):
        pipeline.collect(number, None)
    assert pipeline.broken
    pipeline.close()


def test_a_graph_that_cannot_run_at_all_is_the_device_s_fault() -> None:
    raster = np.frombuffer(RASTER, np.uint8)
    pipeline = make_pipeline()
    pipeline.close()
    build = partial(
        build_graph, output=OutputSpec(3, 24, 28, "uint8", "NHWC"), batch_size=4, device_id=None,
        threads=2, depth=2, antialias=False, hw_decoder_load=0.5, apply_orientation=True,
        borders=False, affine=None,
    )  # fmt: skip
    broken = DaliPipeline(build, 2, blank_feed(3, False, False)._replace(encoded=[raster]))
    with pytest.raises(DeviceError, match="could not make a batch"):
        broken.schedule(feed(GOOD))
    assert broken.broken
    broken.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("building failed; encountered:\n\nstd::bad_alloc\n"), DeviceError),
        (RuntimeError("building failed; encountered:\n\nno such operator\n"), RuntimeError),
        (ContextError("DALI is missing, see gpuio[cuda12]"), ContextError),
    ],
    ids=["no memory", "another reason", "gpuio's own"],
)
def test_what_keeps_a_graph_from_being_built(error: Exception, expected: type[Exception]) -> None:
    def build(source: Any) -> Any:
        raise error

    with pytest.raises(expected) as caught:
        DaliPipeline(build, 2, blank_feed(3, False, False))
    assert type(caught.value) is expected
