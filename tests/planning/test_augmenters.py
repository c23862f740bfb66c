"""Lists of augmenters as plans: the same batches as one augmenter after another, and on the other
executor.
"""

import logging
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import gpuio as mx
from gpuio.errors import ArgumentError, Error, RecordError
from gpuio.planning.augmenters import (
    AugmenterPlanner,
    augmenter_steps,
    check_shape,
    is_described,
    unplannable_reason,
)
from gpuio.planning.planner import Samples
from gpuio.sampling.sample_rng import SampleRng
from gpuio.tools.samples import make_samples
from tests.close import GPU_DECODER, LEVELS, Tolerance, assert_images_close
from tests.io.records import jpeg, write_records

I = mx.image  # noqa: E741

SHAPE = (3, 96, 112)
WIDTH, HEIGHT = 112, 96


class OneByOne(I.ImageIter):
    """Runs its augmenters one after another."""

    def augmentation_transform(self, data: Any) -> Any:
        return super().augmentation_transform(data)


class DetOneByOne(I.ImageDetIter):
    def augmentation_transform(self, data: Any, label: Any) -> Any:
        return super().augmentation_transform(data, label)


COLOURS = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.3, "pca_noise": 0.2}


def lists(interp: int) -> dict[str, list[Any]]:
    """By name, in one interpolation."""
    create = partial(I.CreateAugmenter, SHAPE, inter_method=interp)
    size = (WIDTH, HEIGHT)
    return {
        "centre": create(),
        "resize": create(resize=120),
        "normalised": create(resize=120, mean=True, std=True),
        "random crop": create(resize=130, rand_crop=True, rand_mirror=True),
        "random share": create(rand_crop=True, rand_resize=True, rand_mirror=True),
        "colours": create(resize=120, **COLOURS),
        "gray": create(resize=120, rand_gray=0.5, contrast=0.3, mean=True),
        "everything": create(
            rand_crop=True, rand_resize=True, rand_mirror=True, rand_gray=0.3, mean=True, std=True,
            **COLOURS,
        ),
        "forced": [I.ForceResizeAug(size, interp), I.HorizontalFlipAug(0.5)],
        "flips": [
            I.HorizontalFlipAug(0.5), I.RandomCropAug(size, interp), I.HorizontalFlipAug(0.5),
        ],
        "crops of crops": [
            I.HorizontalFlipAug(1), I.RandomCropAug((150, 130), interp),
            I.CenterCropAug((140, 120), interp), I.RandomCropAug(size, interp),
        ],
        "mixed order": [
            I.CenterCropAug(size, interp),
            I.RandomOrderAug([
                I.ContrastJitterAug(0.5),
                I.SequentialAug([I.HueJitterAug(0.5), I.ContrastJitterAug(0.5)]),
                I.ColorNormalizeAug([10, 20, 30], [2, 3, 4]), I.RandomGrayAug(0.5),
                I.HorizontalFlipAug(0.5),
            ]),
            I.CastAug(),
        ],
    }  # fmt: skip


LINEAR, CUBIC, BY_SIZE = 1, 2, 9
GEOMETRY = [(name, interp) for interp in (0, 2, 3, 4, 9) for name in ("resize", "random share")]
CASES = [(name, LINEAR) for name in lists(LINEAR)] + GEOMETRY


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("translation")
    make_samples(folder / "photographs", per_class=3)
    pictures = [path.read_bytes() for path in sorted(folder.glob("photographs/*/*.*"))]
    return write_records(folder / "x", [*pictures, jpeg(3, 160, 140, subsampling=0)])


def batch(kind: Any, files: dict[str, Path], augmenters: list[Any], **options: Any) -> np.ndarray:
    with kind(12, SHAPE, **files, aug_list=augmenters, seed=5, **options) as iterator:
        return np.concatenate([each.data[0].asnumpy() for each in iterator])


