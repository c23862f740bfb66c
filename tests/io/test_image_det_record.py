"""ImageDetRecordIter: MXNet's batches; boxes follow pixels; options, mistakes, both executors."""

import ast
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuio as mx
from gpuio.errors import ArgumentError, Error, RecordError
from tests.close import GPU_DECODER, Tolerance, assert_images_close
from tests.distributions import distance, largest_distance
from tests.golden import make_detrec_stats as stats
from tests.image.golden import DATA, call_of, manifest, results
from tests.io.records import EXECUTORS, RUNS, jpeg, write_records

CASES = ["default", "pad20", "fit", "shrink", "meanstd"]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_batches_are_those_of_mxnet(name: str, executor: str) -> None:
    case = manifest(f"ImageDetRecordIter_{name}")
    expected = results(case["outputs"][0])
    _, _, options, _ = call_of(case)
    tolerance = Tolerance(0, 0) if executor == "host" else Tolerance(1, 0.2)
    if executor == "gpu":
        tolerance = tolerance.widened(GPU_DECODER)

    with mx.io.ImageDetRecordIter(**options, **RUNS[executor]) as iterator:
        for described, key in ((iterator.provide_data, "data"), (iterator.provide_label, "label")):
            assert [(each.name, list(each.shape)) for each in described] == [
                (each["name"], each["shape"]) for each in case[f"provide_{key}"]
            ]
        for number, batch in enumerate(iterator):
            labels = expected[f"l0_{number}"]
            np.testing.assert_array_equal(batch.label[0].asnumpy(), labels)
            pixels = expected[f"d0_{number}"].astype(np.float32)
            assert_images_close(batch.data[0].asnumpy(), pixels, tolerance)
        assert number + 1 == sum(key.startswith("d0_") for key in expected)


