"""ImageRecordIter's batches, epochs, sources, labels and arguments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    ContextError,
    DecodeError,
    Error,
    RecordError,
    RecordFileNotFoundError,
    StateError,
)
from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack
from tests.io.records import (
    EXECUTORS,
    GOLDEN,
    RUNS,
    TRAIN,
    jpeg,
    open_iter,
    write_records,
)
from tests.io.threads import gpuio_threads


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
        data, label = iterator.getdata(), iterator.getlabel()  # as MXNet's C++ iterators, no lists
        assert data.shape == (5, 3, 24, 28) and label.shape == (5,)
        assert iterator.getpad() == 0 and iterator.getindex().tolist() == [0, 10, 20, 30, 40]
        assert iterator.iter_next() and iterator.iter_next() and iterator.getpad() == 3
        assert not iterator.iter_next()
        assert iter(iterator) is iterator


def test_batches_are_ndarrays_where_ctx_says(ctx: mx.Context) -> None:
    with open_iter(ctx=ctx) as iterator:
        batch = iterator.next()
    for array in (*batch.data, *batch.label):
        assert isinstance(array, mx.nd.NDArray) and array.context == ctx
    assert batch.index.dtype == np.uint64 and batch.label[0].dtype == np.float32


def test_a_batch_is_never_overwritten(ctx: mx.Context) -> None:
    with open_iter(**TRAIN, ctx=ctx) as iterator:
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
def test_dtypes_and_layouts(dtype: str, layout: str, ctx: mx.Context) -> None:
    with (
        open_iter(ctx=ctx) as plain,
        open_iter(dtype=dtype, layout=layout, mean_r=3.0, ctx=ctx) as iterator,
    ):
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
    for executor in ("host", "dali"):
        with open_iter(**files, data_shape=(4, 30, 40), batch_size=2, **RUNS[executor]) as iterator:
            np.testing.assert_array_equal(
                iterator.next().data[0].asnumpy(), pixels.transpose(0, 3, 1, 2)
            )
    with (
        open_iter(data_shape=(4, 24, 24)) as iterator,
        pytest.raises(DecodeError, match="3 channels, data_shape asks for 4"),
    ):
        iterator.next()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_gray_jpegs_are_no_rgba(executor: str, tmp_path: Path) -> None:
    """DALI takes them for that, and damages its memory."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), np.uint8)
    rgba = cv2.imencode(".png", pixels)[1].tobytes()
    files = write_records(tmp_path / "gray", [rgba, jpeg(1, 40, 30, mode="L")] * 4)
    options = {"data_shape": (4, 24, 24), "batch_size": 8, "on_error": "skip", **RUNS[executor]}
    with open_iter(**files, **options) as iterator:
        assert iterator.next().pad == 4
        assert "1 channels, data_shape asks for 4" in iterator.bad_records[0].reason


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_has_no_alpha_is_no_rgba(executor: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), np.uint8)
    rgba = cv2.imencode(".png", pixels)[1].tobytes()
    files = write_records(tmp_path / "x", [rgba, jpeg(1, 40, 30), rgba, b"", rgba, b"none"])
    options = {"data_shape": (4, 24, 24), "batch_size": 6, "on_error": "skip", **RUNS[executor]}
    with open_iter(**files, **options) as iterator:
        batch = iterator.next()
        assert batch.pad == 3 and batch.index.tolist()[:3] == [0, 20, 40]
        expected = pixels[3:27, 8:32, [2, 1, 0, 3]].transpose(2, 0, 1)
        for row in range(3):
            np.testing.assert_array_equal(batch.data[0].asnumpy()[row], expected)


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


def write_faces(path: Path, labels: Sequence[float | Sequence[float]]) -> dict[str, Path]:
    """The layout of MS1MV3 and its like: a header record, the images, then identity records with
    key ranges.
    """
    files = {"path_imgrec": path.with_suffix(".rec"), "path_imgidx": path.with_suffix(".idx")}
    with MXIndexedRecordIO(files["path_imgidx"], files["path_imgrec"], "w") as writer:
        writer.write_idx(0, pack(IRHeader(0, [5.0, 7.0], 0, 0), b""))
        for key, label in zip(range(1, 5), labels, strict=True):
            writer.write_idx(key, pack(IRHeader(0, label, key, 0), jpeg(key)))
        for key, keys in ((5, [1.0, 3.0]), (6, [3.0, 5.0])):
            writer.write_idx(key, pack(IRHeader(0, keys, key, 0), b""))
    return files