@pytest.mark.parametrize(("name", "interp"), CASES)
def test_a_plan_gives_what_one_after_another_gives(
    name: str, interp: int, photographs: dict[str, Path]
) -> None:
    augmenters = lists(interp)[name]
    assert unplannable_reason(augmenters) is None
    expected = batch(OneByOne, photographs, augmenters)
    made = batch(I.ImageIter, photographs, augmenters)
    assert made.dtype == expected.dtype == np.float32
    # The same pixels, and colors to within float32's rounding of the steps.
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-3)
    if (name, interp) in GEOMETRY:
        np.testing.assert_array_equal(made, expected)


# What is compared with the host executor.
OTHERS = [{"executor": "dali"}, pytest.param({"ctx": "gpu:0"}, marks=pytest.mark.gpu)]

# Where colors change, one level of a pixel comes to as many behind the matrices.
STRETCH = 8

# Of photographs with hard edges, whose filters differ; see LEVELS for why they do.
FILTERS = {0: Tolerance(255, 0.1), 2: Tolerance(20, 0.6), 3: Tolerance(140, 2.2),
           4: Tolerance(12, 0.5), 9: Tolerance(140, 2.2)}  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize(("name", "interp"), CASES)
def test_executors_agree(
    name: str, interp: int, other: dict[str, Any], photographs: dict[str, Path]
) -> None:
    augmenters = lists(interp)[name]
    expected = batch(I.ImageIter, photographs, augmenters)
    made = batch(I.ImageIter, photographs, augmenters, **other)
    tolerance = FILTERS.get(interp, LEVELS["dali", 1])
    if "ctx" in other:
        tolerance = tolerance.widened(GPU_DECODER)
    if name in ("colours", "mixed order", "everything", "gray"):
        tolerance = tolerance.scaled(STRETCH)
    assert_images_close(made, expected, tolerance)


@pytest.mark.parametrize("interp", [LINEAR, CUBIC])
def test_what_is_resized_twice_is_resampled_once(interp: int, photographs: dict[str, Path]) -> None:
    """So it is sharper than with MXNet, and lies where MXNet's does."""
    augmenters = I.CreateAugmenter(
        SHAPE, resize=200, rand_crop=True, rand_resize=True, rand_mirror=True, inter_method=interp
    )
    twice = batch(OneByOne, photographs, augmenters)
    once = batch(I.ImageIter, photographs, augmenters)
    dali = batch(I.ImageIter, photographs, augmenters, executor="dali")
    assert_images_close(dali, once, {LINEAR: Tolerance(2, 0.3), CUBIC: Tolerance(20, 1.0)}[interp])
    blurred = [cv2.GaussianBlur(each.transpose(0, 2, 3, 1).reshape(-1, WIDTH, 3), (0, 0), 2)
               for each in (once, twice)]  # fmt: skip
    assert np.abs(blurred[0] - blurred[1]).mean() < 1