def files(folder: Path, pictures: list[bytes], labels: list[Any]) -> dict[str, Path]:
    return write_records(folder / "x", pictures, labels)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures with one to four objects each, and a number behind each box."""
    generator = np.random.default_rng(1)
    pictures, labels = [], []
    for number in range(24):
        pictures.append(jpeg(number, 140 + number, 120 + number // 2))
        boxes: list[float] = []
        for box in range(1 + number % 4):
            corner, size = generator.uniform(0, 0.5, 2), generator.uniform(0.1, 0.5, 2)
            boxes += [box, *corner, *(corner + size), number]
        labels.append([3, 6, 0.5, *boxes])
    return files(tmp_path_factory.mktemp("objects"), pictures, labels)


def opened(objects: dict[str, Path], **options: Any) -> mx.io.ImageDetRecordIter:
    values: dict[str, Any] = {**objects, "data_shape": (3, 96, 112), "batch_size": 8}
    return mx.io.ImageDetRecordIter(**{**values, **options})


def read(iterator: Any) -> tuple[np.ndarray, np.ndarray]:
    with iterator:
        batches = [(each.data[0].asnumpy(), each.label[0].asnumpy()) for each in iterator]
    return tuple(map(np.concatenate, zip(*batches, strict=True)))  # type: ignore[return-value]


GEOMETRY: dict[str, dict[str, Any]] = {
    "mirror": {"rand_mirror_prob": 0.5},
    "pad": {"rand_pad_prob": 1, "max_pad_scale": 3, "rand_mirror_prob": 0.5, "fill_value": 7},
    "crop": {"rand_crop_prob": 1, "min_crop_scales": 0.3, "min_crop_overlaps": 0.05},
    "samplers": {
        "rand_crop_prob": 0.9,
        "num_crop_sampler": 3,
        "min_crop_scales": (0.2, 0.3, 0.5),
        "min_crop_aspect_ratios": 0.5,
        "max_crop_aspect_ratios": 2.0,
        "min_crop_object_coverages": (0.0, 0.3, 0.7),
        "crop_emit_mode": "overlap",
    },
    "all": {
        "resize": 100,
        "rand_mirror_prob": 0.5,
        "rand_pad_prob": 0.5,
        "max_pad_scale": 2.0,
        "rand_crop_prob": 0.7,
        "min_crop_scales": 0.4,
    },
    "fit": {"resize_mode": "fit", "rand_crop_prob": 1, "min_crop_scales": 0.3},
    "shrink": {"resize_mode": "shrink", "rand_crop_prob": 1, "min_crop_scales": 0.3},
}
COLOURS: dict[str, dict[str, Any]] = {
    "hue": {"max_random_hue": 40, "random_hue_prob": 0.8},
    "saturation": {"max_random_saturation": 80, "random_saturation_prob": 1},
    "illumination": {"max_random_illumination": 60, "random_illumination_prob": 1},
    "contrast": {"max_random_contrast": 0.6, "random_contrast_prob": 1},
}


@pytest.mark.parametrize("other", EXECUTORS[1:])
@pytest.mark.parametrize("name", [*GEOMETRY, *COLOURS])
def test_executors_agree(name: str, other: str, objects: dict[str, Path]) -> None:
    options = {**GEOMETRY, **COLOURS}[name]
    pixels, labels = read(opened(objects, **options))
    made, made_labels = read(opened(objects, **options, **RUNS[other]))
    np.testing.assert_array_equal(made_labels, labels)
    tolerance = Tolerance(2, 0.3)
    if name in COLOURS:
        # The hue of a nearly gray pixel is arbitrary; saturation then moves it by up to 80.
        tolerance = Tolerance(80, 1.0)
    if other == "gpu":
        tolerance = tolerance.widened(GPU_DECODER.scaled(3 if name in COLOURS else 1))
    assert_images_close(made, pixels, tolerance)
    plain, plain_labels = read(opened(objects))
    if name in COLOURS:
        np.testing.assert_array_equal(labels, plain_labels)
        assert np.abs(pixels - plain).mean() > 2
    else:
        assert not np.array_equal(labels, plain_labels)


SIDES = st.integers(0, 40)


@pytest.mark.parametrize("name", GEOMETRY)
@settings(max_examples=25, deadline=None)
@given(
    corners=st.lists(st.tuples(SIDES, SIDES, SIDES, SIDES), min_size=1, max_size=3),
    seed=st.integers(0, 2**31),
)
def test_boxes_follow_pixels(
    name: str, corners: list[Any], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each object alone is painted, and found again where its box is."""
    height, width = 60, 80
    boxes = [(x, y, min(x + w + 6, width), min(y + h + 6, height)) for x, y, w, h in corners]
    label = [2, 5]
    for number, box in enumerate(boxes):
        label += [number, *(np.array(box) / [width, height, width, height])]
    pictures = []
    for left, top, right, bottom in boxes:
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[top:bottom, left:right] = 255
        pictures.append(cv2.imencode(".png", pixels)[1].tobytes())
    options = {**GEOMETRY[name], "seed": seed, "data_shape": (3, 60, 80), "inter_method": 0}
    options.pop("fill_value", None)
    narrowest = np.min(options.get("min_crop_scales", 1.0)) * np.sqrt(
        options.get("min_crop_aspect_ratios", 1.0)
    )
    enlarged = max(4, 1 / narrowest)
    for number, picture in enumerate(pictures):
        folder = tmp_path_factory.mktemp("painted")
        made, labels = read(
            opened(files(folder, [picture], [label]), **options, fill_value=0, batch_size=1)
        )
        rows, columns = np.nonzero(made[0, 0] > 127)
        row = labels[0]
        high, wide, count = row[1:4].astype(int)
        after = row[6 : 4 + count].reshape(-1, 5)
        there = after[after[:, 0] == number]
        if not len(there):
            continue
        assert len(there) == 1
        sides = np.array([wide, high, wide, high])
        expected = there[0, 1:] * sides
        # A crop's or canvas's side is rounded to a pixel of the source, which the resize enlarges.
        rounding = 2 + enlarged * sides / 60
        if not len(rows):
            assert (expected[2:] - expected[:2] <= rounding[:2]).any()  # hardly any of it was left
            continue
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert (np.abs(found - expected) <= rounding).all(), (found, expected)