@pytest.mark.parametrize(
    "labels", [[0.0, 0.0, 1.0, 1.0], [[0.0, 0.0], 0.0, [1.0, 0.0], [1.0, 0.0]]]
)
def test_face_data_sets_yield_their_images_only(
    tmp_path: Path, labels: list[float | list[float]]
) -> None:
    """With the identity as label, also where it is the first of several numbers."""
    with open_iter(**write_faces(tmp_path / "face", labels), batch_size=4) as iterator:
        (batch,) = iterator
        assert batch.index.tolist() == [1, 2, 3, 4]
        assert iterator.provide_label[0].shape == (4,)
        assert batch.label[0].asnumpy().tolist() == [0, 0, 1, 1]


def test_face_data_sets_yield_their_whole_label_if_asked(tmp_path: Path) -> None:
    files = write_faces(tmp_path / "face", [[0.0, 7.0], [0.0, 8.0], [1.0, 9.0], [1.0, 6.0]])
    with open_iter(**files, batch_size=4, label_width=2) as iterator:
        assert iterator.next().label[0].asnumpy().tolist() == [[0, 7], [0, 8], [1, 9], [1, 6]]


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


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"data_shape": (24, 28)}, ArgumentError, "channels, height, width"),
        ({"data_shape": (2, 24, 28)}, ArgumentError, "channels"),
        ({"data_shape": (3, 0, 28)}, ArgumentError, "data_shape"),
        ({"batch_size": 0}, ArgumentError, "batch_size"),
        ({"batch_size": "4.5"}, ArgumentError, "batch_size"),
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
        ({"dtype": "bogus"}, ArgumentError, "bogus"),
        ({"layout": "CHWN"}, ArgumentError, "CHWN"),
        ({"std_r": 0.0}, ArgumentError, "std"),
        ({"on_error": "ignore"}, ArgumentError, "on_error"),
        ({"last_batch_handle": "drop"}, ArgumentError, "last_batch_handle"),
        ({"executor": "cuda"}, ArgumentError, "executor"),
        ({"random_resized_crop": True, "rand_crop": True}, ArgumentError, "exclude"),
        ({"random_resized_crop": True, "max_crop_size": 9}, ArgumentError, "max_crop_size"),
        ({"random_resized_crop": True, "max_random_scale": 2}, ArgumentError, "max_random_scale"),
        ({"max_crop_size": 9}, ArgumentError, "given together"),
        ({"min_crop_size": 9, "max_crop_size": 8}, ArgumentError, "1 <= min <= max"),
        ({"max_aspect_ratio": 1}, ArgumentError, "aspect ratios"),
        ({"min_aspect_ratio": 0, "max_aspect_ratio": 1}, ArgumentError, "aspect ratios"),
        ({"min_random_scale": 0}, ArgumentError, "min_random_scale"),
        ({"max_img_size": 0}, ArgumentError, "max_img_size"),
        ({"min_img_size": 9, "max_img_size": 8}, ArgumentError, "min <= max"),
        ({"rotate": 30.5}, ArgumentError, "rotate must be an integer"),
        ({"rotate_list": "0,x"}, ArgumentError, "rotate_list must be integers"),
        ({"rotate_list": 90}, ArgumentError, "rotate_list must be integers"),
        ({"rotate": 30, "antialias": True}, ArgumentError, "antialias"),
        ({"max_shear_ratio": -0.1}, ArgumentError, "max_shear_ratio must be at least 0"),
        ({"brightness": -1}, ArgumentError, "brightness must be at least 0"),
        ({"brightness": 0.1, "data_shape": (1, 8, 8)}, ArgumentError, "need 3 channels, not 1"),
        ({"random_h": 0.5}, ArgumentError, "random_h must be an integer"),
        ({"pca_noise": 1, "data_shape": (4, 8, 8)}, ArgumentError, "need 3 channels, not 4"),
        ({"shuffle_chunk_size": -1}, ArgumentError, "shuffle_chunk_size must be at least 0"),
        ({"aug_seq": "mine"}, ArgumentError, "aug_seq"),
        ({"fill_value": "black"}, ArgumentError, "fill_value must be an integer"),
        ({"rand_mirror": "yes"}, ArgumentError, "rand_mirror must be True or False"),
        ({"shuffle": 2}, ArgumentError, "shuffle must be True, False or 'blocks'"),
        ({"mean_r": "12%"}, ArgumentError, "mean_r must be a finite number"),
        ({"scale": float("nan")}, ArgumentError, "scale must be a finite number"),
        ({"hw_decoder_load": 1.5}, ArgumentError, "hw_decoder_load"),
        ({"seed": 0.5}, ArgumentError, "seed must be an integer"),
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


