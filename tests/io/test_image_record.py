"""ImageRecordIter's own promises: order, resume, bad records, ownership, errors."""

import gc
import io
import json
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    ContextError,
    DecodeError,
    Error,
    RecordError,
    RecordFileNotFoundError,
    StateError,
    UnsupportedError,
)
from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack
from tests.close import EXACT, Tolerance, assert_images_close

GOLDEN = Path(__file__).parents[1] / "golden" / "data"
TRAIN = dict(
    random_resized_crop=True,
    min_random_area=0.3,
    max_random_area=1.0,
    min_aspect_ratio=3 / 4,
    max_aspect_ratio=4 / 3,
    rand_mirror=True,
    shuffle=True,
    seed=5,
)
EXECUTORS = ["host", "dali"]


def open_iter(**changes: Any) -> mx.io.ImageRecordIter:
    """An iterator over the 12 golden images, 5 at a time."""
    values = dict(
        path_imgrec=GOLDEN / "img.rec",
        path_imgidx=GOLDEN / "img.idx",
        data_shape=(3, 24, 28),
        batch_size=5,
        preprocess_threads=2,
    )
    return mx.io.ImageRecordIter(**{**values, **changes})


def write_records(
    path: Path, payloads: list[bytes], labels: list[Any] | None = None
) -> dict[str, Path]:
    """A record file and its index; keys are 0, 10, 20, … so that they cannot be taken for
    positions."""
    files = {"path_imgrec": path.with_suffix(".rec"), "path_imgidx": path.with_suffix(".idx")}
    with MXIndexedRecordIO(files["path_imgidx"], files["path_imgrec"], "w") as writer:
        for number, payload in enumerate(payloads):
            label = float(number) if labels is None else labels[number]
            writer.write_idx(number * 10, pack(IRHeader(0, label, number * 10, 0), payload))
    return files