def test_orientation_is_ignored_as_imdecode_does(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    files = write_records(tmp_path / "x", [jpeg(1, 112, 96, exif=exif.tobytes())])
    picture = I.imdecode(jpeg(1, 112, 96)).transpose(2, 0, 1)
    for executor in ("host", "dali"):
        with I.ImageIter(1, SHAPE, **files, executor=executor) as iterator:
            np.testing.assert_array_equal(iterator.next().data[0][0], picture)


class Mine(I.Augmenter):
    """One of a user's own."""

    def __call__(self, src: Any) -> Any:
        return src


class Subclass(I.HorizontalFlipAug):
    """Does otherwise than what it inherits."""

    def __call__(self, src: Any) -> Any:
        return src


class Renamed(I.HorizontalFlipAug):
    """Does what it inherits."""


CROP = I.CenterCropAug((WIDTH, HEIGHT))
REASONS = {
    "Mine defines __call__ itself": [CROP, Mine()],
    "Subclass defines __call__ itself": [CROP, I.SequentialAug([Subclass(0.5)])],
    "CastAug to uint8 rounds": [CROP, I.CastAug("uint8")],
    "there are several interpolations, [1, 2]": [I.ResizeAug(120, 1), CROP],
    "what moves pixels does not come before what changes colors": [I.CastAug(), CROP],
    "images are made small, and then large again": [I.ForceResizeAug((16, 90)), CROP],
    "ColorNormalizeAug divides by 0": [CROP, I.ColorNormalizeAug(None, [1, 0, 1])],
}


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("reason", REASONS)
def test_what_cannot_be_a_plan(
    reason: str, photographs: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    augmenters = REASONS[reason]
    assert unplannable_reason(augmenters) == reason
    with caplog.at_level(logging.INFO, "gpuio"):
        made = batch(I.ImageIter, photographs, augmenters)
    assert f"one by one on the CPU, because {reason}" in caplog.text
    np.testing.assert_array_equal(made, batch(OneByOne, photographs, augmenters))
    with pytest.raises(ArgumentError, match="executor='dali' runs plans only") as caught:
        batch(I.ImageIter, photographs, augmenters, executor="dali")
    assert reason in str(caught.value)


def test_orders_drawn_at_random_are_looked_at_in_any() -> None:
    before = [CROP, I.BrightnessJitterAug(0.1)]
    assert unplannable_reason(before) is None
    assert unplannable_reason([I.SequentialAug(before)]) is None
    assert unplannable_reason([I.RandomOrderAug(before)]) is not None
    assert unplannable_reason([I.RandomOrderAug([I.RandomOrderAug(before)])]) is not None
    assert unplannable_reason([I.RandomOrderAug([CROP, I.HorizontalFlipAug(1)])]) is None
    assert unplannable_reason([CROP, Renamed(0.5)]) is None


def test_a_plan_is_made_without_a_word(
    photographs: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gpuio"):
        batch(I.ImageIter, photographs, [CROP])
        assert "one by one" not in caplog.text
        batch(OneByOne, photographs, [CROP])
        assert "OneByOne has a method augmentation_transform of its own" in caplog.text


def test_other_augmenters_count_from_the_next_batch_on(photographs: dict[str, Path]) -> None:
    expected = {name: batch(I.ImageIter, photographs, LISTED) for name, LISTED in (
        ("plain", [CROP]), ("flipped", [CROP, I.HorizontalFlipAug(1)]), ("own", [CROP, Mine()]),
    )}  # fmt: skip
    with I.ImageIter(4, SHAPE, **photographs, aug_list=[CROP], seed=5) as iterator:
        assert iterator.auglist == (CROP,)
        seen = [iterator.next()]
        iterator.auglist = [CROP, I.HorizontalFlipAug(1)]
        seen.append(iterator.next())
        with pytest.raises(ArgumentError, match="Unknown interp method 7"):
            iterator.auglist = [I.ResizeAug(120, 7)]
        iterator.auglist = [CROP, Mine()]
        seen.append(iterator.next())
        for number, (batch_seen, name) in enumerate(zip(seen, expected, strict=True)):
            rows = slice(4 * number, 4 * number + 4)
            np.testing.assert_array_equal(batch_seen.data[0], expected[name][rows])


@pytest.mark.parametrize("executor", ["host", "dali"])
def test_sizes_that_do_not_fit_are_bad_samples(executor: str, tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(1, 30, 20), jpeg(2, 30, 21), jpeg(3, 30, 20)])
    options: dict[str, Any] = {**files, "aug_list": [], "executor": executor}
    said = r"has the shape \(3, 21, 30\), data_shape is"
    with (
        I.ImageIter(3, (3, 20, 30), **options) as iterator,
        pytest.raises(ArgumentError, match=said),
    ):
        iterator.next()
    with I.ImageIter(3, (3, 20, 30), **options, on_error="skip") as iterator:
        assert iterator.next().pad == 1
        assert [bad.key for bad in iterator.bad_records] == [10]


@pytest.mark.parametrize("executor", ["host", "dali"])
def test_crops_without_pixels_are_bad_samples(executor: str, tmp_path: Path) -> None:
    thin = cv2.imencode(".png", np.zeros((1, 1000, 3), np.uint8))[1].tobytes()
    files = write_records(tmp_path / "x", [thin, jpeg(1, 300, 300)])
    options: dict[str, Any] = {**files, "on_error": "skip"}
    for kind in (I.ImageIter, OneByOne):
        chosen = {"executor": executor} if kind is I.ImageIter else {}
        with kind(2, (3, 224, 10), **options, **chosen) as iterator:
            assert iterator.next().pad == 1
            assert "a crop of 0 x 1 pixels" in iterator.bad_records[0].reason


SIZES: dict[str, list[Any]] = {
    "zero": [I.ForceResizeAug((0, 10)), CROP],
    "a zero crop": [I.CenterCropAug((0, 32)), I.ForceResizeAug((WIDTH, HEIGHT))],
    "negative": [I.CenterCropAug((-1, 32)), I.ForceResizeAug((WIDTH, HEIGHT))],
    "broken": [I.ForceResizeAug((132.5, 132)), CROP],
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("kind", [I.ImageIter, OneByOne])
def test_sizes_that_are_none(kind: Any, name: str, photographs: dict[str, Path]) -> None:
    with pytest.raises(ArgumentError):
        batch(kind, photographs, SIZES[name])


@pytest.mark.parametrize(
    "listed",
    [[None], [5], ["x"], [I.CastAug], [I.DetHorizontalFlipAug(0.5)]],
    ids=["None", "a number", "a string", "a class", "for boxes"],
)
def test_lists_of_something_else(listed: list[Any], photographs: dict[str, Path]) -> None:
    with pytest.raises(ArgumentError, match="aug_list holds augmenters of images, not"):
        batch(I.ImageIter, photographs, listed)
    with pytest.raises(ArgumentError, match="mean and std have 1 or 3 numbers for RGB, not 2"):
        batch(I.ImageIter, photographs, [CROP, I.ColorNormalizeAug([1, 2], None)])


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "mean": ({"mean": "abc"}, "mean must be True, or have 1 or 3 numbers, not 'abc'"),
    "jitter": ({"brightness": "much"}, "brightness must be a finite number, not 'much'"),
    "no list": ({"aug_list": CROP}, "aug_list is a list of augmenters, not"),
    "interpolation": ({"inter_method": "bilinear"}, "Unknown interp method bilinear"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_are_none(name: str, photographs: dict[str, Path]) -> None:
    options, said = OPTIONS[name]
    with pytest.raises(ArgumentError, match=said):
        I.ImageIter(4, SHAPE, **photographs, **options)


def test_augmenters_that_are_none() -> None:
    with pytest.raises(ArgumentError, match=r"a size is \(width, height\) in pixels, not 24"):
        I.ForceResizeAug(24)
    with pytest.raises(ArgumentError, match="size must be an integer of at least 1 pixel"):
        I.ResizeAug((24, 24))


def test_copies_have_the_augmenters_that_were_set(photographs: dict[str, Path]) -> None:
    with I.ImageIter(4, SHAPE, **photographs, aug_list=[CROP]) as iterator:
        iterator.next()
        iterator.auglist = [CROP, I.ColorNormalizeAug([100.0], None)]
        with pickle.loads(pickle.dumps(iterator)) as copy:
            np.testing.assert_array_equal(copy.next().data[0], iterator.next().data[0])
            assert copy.auglist[1].dumps() == iterator.auglist[1].dumps()


def test_what_is_closed_stays_closed(photographs: dict[str, Path]) -> None:
    iterator = I.ImageIter(4, SHAPE, **photographs, aug_list=[CROP])
    iterator.close()
    with pytest.raises(Error, match="the iterator is closed"):
        iterator.auglist = [CROP, Mine()]
    assert iterator.auglist == (CROP,)


# ---------------------------------------------------------------- detection


def det_lists() -> dict[str, list[Any]]:
    """By name, bilinear."""
    create = partial(I.CreateDetAugmenter, SHAPE, inter_method=LINEAR)
    force = I.DetBorrowAug(I.ForceResizeAug((WIDTH, HEIGHT), LINEAR))
    crop = I.DetRandomCropAug(0.1, (0.5, 2.0), (0.2, 0.9))
    return {
        "plain": create(),
        "mirror": create(rand_mirror=True, mean=True, std=True),
        "crop": create(rand_crop=0.8, rand_mirror=True, area_range=(0.2, 1.0)),
        "pad": create(rand_pad=1, area_range=(0.5, 3.0), pad_val=(10, 120, 250)),
        "colours": create(rand_mirror=True, **COLOURS),
        "pad and colours": create(rand_mirror=True, rand_pad=0.7, **COLOURS),
        "all": create(
            rand_crop=0.5, rand_pad=0.5, rand_mirror=True, rand_gray=0.2, mean=True, **COLOURS
        ),
        "two pads": [
            I.DetRandomPadAug((0.8, 1.2), (1.5, 2.0), pad_val=(250, 0, 0)),
            I.DetHorizontalFlipAug(0.5),
            I.DetRandomPadAug((0.8, 1.2), (1.5, 2.0), pad_val=(0, 250, 0, 9)), force,
        ],
        "pad, flip, crop": [
            I.DetRandomPadAug((0.8, 1.2), (1.5, 3.0), pad_val=(40, 50, 60)),
            I.DetHorizontalFlipAug(0.5), crop, I.DetHorizontalFlipAug(0.5), force,
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("objects")
    generator = np.random.default_rng(1)
    pictures, labels = [], []
    for number in range(24):
        pictures.append(jpeg(number, 140 + number, 120 + number // 2))
        boxes = []
        for box in range(1 + number % 4):
            corner, size = generator.uniform(0, 0.5, 2), generator.uniform(0.1, 0.5, 2)
            boxes += [box, *corner, *(corner + size), 0.5]
        labels.append([2, 6, *boxes])
    return write_records(folder / "x", pictures, labels)


def det_batch(
    kind: Any, files: dict[str, Path], augmenters: list[Any], **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    with kind(8, SHAPE, **files, aug_list=augmenters, seed=3, **options) as iterator:
        batches = [(each.data[0].asnumpy(), each.label[0].asnumpy()) for each in iterator]
    pixels, labels = zip(*batches, strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


@pytest.mark.parametrize("name", det_lists())
def test_boxes_and_pixels_are_those_of_one_after_another(
    name: str, objects: dict[str, Path]
) -> None:
    augmenters = det_lists()[name]
    assert unplannable_reason(augmenters) is None
    pixels, boxes = det_batch(DetOneByOne, objects, augmenters)
    planned, planned_boxes = det_batch(I.ImageDetIter, objects, augmenters)
    np.testing.assert_array_equal(planned_boxes, boxes)
    if "pad" not in name and name != "all":
        np.testing.assert_allclose(planned, pixels, rtol=1e-5, atol=1e-3)
        return
    # A padded image is not mixed into the image's edge: a ring of pixels differs.
    far = np.abs(planned - pixels).max(1) > 3
    assert far.mean() < 0.06
    for sample in far:
        assert ndimage.binary_opening(sample, np.ones((3, 3))).mean() < 0.002


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", det_lists())
def test_executors_agree_about_boxes(
    name: str, other: dict[str, Any], objects: dict[str, Path]
) -> None:
    augmenters = det_lists()[name]
    pixels, boxes = det_batch(I.ImageDetIter, objects, augmenters)
    made, made_boxes = det_batch(I.ImageDetIter, objects, augmenters, **other)
    np.testing.assert_array_equal(made_boxes, boxes)
    tolerance = Tolerance(2, 0.2)
    if "ctx" in other:
        tolerance = tolerance.widened(GPU_DECODER)
    if "colours" in name or name == "all":
        tolerance = tolerance.scaled(STRETCH)
    assert_images_close(made, pixels, tolerance)


@pytest.mark.parametrize("interp", [0, 1, 2, 3, 4])
def test_what_is_flipped_first_is_resampled_flipped(interp: int, objects: dict[str, Path]) -> None:
    """Only bilinear is symmetric in OpenCV, to the last bit."""
    for size in (SHAPE, (3, 224, 100)):
        resize = I.DetBorrowAug(I.ForceResizeAug(size[:0:-1], interp))
        made = {}
        for name, kind, options in (
            ("planned", I.ImageDetIter, {}),
            ("one by one", DetOneByOne, {}),
            ("dali", I.ImageDetIter, {"executor": "dali"}),
        ):
            augmenters = [I.DetHorizontalFlipAug(1.0), resize]
            with kind(24, size, **objects, aug_list=augmenters, **options) as iterator:
                made[name] = iterator.next().data[0].asnumpy()
        assert_images_close(made["planned"], made["one by one"], Tolerance(0, 0))
        if interp in (0, 1):  # others have another filter there
            tolerance = Tolerance(1, 0.2) if interp == 1 else Tolerance(255, 0.1)
            assert_images_close(made["dali"], made["planned"], tolerance)


def test_copies_and_failures_of_reshape(objects: dict[str, Path]) -> None:
    augmenters = det_lists()["plain"]
    with I.ImageDetIter(4, SHAPE, **objects, aug_list=augmenters) as iterator:
        iterator.reshape(label_shape=(9, 6))
        with pickle.loads(pickle.dumps(iterator)) as copy:
            assert copy.provide_label == iterator.provide_label
            np.testing.assert_array_equal(copy.next().label[0], iterator.next().label[0])
        with pytest.raises(ArgumentError, match="no space"):
            iterator.reshape(data_shape=(3, 32, 32), label_shape=(0, 5))
        assert iterator.data_shape == SHAPE and iterator.next().data[0].shape == (4, *SHAPE)
    with pytest.raises(Error, match="the iterator is closed"):
        iterator.reshape(label_shape=(20, 6))
    assert iterator.label_shape == (9, 6)


@pytest.mark.parametrize(
    "listed", [[None], [CROP], [I.DetHorizontalFlipAug]], ids=["None", "for images", "a class"]
)
def test_lists_of_something_else_for_boxes(listed: list[Any], objects: dict[str, Path]) -> None:
    with (
        I.ImageDetIter(8, SHAPE, **objects) as iterator,
        pytest.raises(ArgumentError, match="label_shape must be an integer, not 'a'"),
    ):
        iterator.reshape(label_shape=("a", 6))
    with pytest.raises(TypeError, match="no argument 'label_width'"):
        I.ImageDetIter(8, SHAPE, **objects, label_width=3)
    with pytest.raises(ArgumentError, match="aug_list holds detection augmenters, not"):
        det_batch(I.ImageDetIter, objects, listed)


# ---------------------------------------------------------------- AugmenterPlanner


def planner(augmenters: list[Any], **functions: Any) -> AugmenterPlanner:
    same = {"parse_label": lambda label: label, "finish_label": lambda label: label, **functions}
    return AugmenterPlanner(augmenters, (WIDTH, HEIGHT), 3, **same)


def samples(labels: list[Any], size: tuple[int, int] = (160, 140)) -> Samples:
    count = len(labels)
    return Samples(np.zeros(count, int), np.arange(count), np.tile(size, (count, 1)), labels)


def test_the_last_normalization_is_left_to_the_assembly() -> None:
    made = planner([CROP, I.ColorNormalizeAug([1, 2, 3], 4)])
    assert (made.mean, made.std) == ((1, 2, 3), (4, 4, 4))
    assert made.plan(samples([0.0])).plan.color is None
    made = planner([CROP, I.ColorNormalizeAug([1, 2, 3], 4), I.CastAug()])
    assert (made.mean, made.std) == ((0,) * 3, (1,) * 3)
    assert made.plan(samples([0.0])).plan.color is not None
    made = planner([])
    assert (made.mean, made.std) == ((0,) * 3, (1,) * 3)


def test_a_planner_knows_whether_it_may_make_borders() -> None:
    force = I.DetBorrowAug(I.ForceResizeAug((WIDTH, HEIGHT)))
    assert not planner([CROP]).borders and not planner([force]).borders
    pad = I.DetRandomPadAug()
    assert planner([pad, force]).borders
    assert planner([I.DetRandomSelectAug([pad], 0.9), force]).borders


def test_labels_are_parsed_augmented_and_finished() -> None:
    def parse(label: Any) -> Any:
        if label == 2:
            raise RecordError("two")
        return np.float32([[label, 0.1, 0.1, 0.3, 0.4]])

    flip = [I.DetHorizontalFlipAug(1.0), I.DetBorrowAug(I.ForceResizeAug((WIDTH, HEIGHT)))]
    made = planner(flip, parse_label=parse, finish_label=lambda boxes: boxes * 10)
    planned = made.plan(samples([1.0, 2.0, None]))
    np.testing.assert_allclose(planned.labels[0], [[10, 7, 1, 9, 4]])
    assert planned.labels[1:] == [None, None] and list(planned.errors) == [1]
    assert planned.plan.flip[0]


def test_an_image_of_another_size_is_a_bad_record() -> None:
    planned = planner([]).plan(samples([1.0]))
    said = r"has the shape \(3, 140, 160\), data_shape is \(3, 96, 112\)"
    assert re.search(said, str(planned.errors[0]))
    check_shape((3, 4, 5), (3, 4, 5))
    with pytest.raises(ArgumentError, match="aug_list must end with that size"):
        check_shape((3, 4, 5), (3, 5, 4))


def test_plans_do_not_depend_on_their_batch() -> None:
    augmenters = lists(LINEAR)["everything"]
    together = planner(augmenters).plan(samples([0.0] * 6)).plan
    for row in range(6):
        at = samples([0.0] * 6)
        alone = planner(augmenters).plan(
            Samples(at.epoch[row:][:1], at.record[row:][:1], at.sizes[row:][:1], [0.0])
        )
        np.testing.assert_array_equal(alone.plan.window[0], together.window[row])
        np.testing.assert_array_equal(alone.plan.color[0], together.color[row])


def test_containers_become_the_parts_that_they_draw() -> None:
    cast, flip = I.CastAug(), I.HorizontalFlipAug(0.5)

    def function(src: Any) -> Any:
        return src

    nested = [I.SequentialAug([cast, I.SequentialAug([flip])]), function, Mine()]
    steps = list(augmenter_steps(nested, SampleRng(0, 0, 0)))
    assert steps[:3] == [cast, flip, function] and isinstance(steps[3], Mine)
    orders = {
        tuple(augmenter_steps([I.RandomOrderAug([cast, flip])], SampleRng(0, 0, record)))
        for record in range(20)
    }
    assert orders == {(cast, flip), (flip, cast)}


def test_only_augmenters_that_describe_themselves_are_described() -> None:
    assert is_described(CROP) and is_described(Renamed(0.5)) and is_described(I.DetRandomPadAug())
    for other in (Mine(), Subclass(0.5), len, object(), 3):
        assert not is_described(other)


def test_other_callables_are_no_augmenters(photographs: dict[str, Path]) -> None:
    reason = "function is not an Augmenter"

    def function(src: Any) -> Any:
        return src

    assert unplannable_reason([CROP, function]) == reason
    np.testing.assert_array_equal(
        batch(I.ImageIter, photographs, [CROP, function]), batch(I.ImageIter, photographs, [CROP])
    )