def test_a_file_without_records(tmp_path: Path) -> None:
    (tmp_path / "empty.rec").touch()
    with pytest.raises(ArgumentError, match=r"empty\.rec: there are no records"):
        open_iter(path_imgrec=tmp_path / "empty.rec", path_imgidx=None)


def test_mxnets_defaults_are_accepted() -> None:
    with open_iter(rotate=-1, pad=0, brightness=0, mean_img="", fill_value=255) as iterator:
        iterator.next()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fill_value": 0}, "fill_value has no effect without pad"),
        ({"max_random_area": 0.5, "min_random_area": 0.5}, "max_random_area has no effect without"),
        ({"pad": -1}, "pad has no effect below 0"),
        ({"rotate": -30}, "rotate has no effect unless"),
        ({"device_id": 3}, "device_id has no effect because ctx is the device"),
        ({"shuffle": True, "shuffle_chunk_size": 4}, "shuffle_chunk_size has no effect with sh"),
        ({"shuffle_chunk_size": 4}, "shuffle_chunk_size has no effect with path_imgidx"),
        ({"shuffle_chunk_seed": 4}, "shuffle_chunk_seed has no effect without chunks"),
        ({"dtype": "uint8", "max_random_contrast": 0.1}, "max_random_contrast has no effect with"),
    ],
    ids=str,
)
def test_options_without_effect_are_logged(
    options: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="gpuio"):
        open_iter(**options, verbose=False).close()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("ImageRecordIter: ") and words in line
    caplog.clear()
    with caplog.at_level("INFO", logger="gpuio"):
        open_iter(fill_value=0, pad=2, rotate=30, verbose=False).close()
    assert not caplog.records


def test_chunks_come_in_another_order_each_epoch(tmp_path: Path) -> None:
    padding = bytes(np.random.default_rng(0).integers(0, 256, 200_000, np.uint8))
    files = write_records(tmp_path / "x", [jpeg(number) + padding for number in range(24)])
    options = {**files, "path_imgidx": None, "shuffle_chunk_size": 1, "batch_size": 4}
    with open_iter(**options) as iterator:
        orders = []
        for _ in range(2):
            orders.append([key for batch in iterator for key in batch.label[0].asnumpy().tolist()])
            iterator.reset()
    assert all(sorted(order) == list(range(24)) for order in orders)
    assert orders[0] != orders[1] and orders[0] != sorted(orders[0])
    with open_iter(**options, shuffle_chunk_seed=1) as other, open_iter(**options) as same:
        assert [label for batch in other for label in batch.label[0].asnumpy()] != orders[0]
        same.next()
        state = same.state_dict()
        rest = [label for batch in same for label in batch.label[0].asnumpy()]
        assert rest == orders[0][4:]
        same.load_state_dict(state)
        assert [label for batch in same for label in batch.label[0].asnumpy()] == rest
        with pytest.raises(StateError):
            other.load_state_dict(state)


def test_an_image_below_max_crop_size_is_a_bad_record(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(0, 60, 50), jpeg(1, 60, 39), jpeg(2, 60, 50)])
    options = {**files, "min_crop_size": 20, "max_crop_size": 40, "batch_size": 3}
    with open_iter(**options) as iterator, pytest.raises(RecordError, match=r"60 x 39 .*_size, 40"):
        iterator.next()
    with open_iter(**options, on_error="skip") as iterator:
        assert iterator.next().label[0].asnumpy().tolist()[:2] == [0, 2]
    with open_iter(**options, pad=1) as iterator:
        assert iterator.next().pad == 0


def test_options_may_be_strings_as_in_mxnet() -> None:
    options = {"resize": "40", "scale": "0.5", "shuffle": "True", "seed": "3"}
    with open_iter(**options, data_shape="(3, 24, 28)", batch_size="4") as iterator:
        found = iterator.next().data[0].asnumpy()
    with open_iter(resize=40, scale=0.5, shuffle=True, seed=3, batch_size=4) as iterator:
        np.testing.assert_array_equal(found, iterator.next().data[0].asnumpy())


def test_older_implementations_have_their_names() -> None:
    assert mx.io.ImageRecordIter_v1 is mx.io.ImageRecordIter
    assert mx.io.ImageRecordUInt8Iter_v1 is mx.io.ImageRecordUInt8Iter


@pytest.mark.skipif(mx.num_gpus() > 0, reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said_so() -> None:
    with pytest.raises(ContextError, match=r"gpuio\[cuda1|nvidia-smi"):
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