MEASURED = json.loads((DATA.parent / "detrec_stats.json").read_text())["cases"]

# At 0.1 %, and what keeping every eighth value of one sample can add.
COUNT = 800
DISTANCE = largest_distance(COUNT, stats.COUNT, 0.001) + stats.EVERY / stats.COUNT


@pytest.mark.parametrize("name", stats.CASES)
def test_draws_are_distributed_as_mxnets(name: str, tmp_path: Path) -> None:
    case = stats.CASES[name]
    path = stats.write(str(tmp_path), case, mx.recordio)
    options = {
        option: ast.literal_eval(value) if str(value).startswith("(") else value
        for option, value in case.items()
    }
    shape = (3, stats.HEIGHT, stats.WIDTH)
    rows: list[Any] = []
    with mx.io.ImageDetRecordIter(
        path_imgrec=path, data_shape=shape, batch_size=100, inter_method=0, seed=1, **options
    ) as iterator:
        while len(rows) < COUNT:
            for batch in iterator:
                pixels, labels = batch.data[0].asnumpy(), batch.label[0].asnumpy()
                rows += [stats.measure(*each) for each in zip(pixels, labels, strict=True)]
            iterator.reset()
    for ours, theirs in zip(zip(*rows, strict=True), MEASURED[name], strict=True):
        assert distance(np.sort(ours), np.array(theirs)) < DISTANCE


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_other_channels(channels: int, executor: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), np.uint8)
    picture = cv2.imencode(".png", pixels if channels == 4 else pixels[:, :, :1])[1].tobytes()
    made, labels = read(
        opened(
            files(tmp_path, [picture], [[2, 5, 1, 0.1, 0.2, 0.6, 0.7]]),
            data_shape=(channels, 60, 40),
            resize_mode="fit",
            max_random_contrast=0.5,
            random_contrast_prob=1,
            batch_size=1,
            **RUNS[executor],
        )
    )
    assert labels[0].tolist()[:4] == [channels, 30, 40, 7]
    assert not made[0, :, 30:].any()
    gain = made[0, :, :30].sum() / pixels[:, :, :channels].sum()
    assert 0.5 < gain < 1.5 and abs(gain - 1) > 0.01


def test_sizes_are_rounded_down_as_float32_has_them(tmp_path: Path) -> None:
    picture = cv2.imencode(".png", np.full((182, 260), 9, np.uint8))[1].tobytes()
    records = files(tmp_path, [picture], [[2, 5, 0, 0.1, 0.1, 0.5, 0.5]])
    options = {"data_shape": (3, 300, 300), "batch_size": 1, "resize_mode": "fit"}
    made, labels = read(opened(records, **options))
    assert labels[0, 1:3].tolist() == [210, 300]  # 209 in float64
    assert (made[0, :, :210] == 9).all() and not made[0, :, 210:].any()


def test_a_canvas_has_its_level_and_what_is_left_free_has_none(tmp_path: Path) -> None:
    picture = cv2.imencode(".png", np.full((40, 40, 3), 200, np.uint8))[1].tobytes()
    records = files(tmp_path, [picture], [[2, 5, 0, 0, 0, 1, 1]])
    options: dict[str, Any] = {
        **{"data_shape": (3, 60, 100), "batch_size": 1, "resize_mode": "fit", "fill_value": 50},
        **{"rand_pad_prob": 1, "max_pad_scale": 4, "rand_mirror_prob": 1, "inter_method": 0},
    }
    for executor in ("host", "dali"):
        made, labels = read(opened(records, **options, **RUNS[executor]))
        rows, columns = labels[0, 1:3].astype(int)
        assert set(np.unique(made[0, :, :rows, :columns])) == {50, 200}
        assert not made[0, :, rows:].any() and not made[0, :, :, columns:].any()
        shown = np.nonzero(made[0, 0] == 200)
        found = [shown[1].min(), shown[0].min(), shown[1].max() + 1, shown[0].max() + 1]
        assert np.abs(found - labels[0, 7:11] * 60).max() <= 2