def jpeg(seed: int, width: int = 60, height: int = 50, **options: Any) -> bytes:
    """A smooth random picture as a JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = Image.fromarray(pixels)
    file = io.BytesIO()
    image.convert(options.pop("mode", "RGB")).save(file, "JPEG", quality=92, **options)
    return file.getvalue()


def samples(iterator: mx.io.ImageRecordIter, epochs: int = 1) -> dict[tuple[int, int], np.ndarray]:
    """Pixels by (epoch, key), rows that only fill a batch left out; every occurrence must be the
    same."""
    found: dict[tuple[int, int], np.ndarray] = {}
    for epoch in range(epochs):
        for batch in iterator:
            count = iterator.batch_size - batch.pad
            for key, pixels in zip(
                batch.index[:count].tolist(), batch.data[0].asnumpy(), strict=False
            ):
                assert (epoch, key) not in found
                found[epoch, key] = pixels
        iterator.reset()
    return found


def assert_same_samples(found: dict[Any, np.ndarray], expected: dict[Any, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for key, pixels in expected.items():
        np.testing.assert_array_equal(found[key], pixels)


# ---------------------------------------------------------------- randomness does not depend on how it is run


@pytest.fixture(scope="module")
def reference() -> dict[tuple[int, int], np.ndarray]:
    with open_iter(**TRAIN, round_batch=False) as iterator:
        return samples(iterator, epochs=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"preprocess_threads": 1},
        {"preprocess_threads": 4},
        {"prefetch_buffer": 1},
        {"prefetch_buffer": 9},
        {"batch_size": 1},
        {"batch_size": 12},
        {"batch_size": 30},
    ],
    ids=str,
)
def test_pixels_do_not_depend_on_threads_prefetch_or_batch_size(
    changes: dict[str, int], reference: dict[tuple[int, int], np.ndarray]
) -> None:
    with open_iter(**{**TRAIN, "round_batch": False, **changes}) as iterator:
        assert_same_samples(samples(iterator, epochs=2), reference)


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("partition", ["contiguous", "global"])
def test_the_union_of_parts_is_the_whole(
    parts: int, partition: str, reference: dict[tuple[int, int], np.ndarray]
) -> None:
    union: dict[tuple[int, int], np.ndarray] = {}
    for part in range(parts):
        with open_iter(
            **TRAIN,
            round_batch=False,
            num_parts=parts,
            part_index=part,
            partition=partition,
            batch_size=2,
        ) as iterator:
            found = samples(iterator, epochs=2)
        assert not union.keys() & found.keys()
        union |= found
    assert_same_samples(union, reference)


def test_global_parts_make_up_the_batches_of_one_part() -> None:
    def keys(parts: int, part: int) -> list[np.ndarray]:
        with open_iter(
            **TRAIN, num_parts=parts, part_index=part, partition="global", batch_size=6 // parts
        ) as iterator:
            return [
                batch.index
                for _ in range(3)
                for batch in [*iterator, *([] if iterator.reset() else [])]
            ]

    whole, halves = keys(1, 0), [keys(2, part) for part in range(2)]
    for one, left, right in zip(whole, *halves, strict=True):
        np.testing.assert_array_equal(one, np.concatenate([left, right]))


def test_parts_come_from_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "9")
    with open_iter(num_parts="auto", batch_size=2) as iterator:
        assert iterator.next().index.tolist() == [20, 30]  # rows 2 and 3 of the first 6
    monkeypatch.setenv("RANK", "three")
    with pytest.raises(ArgumentError, match="torchrun"):
        open_iter(num_parts="auto")


def test_each_epoch_shuffles_and_augments_anew(
    reference: dict[tuple[int, int], np.ndarray],
) -> None:
    with open_iter(**TRAIN, round_batch=False) as iterator:
        first = [key for batch in iterator for key in batch.index.tolist()]
        iterator.reset()
        second = [key for batch in iterator for key in batch.index.tolist()]
    assert first != second and set(first) == set(second)
    assert any((reference[0, key] != reference[1, key]).any() for key in set(first))


def test_seeds() -> None:
    def run(**seeds: int | None) -> tuple[list[int], np.ndarray]:
        with open_iter(**{**TRAIN, **seeds}, batch_size=12) as iterator:
            batch = iterator.next()
            order = np.argsort(batch.index)
            return batch.index.tolist(), batch.data[0].asnumpy()[order]

    order, pixels = run(seed=1)
    assert run(seed=1)[0] == order and (run(seed=1)[1] == pixels).all()
    assert run(seed=2)[0] != order and (run(seed=2)[1] != pixels).any()
    assert run(seed=1, seed_aug=9)[0] == order and (run(seed=1, seed_aug=9)[1] != pixels).any()
    assert (run(seed=7, seed_aug=9)[1] == run(seed=1, seed_aug=9)[1]).all()


# ---------------------------------------------------------------- the executors agree

CMYK = jpeg(6, mode="CMYK")
EXIF = Image.Exif()
EXIF[0x0112] = 6
KINDS = {
    "colour": jpeg(1, 160, 120),
    "large": jpeg(2, 640, 480),
    "444": jpeg(3, subsampling=0),
    "gray": jpeg(4, mode="L"),
    "progressive": jpeg(5, 120, 90, progressive=True),
    "odd": jpeg(7, 61, 47),
    "exif": jpeg(8, 70, 50, exif=EXIF.tobytes()),
    "small": jpeg(9, 20, 16),
    "one pixel": jpeg(10, 1, 1),
    "thin": jpeg(11, 7, 90),
    "truncated": jpeg(12, 200, 160)[:-900],
    "tail": jpeg(13) + b"\0 something after the end",
    "cmyk": CMYK,
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_records(tmp_path_factory.mktemp("kinds") / "kinds", list(KINDS.values()))


CONFIGURATIONS = {
    "crop": {},
    "resize": {"resize": 40},
    "enlarge": {"data_shape": (3, 90, 100)},
    "gray": {"data_shape": (1, 24, 28), "resize": 30},
    "random crop": {"rand_crop": True, "resize": 40, "rand_mirror": True},
    "resized crop": TRAIN,
    "resize and resized crop": {**TRAIN, "resize": 33},
    "normalised": {**TRAIN, "mean_r": 100.0, "std_g": 50.0, "scale": 0.5},
    "nhwc half": {**TRAIN, "layout": "NHWC", "dtype": "float16"},
    "antialias": {"resize": 30, "antialias": True},
    "antialias resized crop": {**TRAIN, "antialias": True},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_executors_agree(name: str, kinds: dict[str, Path]) -> None:
    changes = {**kinds, "batch_size": len(KINDS), **CONFIGURATIONS[name]}
    batches = {}
    for executor in EXECUTORS:
        with open_iter(**changes, executor=executor) as iterator:
            batches[executor] = iterator.next()
    host, dali = batches["host"], batches["dali"]
    np.testing.assert_array_equal(host.index, dali.index)
    np.testing.assert_array_equal(host.label[0].asnumpy(), dali.label[0].asnumpy())
    for row, key in enumerate(host.index.tolist()):
        kind = list(KINDS)[key // 10]
        # OpenCV's bilinear weights have 11 bits, DALI's are floats: one level. Pillow rounds
        # between its two passes: up to three. CMYK is converted to RGB with another rounding: one
        # more.
        tolerance = Tolerance(3, 0.3) if "antialias" in name else Tolerance(1, 0.2)
        if kind == "cmyk":
            tolerance = Tolerance(tolerance.largest + 1, 1.6)
        assert_images_close(
            dali.data[0].asnumpy()[row].astype(np.float32),
            host.data[0].asnumpy()[row].astype(np.float32),
            tolerance,
        )


# ---------------------------------------------------------------- batches, epochs, protocol


def labels_of(iterator: mx.io.ImageRecordIter) -> list[list[float]]:
    return [batch.label[0].asnumpy().tolist() for batch in iterator]


def test_epochs_of_a_wrapping_iterator() -> None:
    with open_iter() as iterator:
        lengths = []
        for _ in range(4):
            lengths.append((len(iterator), len(list(iterator))))
            iterator.reset()
    assert lengths == [(3, 3), (2, 2), (3, 3), (2, 2)]


def test_last_batch_handles() -> None:
    with open_iter(last_batch_handle="discard") as iterator:
        assert labels_of(iterator) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    with open_iter(last_batch_handle="roll_over") as iterator:
        labels_of(iterator)
        iterator.reset()
        assert labels_of(iterator) == [[10, 11, 0, 1, 2], [3, 4, 5, 6, 7]]
    with open_iter(last_batch_handle="pad") as iterator:
        *_, last = iterator
        assert last.pad == 3 and last.label[0].asnumpy().tolist() == [10, 11, 0, 1, 2]


def test_filling_rows_show_the_same_pixels_as_their_records() -> None:
    with open_iter(**TRAIN, round_batch=False) as iterator:
        first, _, last = iterator
        np.testing.assert_array_equal(last.index[-3:], first.index[:3])
        np.testing.assert_array_equal(last.data[0].asnumpy()[-3:], first.data[0].asnumpy()[:3])


def test_after_the_end_there_is_nothing_until_reset() -> None:
    with open_iter() as iterator:
        list(iterator)
        for _ in range(3):
            with pytest.raises(StopIteration):
                iterator.next()
        iterator.reset()
        assert iterator.next().label[0].asnumpy()[0] == 3


def test_reset_at_the_beginning_does_nothing_and_in_the_middle_begins_the_next_epoch() -> None:
    with open_iter() as iterator:
        iterator.reset()
        assert iterator.next().index.tolist() == [0, 10, 20, 30, 40]
        iterator.reset()
        assert iterator.epoch == 1
        assert iterator.next().index.tolist() == [0, 10, 20, 30, 40]


def test_mxnets_protocol() -> None:
    with open_iter() as iterator:
        with pytest.raises(Error, match="no current batch"):
            iterator.getdata()
        assert iterator.iter_next()
        (data,), (label,) = iterator.getdata(), iterator.getlabel()
        assert data.shape == (5, 3, 24, 28) and label.shape == (5,)
        assert iterator.getpad() == 0 and iterator.getindex().tolist() == [0, 10, 20, 30, 40]
        assert iterator.iter_next() and iterator.iter_next() and iterator.getpad() == 3
        assert not iterator.iter_next()
        assert iter(iterator) is iterator


def test_batches_are_ndarrays_where_ctx_says() -> None:
    with open_iter(ctx="cpu") as iterator:
        batch = iterator.next()
    for array in (*batch.data, *batch.label):
        assert isinstance(array, mx.nd.NDArray) and array.context == mx.cpu()
    assert batch.index.dtype == np.uint64 and batch.label[0].dtype == np.float32


def test_a_batch_is_never_overwritten() -> None:
    with open_iter(**TRAIN) as iterator:
        held, copies = [], []
        for _ in range(8):
            for batch in iterator:
                held.append(batch)
                copies.append(batch.data[0].asnumpy().copy())
            iterator.reset()
    for batch, copy in zip(held, copies, strict=True):
        np.testing.assert_array_equal(batch.data[0].asnumpy(), copy)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_dtypes_and_layouts(dtype: str, layout: str) -> None:
    with open_iter() as plain, open_iter(dtype=dtype, layout=layout, mean_r=3.0) as iterator:
        expected = plain.next().data[0].asnumpy()
        expected = expected - np.float32([3, 0, 0])[:, None, None] if dtype != "uint8" else expected
        expected = np.clip(expected, -128, 127) if dtype == "int8" else expected
        expected = expected if layout == "NCHW" else expected.transpose(0, 2, 3, 1)
        description = iterator.provide_data[0]
        data = iterator.next().data[0]
    assert description.shape == data.shape and description.layout == layout
    assert np.dtype(description.dtype) == data.dtype == dtype
    np.testing.assert_array_equal(data.asnumpy(), expected.astype(dtype))


def test_rgba(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 4), np.uint8)
    payloads = [
        cv2.imencode(".png", cv2.cvtColor(p, cv2.COLOR_RGBA2BGRA))[1].tobytes() for p in pixels
    ]
    files = write_records(tmp_path / "rgba", payloads)
    for executor in EXECUTORS:
        with open_iter(
            **files, data_shape=(4, 30, 40), batch_size=2, executor=executor
        ) as iterator:
            np.testing.assert_array_equal(
                iterator.next().data[0].asnumpy(), pixels.transpose(0, 3, 1, 2)
            )
    with (
        open_iter(data_shape=(4, 24, 24)) as iterator,
        pytest.raises(DecodeError, match="3 channels, data_shape asks for 4"),
    ):
        iterator.next()


# ---------------------------------------------------------------- data sources and labels


def test_without_an_index_the_same_comes_out() -> None:
    with open_iter(path_imgidx=None) as iterator, open_iter() as indexed:
        for left, right in zip(iterator, indexed, strict=True):
            np.testing.assert_array_equal(left.data[0].asnumpy(), right.data[0].asnumpy())
            np.testing.assert_array_equal(left.index * 10, right.index)


@pytest.mark.parametrize("form", ["sequence", "semicolons", "directory"])
def test_several_record_files_are_one_data_set(form: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_records(tmp_path / name, [jpeg(number) for number in range(3)])
    paths = [tmp_path / "a.rec", tmp_path / "b.rec"]
    where: Any = {
        "sequence": paths,
        "semicolons": ";".join(map(str, paths)),
        "directory": tmp_path,
    }[form]
    with open_iter(path_imgrec=where, path_imgidx=None, batch_size=6) as iterator:
        assert labels_of(iterator) == [[0, 1, 2, 0, 1, 2]]


def test_face_data_sets_yield_their_images_only(tmp_path: Path) -> None:
    """The layout of MS1MV3 and its like: a header record, the images, then identity records with
    key ranges."""
    files = {"path_imgrec": tmp_path / "face.rec", "path_imgidx": tmp_path / "face.idx"}
    with MXIndexedRecordIO(files["path_imgidx"], files["path_imgrec"], "w") as writer:
        writer.write_idx(0, pack(IRHeader(0, [5.0, 7.0], 0, 0), b""))
        for key in range(1, 5):
            writer.write_idx(key, pack(IRHeader(0, float(key // 3), key, 0), jpeg(key)))
        for key, keys in ((5, [1.0, 3.0]), (6, [3.0, 5.0])):
            writer.write_idx(key, pack(IRHeader(0, keys, key, 0), b""))
    with open_iter(**files, batch_size=4) as iterator:
        (batch,) = iterator
        assert batch.index.tolist() == [1, 2, 3, 4] and batch.label[0].asnumpy().tolist() == [
            0,
            0,
            1,
            1,
        ]


def test_label_vectors_and_their_errors(tmp_path: Path) -> None:
    files = write_records(tmp_path / "l", [jpeg(0)] * 3, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with open_iter(**files, label_width=2, batch_size=3) as iterator:
        assert iterator.provide_label[0].shape == (3, 2)
        assert iterator.next().label[0].asnumpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    with open_iter(**files) as iterator, pytest.raises(RecordError, match="label_width=2"):
        iterator.next()


def test_list_files_replace_labels(tmp_path: Path) -> None:
    listing = tmp_path / "some.lst"
    listing.write_text("".join(f"{number * 10}\t{number + 0.5}\tx y.jpg\n" for number in range(11)))
    with open_iter(path_imglist=listing, batch_size=11) as iterator:
        assert iterator.next().label[0].asnumpy().tolist() == [number + 0.5 for number in range(11)]
        with pytest.raises(RecordError, match="no line for the record's id 110"):
            iterator.next()
    for text, words in (
        ("1 x.jpg", "line 1"),
        ("0 1 a.jpg\n7 b c.jpg", "line 2"),
        ("5 1.0", "a path"),
    ):
        listing.write_text(text)
        with pytest.raises(ArgumentError, match=words):
            open_iter(path_imglist=listing)
    with pytest.raises(ArgumentError, match="cannot be read"):
        open_iter(path_imglist=tmp_path / "none.lst")


# ---------------------------------------------------------------- bad records

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
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Path]:
    """Seven records, the fourth of which (key 30) is broken."""
    payloads = [jpeg(number) for number in range(7)]
    payloads[3] = BROKEN[request.param]
    return write_records(tmp_path / "broken", payloads)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_record_raise(broken: dict[str, Path], executor: str) -> None:
    with open_iter(**broken, batch_size=3, executor=executor) as iterator:
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
            **broken, batch_size=3, executor=executor, on_error="skip", round_batch=False
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
        assert_images_close(batches[0].data[0].asnumpy()[0], alone, Tolerance(1, 0.2))
        first = batches[1].data[0].asnumpy()
        np.testing.assert_array_equal(first[2], first[0])
        (bad,) = iterator.bad_records
        assert bad.key == 30 and "key 30" in bad.place and bad.reason
        iterator.reset()
        list(iterator)
        assert len(iterator.bad_records) == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_record_substitute(broken: dict[str, Path], executor: str) -> None:
    with open_iter(**broken, batch_size=3, executor=executor, on_error="substitute") as iterator:
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
    with open_iter(**broken, batch_size=1, executor=executor, on_error=policy) as iterator:
        assert [batch.index.tolist() for batch in iterator] == [
            [k] for k in (0, 10, 20, 40, 50, 60)
        ]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_epoch_without_a_good_record_is_an_error(tmp_path: Path, executor: str) -> None:
    files = write_records(tmp_path / "none", [b"nothing"] * 4)
    with open_iter(**files, batch_size=2, on_error="skip", executor=executor) as iterator:
        with pytest.raises(Error, match="not one record of the epoch"):
            iterator.next()


def test_a_good_batch_follows_a_bad_one_with_the_same_pixels(broken: dict[str, Path]) -> None:
    """The DALI graph goes on after it has refused a batch."""
    with (
        open_iter(**broken, batch_size=2, executor="dali", on_error="skip") as iterator,
        open_iter(**broken, batch_size=2, executor="host", on_error="skip") as host,
    ):
        for _ in range(3):
            for left, right in zip(iterator, host, strict=True):
                np.testing.assert_array_equal(left.index, right.index)
                assert_images_close(
                    left.data[0].asnumpy(), right.data[0].asnumpy(), Tolerance(1, 0.2)
                )
            iterator.reset()
            host.reset()


# ---------------------------------------------------------------- resume

RESUME = """
import json, sys, hashlib
import gpuio as mx
arguments, state, count = json.loads(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
with mx.io.ImageRecordIter(**arguments) as iterator:
    iterator.load_state_dict(state)
    for _ in range(count):
        try:
            batch = iterator.next()
            print(batch.pad, hashlib.sha256(batch.data[0].asnumpy().tobytes()).hexdigest(), batch.index.tolist())
        except StopIteration:
            print("end")
            iterator.reset()
"""


def trace(iterator: mx.io.ImageRecordIter, count: int) -> list[str]:
    import hashlib

    lines = []
    for _ in range(count):
        try:
            batch = iterator.next()
        except StopIteration:
            lines.append("end")
            iterator.reset()
        else:
            digest = hashlib.sha256(batch.data[0].asnumpy().tobytes()).hexdigest()
            lines.append(f"{batch.pad} {digest} {batch.index.tolist()}")
    return lines


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("round_batch", [True, False])
def test_resume_in_a_new_process_is_bit_identical(executor: str, round_batch: bool) -> None:
    arguments = dict(
        path_imgrec=str(GOLDEN / "img.rec"),
        path_imgidx=str(GOLDEN / "img.idx"),
        data_shape=[3, 24, 28],
        batch_size=5,
        executor=executor,
        round_batch=round_batch,
        **TRAIN,
    )
    with mx.io.ImageRecordIter(**arguments) as iterator:
        whole, states = [], []
        for _ in range(9):
            states.append(iterator.state_dict())
            whole += trace(iterator, 1)
        whole += trace(iterator, 4)
    for stop in (0, 2, 3, 6):
        state = json.dumps(states[stop])
        done = subprocess.run(
            [sys.executable, "-c", RESUME, json.dumps(arguments), state, "6"],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.stdout.splitlines() == whole[stop : stop + 6], done.stderr
        if executor == "dali":
            break  # one new process suffices: what follows is the same code


def test_a_state_resumes_with_another_number_of_global_parts() -> None:
    with open_iter(**TRAIN, partition="global", batch_size=4) as whole:
        whole.next()
        state = whole.state_dict()
        expected = [whole.next().index.tolist() for _ in range(1)]
    for part in range(2):
        with open_iter(
            **TRAIN, partition="global", batch_size=2, num_parts=2, part_index=part
        ) as half:
            half.load_state_dict(state)
            assert half.next().index.tolist() == expected[0][2 * part : 2 * part + 2]


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"shuffle": False}, {"num_parts": 2}, {"round_batch": False}], ids=str
)
def test_a_state_of_another_order_is_refused(change: dict[str, Any]) -> None:
    with open_iter(**TRAIN) as iterator:
        state = iterator.state_dict()
    with (
        open_iter(**{**TRAIN, **change}) as other,
        pytest.raises(StateError, match="was saved with"),
    ):
        other.load_state_dict(state)


def test_a_state_of_other_data_is_refused(tmp_path: Path) -> None:
    files = write_records(tmp_path / "other", [jpeg(number) for number in range(12)])
    with open_iter() as iterator, open_iter(**files) as other:
        with pytest.raises(StateError, match="data"):
            other.load_state_dict(iterator.state_dict())
        for state in ({}, {"version": 9}, None):
            with pytest.raises(StateError):
                other.load_state_dict(state)


# ---------------------------------------------------------------- threads and processes


def gpuio_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("gpuio-")]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_close_ends_every_thread_and_may_be_called_twice(executor: str) -> None:
    iterator = open_iter(executor=executor)
    iterator.next()
    assert gpuio_threads()
    iterator.close()
    assert not gpuio_threads()
    iterator.close()
    with pytest.raises(Error, match="closed"):
        iterator.next()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_forgotten_iterator_leaves_no_thread(executor: str) -> None:
    iterator = open_iter(executor=executor)
    iterator.next()
    del iterator
    gc.collect()
    deadline = time.monotonic() + 20
    while gpuio_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not gpuio_threads()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_interpreter_ends_with_an_open_iterator(executor: str) -> None:
    code = f"""
import gpuio as mx
iterator = mx.io.ImageRecordIter(path_imgrec={str(GOLDEN / "img.rec")!r}, data_shape=(3, 200, 200), batch_size=200,
                                 prefetch_buffer=50, round_batch=False, executor={executor!r})
iterator.next()
print("bye")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout) == (0, "bye\n"), done.stderr


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
def test_another_process_is_told_so() -> None:
    code = f"""
import os, sys
import gpuio as mx
iterator = mx.io.ImageRecordIter(path_imgrec={str(GOLDEN / "img.rec")!r}, data_shape=(3, 8, 8), batch_size=2)
iterator.next()
child = os.fork()
if not child:
    try:
        iterator.next()
    except mx.MXNetError as error:
        os._exit(7 if "another process" in str(error) else 1)
    os._exit(2)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
iterator.next()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "7\n", done.stderr


def test_two_iterators_at_once_and_a_reset_while_batches_are_ahead() -> None:
    with open_iter(**TRAIN) as left, open_iter(**TRAIN) as right:
        for _ in range(6):
            np.testing.assert_array_equal(
                left.next().data[0].asnumpy(), right.next().data[0].asnumpy()
            )
            left.reset()
            right.reset()


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"data_shape": (24, 28)}, ArgumentError, "channels, height, width"),
        ({"data_shape": (2, 24, 28)}, ArgumentError, "channels"),
        ({"data_shape": (3, 0, 28)}, ArgumentError, "data_shape"),
        ({"batch_size": 0}, ArgumentError, "batch_size"),
        ({"batch_size": "4"}, ArgumentError, "batch_size"),
        ({"batch_size": 25}, ArgumentError, "round_batch=False"),
        ({"label_width": 0}, ArgumentError, "label_width"),
        ({"resize": 0}, ArgumentError, "resize"),
        ({"inter_method": 7}, ArgumentError, "inter_method"),
        ({"preprocess_threads": 0}, ArgumentError, "preprocess_threads"),
        ({"prefetch_buffer": 0}, ArgumentError, "prefetch_buffer"),
        ({"num_parts": 0}, ArgumentError, "num_parts"),
        ({"num_parts": 2, "part_index": 2}, ArgumentError, "part_index"),
        ({"num_parts": "all"}, ArgumentError, "num_parts"),
        ({"num_parts": 5, "part_index": 4}, ArgumentError, "has no records"),
        ({"partition": "random"}, ArgumentError, "partition"),
        ({"dtype": "float64"}, ArgumentError, "float64"),
        ({"layout": "CHWN"}, ArgumentError, "CHWN"),
        ({"std_r": 0.0}, ArgumentError, "std"),
        ({"on_error": "ignore"}, ArgumentError, "on_error"),
        ({"last_batch_handle": "drop"}, ArgumentError, "last_batch_handle"),
        ({"executor": "cuda"}, ArgumentError, "executor"),
        ({"random_resized_crop": True, "rand_crop": True}, ArgumentError, "exclude"),
        ({"min_random_area": 0.5}, ArgumentError, "random_resized_crop"),
        ({"max_aspect_ratio": 0.2}, UnsupportedError, "max_aspect_ratio"),
        ({"rotate": 30}, UnsupportedError, "rotate"),
        ({"pad": 4}, UnsupportedError, "pad"),
        ({"brightness": 0.1}, UnsupportedError, "brightness"),
        ({"rand_miror": True}, TypeError, "did you mean rand_mirror"),
        ({"path_imgrec": "nowhere.rec"}, RecordFileNotFoundError, "nowhere.rec"),
        ({"path_imgidx": "nowhere.idx"}, RecordFileNotFoundError, "nowhere.idx"),
        ({"ctx": "tpu"}, (ArgumentError, ContextError), "tpu"),
    ],
    ids=str,
)
def test_bad_arguments(changes: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        open_iter(**changes)
    assert not gpuio_threads()


def test_mxnets_defaults_of_options_to_come_are_accepted() -> None:
    with open_iter(rotate=-1, pad=0, brightness=0, mean_img="", fill_value=255) as iterator:
        iterator.next()


@pytest.mark.skipif(mx.num_gpus() > 0, reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said_so() -> None:
    with pytest.raises(ContextError, match=r"gpuio\[cuda1"):
        open_iter(ctx=mx.gpu(0))
    with pytest.raises(ContextError), mx.gpu(0):
        open_iter()


def test_fixed_dtype_names() -> None:
    files = dict(path_imgrec=GOLDEN / "img.rec", data_shape=(3, 8, 8), batch_size=2)
    with (
        mx.io.ImageRecordUInt8Iter(**files) as unsigned,
        mx.io.ImageRecordInt8Iter(**files) as signed,
    ):
        assert unsigned.next().data[0].dtype == np.uint8 and signed.next().data[0].dtype == np.int8
