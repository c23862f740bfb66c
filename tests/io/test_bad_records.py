"""What becomes of a record that cannot be used, under each policy and executor."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from gpuio.errors import (
    DecodeError,
    Error,
)
from tests.close import GPU_DECODER, Tolerance, assert_images_close
from tests.execution.test_dali_pipeline import DAMAGED
from tests.io.conformance import trace
from tests.io.image_iterators import open_random, write_images
from tests.io.records import (
    EXECUTORS,
    RUNS,
    jpeg,
    open_iter,
    write_records,
)

GOOD = jpeg(100)
# A valid header, and then nothing that any decoder could make a picture of.
NO_TABLES = (
    b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x32\x00\x3c\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x0c"
    + bytes(40)
)
BROKEN = {
    "garbage": b"this is not an image",
    "empty": b"",
    "cut header": GOOD[:40],
    "no tables": NO_TABLES,
    "damaged PNG": DAMAGED,
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Path]:
    """Seven records, the fourth of which (key 30) is broken."""
    payloads = [jpeg(number) for number in range(7)]
    payloads[3] = BROKEN[request.param]
    return write_records(tmp_path / "broken", payloads)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_record_raise(broken: dict[str, Path], executor: str) -> None:
    with open_iter(**broken, batch_size=3, **RUNS[executor]) as iterator:
        assert iterator.next().index.tolist() == [0, 10, 20]
        state = iterator.state_dict()
        with pytest.raises(DecodeError, match=r"broken\.rec, key 30, byte \d+: .*on_error"):
            iterator.next()
        assert iterator.state_dict() == state
        with pytest.raises(DecodeError):  # asking again is asking for the same batch
            iterator.next()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_record_skip(broken: dict[str, Path], executor: str) -> None:
    with (
        open_iter(
            **broken, batch_size=3, **RUNS[executor], on_error="skip", round_batch=False
        ) as iterator,
        open_iter(**broken, batch_size=1) as single,
    ):
        alone = single.next().data[0].asnumpy()[0]
        batches = list(iterator)
        assert [(batch.index.tolist(), batch.pad) for batch in batches] == [
            ([0, 10, 20], 0),
            ([40, 50, 40], 1),
            ([60, 0, 10], 2),
        ]
        assert batches[1].label[0].asnumpy().tolist() == [4, 5, 4]
        tolerance = Tolerance(1, 0.2)
        if executor == "gpu":
            tolerance = tolerance.widened(GPU_DECODER)
        assert_images_close(batches[0].data[0].asnumpy()[0], alone, tolerance)
        first = batches[1].data[0].asnumpy()
        np.testing.assert_array_equal(first[2], first[0])
        (bad,) = iterator.bad_records
        assert bad.key == 30 and "key 30" in bad.place and bad.reason
        iterator.reset()
        list(iterator)
        assert len(iterator.bad_records) == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_record_substitute(broken: dict[str, Path], executor: str) -> None:
    with open_iter(**broken, batch_size=3, **RUNS[executor], on_error="substitute") as iterator:
        batches = list(iterator)
        assert [(batch.index.tolist(), batch.pad) for batch in batches] == [
            ([0, 10, 20], 0),
            ([40, 40, 50], 0),
            ([60, 0, 10], 2),
        ]
        second = batches[1].data[0].asnumpy()
        np.testing.assert_array_equal(second[0], second[1])
        assert [bad.key for bad in iterator.bad_records] == [30]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("policy", ["skip", "substitute"])
def test_a_batch_without_a_good_record_is_left_out(
    broken: dict[str, Path], executor: str, policy: str
) -> None:
    with open_iter(**broken, batch_size=1, **RUNS[executor], on_error=policy) as iterator:
        assert [batch.index.tolist() for batch in iterator] == [
            [k] for k in (0, 10, 20, 40, 50, 60)
        ]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_epoch_without_a_good_record_is_an_error(tmp_path: Path, executor: str) -> None:
    files = write_records(tmp_path / "none", [b"nothing"] * 4)
    with (
        open_iter(**files, batch_size=2, on_error="skip", **RUNS[executor]) as iterator,
        pytest.raises(Error, match="not one record of the epoch"),
    ):
        iterator.next()


@pytest.mark.parametrize("executor", EXECUTORS[1:])
def test_what_only_the_host_decodes_is_decoded_there_and_said(
    executor: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sun_raster = cv2.imencode(".ras", np.full((40, 50, 3), 80, np.uint8))[1].tobytes()
    files = write_records(tmp_path / "sun", [jpeg(0), sun_raster])
    for _ in range(2):
        with open_iter(**files, batch_size=2, **RUNS[executor]) as iterator:
            assert iterator.next().pad == 0
            iterator.reset()
            pixels = iterator.next().data[0].asnumpy()
    np.testing.assert_array_equal(pixels[1], 80)
    assert len(caplog.records) == 2 and "decoded on the host" in caplog.text


@pytest.mark.parametrize("executor", EXECUTORS[1:])
def test_the_others_of_a_batch_keep_their_pixels(executor: str, tmp_path: Path) -> None:
    """Exactly: they are decoded where they would be if the batch were good."""
    payloads = [jpeg(number) for number in range(8)]
    good = write_records(tmp_path / "good", payloads)
    payloads[1], payloads[6] = DAMAGED, DAMAGED
    damaged = write_records(tmp_path / "damaged", payloads)
    options = {"batch_size": 4, "last_batch_handle": "pad", **RUNS[executor]}
    with open_iter(**good, **options) as iterator:
        expected = [batch.data[0].asnumpy() for batch in iterator]
    with open_iter(**damaged, **options, on_error="substitute") as iterator:
        for _ in range(2):
            for batch, pixels, row in zip(iterator, expected, (1, 2), strict=True):
                found = np.delete(batch.data[0].asnumpy(), row, 0)
                np.testing.assert_array_equal(found, np.delete(pixels, row, 0))
            iterator.reset()
        assert [bad.key for bad in iterator.bad_records] == [10, 60]


@pytest.mark.parametrize("executor", EXECUTORS[1:])
def test_a_good_batch_follows_a_bad_one_with_the_same_pixels(
    executor: str, broken: dict[str, Path]
) -> None:
    """The DALI graph goes on after it has refused a batch."""
    tolerance = Tolerance(1, 0.2)
    if executor == "gpu":
        tolerance = tolerance.widened(GPU_DECODER)
    with (
        open_iter(**broken, batch_size=2, **RUNS[executor], on_error="skip") as iterator,
        open_iter(**broken, batch_size=2, **RUNS["host"], on_error="skip") as host,
    ):
        for _ in range(3):
            for left, right in zip(iterator, host, strict=True):
                np.testing.assert_array_equal(left.index, right.index)
                assert_images_close(left.data[0].asnumpy(), right.data[0].asnumpy(), tolerance)
            iterator.reset()
            host.reset()


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("ImageIter of a list", "host"),
        ("ImageIter of a list", "dali"),
        ("ImageIter of a list, one by one", "host"),
        ("ImageRecordIter", "host"),
    ],
)
def test_a_batch_that_failed_is_made_again(name: str, run: str, tmp_path: Path) -> None:
    """Wherever it is, and although others were being made ahead of it."""
    write_images(tmp_path, 10)
    options = {"last_batch_handle": "roll_over", "shuffle": False}
    with open_random(name, run, tmp_path, **options) as iterator:
        whole = trace(iterator, 6)
    good = {path: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".lst"}

    def write(signature: bytes) -> None:
        for path, content in good.items():
            with open(path, "r+b") as file:
                file.write(content.replace(b"\xff\xd8\xff", signature))

    for stop in (0, 1, 2):
        with open_random(name, run, tmp_path, **options) as iterator:
            found = trace(iterator, stop)
            write(b"\0\0\0")
            failed = 0
            while len(found) < 6:
                state = iterator.state_dict()
                try:
                    found += trace(iterator, 1)
                except DecodeError:
                    failed += 1
                    assert iterator.state_dict() == state
                if failed == 2:
                    write(b"\xff\xd8\xff")
            assert found == whole
            write(b"\xff\xd8\xff")