def test_labels_of_a_list_and_of_any_length(tmp_path: Path) -> None:
    boxes = [0, 0.1, 0.1, 0.5, 0.5]
    labels = [[2, 5], [2, 5, *boxes], [2, 5, *boxes, 1, 0.5, 0.5, 0.5, 0.9, *boxes]]
    records = files(tmp_path, [jpeg(n) for n in range(3)], labels)
    _, rows = read(opened(records, batch_size=3, label_pad_value=-5))
    assert rows.shape == (3, 4 + 17)
    # The second object of the third has no area.
    assert rows[:, 3].tolist() == [2, 7, 12]
    assert (rows[0, 6:] == -5).all() and (rows[2, 16:] == -5).all()
    np.testing.assert_array_equal(rows[2, 6:16], np.float32([*boxes, *boxes]))
    _, wide = read(opened(records, batch_size=3, label_pad_width=30))
    assert wide.shape == (3, 34)
    listed = tmp_path / "x.lst"
    listed.write_text("".join(f"{n} 2 5 {n} .2 .2 .4 .4 a.jpg\n\n" for n in (0, 10, 20)))
    _, rows = read(opened(records, batch_size=3, path_imglist=listed))
    assert rows.shape == (3, 11) and rows[:, 6].tolist() == [0, 10, 20]
    listed.write_text("0 2 5 0 .2 .2 .4 .4 a.jpg\n")
    with pytest.raises(RecordError, match="no line for the record's id 10"):
        read(opened(records, batch_size=3, path_imglist=listed))


def test_every_part_has_room_for_the_longest_label(tmp_path: Path) -> None:
    box = [0, 0.1, 0.1, 0.5, 0.5]
    labels = [[2, 5, *box], [2, 5, *box * 4]]
    records = files(tmp_path, [jpeg(n) for n in range(2)], labels)
    for part in range(2):
        _, rows = read(opened(records, batch_size=1, num_parts=2, part_index=part))
        assert rows.shape == (1, 4 + 22)


def test_a_header_that_lies_does_not_make_room(tmp_path: Path) -> None:
    records = files(tmp_path, [jpeg(n) for n in range(2)], [[2, 5, 0, 0.1, 0.1, 0.5, 0.5]] * 2)
    with open(records["path_imgrec"], "r+b") as file:
        file.seek(8)
        file.write((10**9).to_bytes(4, "little"))
    with opened(records, batch_size=1, on_error="skip") as iterator:
        assert iterator.provide_label[0].shape == (1, 11)
        assert len(list(iterator)) == 1 and len(iterator.bad_records) == 1


@pytest.mark.parametrize("policy", ["skip", "substitute"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_bad_records(policy: str, executor: str, tmp_path: Path) -> None:
    good = [2, 5, 0, 0.1, 0.1, 0.5, 0.5]
    pictures = [jpeg(0), b"", jpeg(2)[:30], jpeg(3), b"no image", jpeg(5)]
    labels = [good, good, good, 7.0, good, [2, 5, 1, 0.1, 0.1, 0.5, 0.5]]
    records = files(tmp_path, pictures, labels)
    options = {**RUNS[executor], "batch_size": 6}
    with (
        opened(records, **options) as iterator,
        pytest.raises(Error, match=r"key 10, .*there is no"),
    ):
        iterator.next()
    with opened(records, **options, on_error=policy) as iterator:
        batch = iterator.next()
        assert [bad.key for bad in iterator.bad_records] == [10, 20, 30, 40]
        assert "a detection label begins with" in iterator.bad_records[2].reason
        classes = batch.label[0].asnumpy()[:, 6].tolist()
        if policy == "skip":
            assert batch.pad == 4 and classes[:2] == [0, 1]
        else:
            assert batch.pad == 0 and classes == [0, 1, 1, 1, 1, 1]


MISTAKES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "chance": ({"rand_crop_prob": 1.5}, ArgumentError, "rand_crop_prob is a probability"),
    "mode": ({"resize_mode": "stretch"}, ArgumentError, "'force', 'shrink' or 'fit'"),
    "emit": ({"crop_emit_mode": "x"}, ArgumentError, "'center' or 'overlap'"),
    "fill": ({"fill_value": 300}, ArgumentError, "fill_value must be 0 to 255"),
    "samplers": (
        {"num_crop_sampler": 3, "min_crop_scales": (0.1, 0.2)},
        ArgumentError,
        "min_crop_scales must have a value for each of 3 samplers, or one, not 2",
    ),
    "range": (
        {"min_crop_overlaps": 0.6, "max_crop_overlaps": 0.5},
        ArgumentError,
        "min_crop_overlaps must be at most max_crop_overlaps",
    ),
    "scale": ({"max_crop_scales": 2}, ArgumentError, "max_crop_scales must be at most 1"),
    "aspect": ({"min_crop_aspect_ratios": -1}, ArgumentError, "neither below 0"),
    "resize": ({"resize": 0}, ArgumentError, "resize must be at least 1"),
    "interpolation": ({"inter_method": 7}, ArgumentError, "inter_method must be one of"),
    "hue": (
        {"data_shape": (1, 9, 9), "max_random_hue": 3, "random_hue_prob": 1},
        ArgumentError,
        "need 3 channels, not 1",
    ),
    "room": ({"label_pad_width": 8}, ArgumentError, "no space for the longest label, of 27"),
    "width": ({"label_width": 0}, ArgumentError, "label_width must be at least 1, or -1"),
    "list": ({"path_imglist": "nowhere.lst"}, ArgumentError, "nowhere.lst cannot be read"),
    "unknown": ({"rand_mirror": 1}, TypeError, "did you mean rand_mirror_prob"),
    "common": ({"batch_size": 0}, ArgumentError, "batch_size must be at least 1"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str, objects: dict[str, Path]) -> None:
    options, kind, said = MISTAKES[name]
    with pytest.raises(kind, match=said):
        opened(objects, **options)
    default = {**options, "mean_img": ""} if name == "not yet" else {}
    with opened(objects, **default) as iterator:
        assert iterator.next().pad == 0


def test_labels_of_another_width_are_bad(objects: dict[str, Path]) -> None:
    with opened(objects, label_width=9, on_error="skip", batch_size=24) as iterator:
        assert iterator.next().pad == 18  # a quarter of them has one object
        assert "label_width asks for 9" in iterator.bad_records[0].reason


@pytest.mark.parametrize("executor", EXECUTORS[1:])
def test_a_batch_that_dali_refuses_is_no_other(executor: str, tmp_path: Path) -> None:
    """One of its pictures is in a format that only the host decodes."""
    pixels = np.random.default_rng(0).integers(40, 200, (60, 80, 3), np.uint8)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 3)
    rasters = [cv2.imencode(ending, pixels)[1].tobytes() for ending in (".ras", ".png", ".png")]
    records = files(tmp_path, rasters, [[2, 5, 0, 0.1, 0.1, 0.6, 0.6]] * 3)
    options = {
        **{"rand_pad_prob": 1, "max_pad_scale": 3, "batch_size": 3, "rand_mirror_prob": 0.5},
        **COLOURS["contrast"],
        **COLOURS["illumination"],
    }
    made, labels = read(opened(records, **options, **RUNS[executor]))
    expected, expected_labels = read(opened(records, **options))
    np.testing.assert_array_equal(labels, expected_labels)
    assert_images_close(made, expected, Tolerance(8, 1.0))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_crop_may_show_nothing_but_canvas(executor: str, tmp_path: Path) -> None:
    """As any may, of a picture without objects."""
    records = files(tmp_path, [jpeg(n, 64, 48) for n in range(8)], [[2, 5]] * 8)
    options = {
        **{"rand_pad_prob": 1, "max_pad_scale": 8, "rand_crop_prob": 1, "min_crop_scales": 0.1},
        **{"max_crop_scales": 0.2, "fill_value": 33, "inter_method": 4, "seed": 2},
    }
    made, labels = read(opened(records, **options, **RUNS[executor]))
    empty = (made == 33).all((1, 2, 3))
    assert empty.any() and not empty.all()
    assert (labels[:, 3] == 2).all()


MALFORMED: dict[str, list[float]] = {
    "no width": [2, np.nan, 0, 0.2, 0.2, 0.6, 0.7],
    "no header": [np.nan, 5],
    "infinite width": [2, np.inf, 0],
    "infinite": [np.inf] * 9,
    "huge width": [2, 1e30],
    "huge header": [1e30, 5],
    "fraction": [2.5, 5],
    "too long": [2, 5, *[0.0] * 5 * 2**16],
}
GOOD_LABEL = [2, 5, 0, 0.2, 0.2, 0.6, 0.7]


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_malformed_labels_are_bad_records(name: str, executor: str, tmp_path: Path) -> None:
    records = files(tmp_path, [jpeg(0), jpeg(1)], [GOOD_LABEL, MALFORMED[name]])
    with opened(records, batch_size=2, on_error="skip", **RUNS[executor]) as iterator:
        assert iterator.provide_label[0].shape[1] <= 4 + len(MALFORMED["infinite"])
        assert iterator.next().pad == 1
        (bad,) = iterator.bad_records
        assert bad.key == 10 and "a detection label" in bad.reason
    with (
        opened(records, batch_size=2, **RUNS[executor]) as iterator,
        pytest.raises(RecordError, match=r"x\.rec, key 10, byte \d+: .*a detection label"),
    ):
        iterator.next()


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_malformed_labels_are_bad_records_of_imagedetiter(
    name: str, executor: str, tmp_path: Path
) -> None:
    labels = [GOOD_LABEL, MALFORMED[name], GOOD_LABEL]
    records = files(tmp_path, [jpeg(0), jpeg(1), jpeg(2)], labels)
    options = {**records, **RUNS[executor]}
    with mx.image.ImageDetIter(3, (3, 24, 28), on_error="substitute", **options) as iterator:
        assert iterator.label_shape == (1, 5)
        label = iterator.next().label[0].asnumpy()
        np.testing.assert_array_equal(label, np.float32([[GOOD_LABEL[2:]]] * 3))
        (bad,) = iterator.bad_records
        assert bad.key == 10 and "a detection label" in bad.reason
    with pytest.raises(RecordError, match="key 10, byte"):
        mx.image.ImageDetIter(2, (3, 24, 28), **options)


def test_records_without_a_label_do_not_determine_its_shape(tmp_path: Path) -> None:
    """Nor do objects of another width than most."""
    other = [2, 6, 0, 0.2, 0.2, 0.6, 0.7, 1]
    records = files(tmp_path, [jpeg(n) for n in range(4)], [GOOD_LABEL, other, GOOD_LABEL, 7.0])
    content = bytearray(records["path_imgrec"].read_bytes())
    content[0] ^= 1  # the first record's magic
    records["path_imgrec"].write_bytes(content)
    with mx.image.ImageDetIter(4, (3, 24, 28), on_error="skip", **records) as iterator:
        assert iterator.label_shape == (1, 5)
        assert iterator.next().pad == 3
        assert [bad.key for bad in iterator.bad_records] == [0, 10, 30]


def test_paths_with_blanks_in_lists(tmp_path: Path) -> None:
    records = files(tmp_path, [jpeg(0)], [[2, 5]])
    listed = tmp_path / "x.lst"
    listed.write_text("0\t2\t5\t1\t.2\t.2\t.6\t.7\tmy dog 0.jpg\n")
    assert read(opened(records, batch_size=1, path_imglist=listed))[1][0, 6] == 1
    listed.write_text("0 2 5 1 .2 .2 .6 .7 my dog 0.jpg\n")
    options = {"batch_size": 1, "path_imglist": listed, "label_width": 7}
    assert read(opened(records, **options))[1][0, 6] == 1


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("interp", range(5))
def test_small_pictures_in_large_batches(interp: int, executor: str, tmp_path: Path) -> None:
    """What lies far beside the picture is not asked of DALI, which would read anything there."""
    generator = np.random.default_rng(0)
    sizes = [(1, 1), (1, 7), (5, 1), (3, 4), (9, 30), (64, 2)]
    pixels = [generator.integers(1, 256, (*size, 3), np.uint8) for size in sizes]
    encoded = [cv2.imencode(".png", each[:, :, ::-1])[1].tobytes() for each in pixels]
    records = files(tmp_path, encoded, [[2, 5, 0, 0, 0, 1, 1]] * len(sizes))
    options = {"data_shape": (3, 64, 30), "inter_method": interp, "resize_mode": "shrink"}
    for _ in range(5):
        made, labels = read(opened(records, **options, batch_size=6, **RUNS[executor]))
        for row, expected in enumerate(pixels):
            height, width = expected.shape[:2]
            assert labels[row, 1:3].tolist() == [height, width]
            shown = made[row].transpose(1, 2, 0)
            np.testing.assert_array_equal(shown[:height, :width], expected)
            assert not shown[height:].any() and not shown[:, width:].any()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_augmenters_leave_boxes_where_they_are(objects: dict[str, Path], executor: str) -> None:
    options = {**RUNS[executor], "rand_mirror_prob": 0.5, "resize_mode": "fit", "seed": 4}
    pixels, labels = read(opened(objects, **options))
    value = (9, 250, 101)
    erased, same = read(
        opened(objects, **options, augmenters=[mx.image.RandomErasing(1.0, value=value)])
    )
    np.testing.assert_array_equal(same, labels)
    for image, before in zip(erased, pixels, strict=True):
        rows, columns = np.nonzero((image != before).any(0))
        inside = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        assert (image[:, inside[0], inside[1]] == np.reshape(value, (3, 1, 1))).all()
        assert image[:, inside[0], inside[1]].size > 0.015 * image.size


def test_augmenters_come_in_their_order(objects: dict[str, Path]) -> None:
    double = mx.image.ColorJitter(brightness=(2, 2))
    erase = mx.image.RandomErasing(1.0, value=100)
    pixels, labels = read(opened(objects, max_random_contrast=0.4, random_contrast_prob=1))
    options = {"max_random_contrast": 0.4, "random_contrast_prob": 1}
    brighter, same = read(opened(objects, **options, augmenters=[double]))
    np.testing.assert_array_equal(same, labels)
    np.testing.assert_array_equal(brighter, (2 * pixels).clip(0, 255))
    first, _ = read(opened(objects, **options, augmenters=(erase, double)))
    last, _ = read(opened(objects, **options, augmenters=(double, erase)))
    assert (first[first != brighter] == 200).all() and (last[last != brighter] == 100).all()


@pytest.mark.parametrize(
    ("augmenters", "said"),
    [
        ([mx.image.RandAugment()], "cannot have RandAugment here: it moves pixels.*ColorJitter"),
        ([mx.image.TrivialAugmentWide()], "cannot have TrivialAugmentWide here"),
        ([mx.image.ColorJitterAug(1, 1, 1)], "takes ColorJitter and .*mx.image.ImageDetIter"),
        (mx.image.RandomErasing(), r"must be a list .* such as \[ColorJitter\(0.4\)\]"),
        ([mx.image.RandomErasing(value=(1, 2))], "one for each of 3 channels"),
    ],
)
def test_other_augmenters_are_refused(objects: dict[str, Path], augmenters: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        opened(objects, augmenters=augmenters)
