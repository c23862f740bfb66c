"""Options of ImageRecordIter and its kin against what MXNet 1.9.1 returned for the same calls
(tests/golden, made by make_record_options.py).

gpuio resamples once, where MXNet resamples up to three times: the image's short side, the affine
map, the crop. The images are smooth, so that this makes little difference but where they meet
`fill_value`; there only the mean of the differences is bounded.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuio as mx
from tests.close import EXACT, LEVELS, Tolerance, assert_images_close
from tests.golden import make_record_options as golden
from tests.golden import make_record_stats as stats
from tests.io.record_reference import DEFAULTS, Draws, coverage, reference
from tests.io.records import EXECUTORS, RUNS, write_records

with np.load(Path(golden.DATA) / "record_options.npz") as _file:
    RESULTS: dict[str, np.ndarray] = dict(_file)

GEOMETRY = [
    case
    for case, (iterator, options) in golden.CASES.items()
    if iterator == "ImageRecordIter"
    and not {"mean_img", "mean_r", "mean_g", "dtype", "num_parts"} & set(options)
]
# MXNet's affine maps have 1/32 of a pixel, and 15 bits of weights; gpuio's are floats. Where MXNet
# resamples more than once, each time adds what rounding and interpolation make of waves of 40
# pixels.
AFFINE = Tolerance(2, 0.35)
COMPOSED = Tolerance(8, 0.8)
# Where the image meets the border: MXNet blends both, gpuio's border is sharp where nothing is
# rotated.
EDGES = Tolerance(200, 60)
# MXNet enlarges images smaller than the crop in both directions twice, gpuio once.
ENLARGED = Tolerance(1, 0.2)
# Bicubic interpolation reads the border from two pixels within the image.
CUBIC_EDGES = Tolerance(30, 0.6)
# DALI has bilinear affine maps alone.
BILINEAR = Tolerance(40, 1.5)


def draws(options: dict[str, Any]) -> Draws:
    """The only values that a case's options allow."""
    if "rotate_list" in options:
        return Draws(angle=int(options["rotate_list"]))
    return Draws.fixed(options)


def borders(case: str, image: np.ndarray) -> np.ndarray:
    """Which pixels of a sample are near where image and border meet."""
    _, options = golden.CASES[case]
    share = coverage(image.shape[:2], options["data_shape"], options, draws(options))
    # As far as the interpolation reads, which resampling again makes farther.
    reach = {2: 4, 4: 8, 9: 4}.get(options.get("inter_method", 1), 1)
    return near_borders(share, reach * (2 if is_composed(options) else 1))


def near_borders(share: np.ndarray, reach: int) -> np.ndarray:
    around = np.ones((2 * reach + 1,) * 2, np.uint8)
    clear = (share > 0.99) | (share < 0.01)
    inner = cv2.erode(share, around, borderType=cv2.BORDER_REPLICATE)
    outer = cv2.dilate(share, around, borderType=cv2.BORDER_REPLICATE)
    return ~clear | (outer - inner > 0.5)


def tolerance(case: str, executor: str) -> Tolerance:
    """Of the pixels that are not near a border."""
    iterator, options = golden.CASES[case]
    if iterator == "ImageDetRecordIter" and "resize" in options:  # and again, to the output
        return COMPOSED
    return tolerance_of(options, executor)


def resamplings(options: dict[str, Any]) -> tuple[bool, bool, bool]:
    """Whether MXNet resizes the image, maps it, and resizes the crop."""
    values = {**DEFAULTS, **options}
    affine = draws(options) != Draws(size=values["max_crop_size"])
    affine |= (values["min_img_size"], values["max_img_size"]) != (0, 1e10)
    crop = values["max_crop_size"] != -1 or max(values["data_shape"][1:]) >= 28
    return values["resize"] != -1, affine, crop


def is_composed(options: dict[str, Any]) -> bool:
    return sum(resamplings(options)) > 1


def tolerance_of(options: dict[str, Any], executor: str) -> Tolerance:
    method = options.get("inter_method", 1)
    resampled_once = LEVELS[executor, method]
    _, affine, crop = resamplings(options)
    if executor != "host" and affine and method in (2, 4, 9):
        return BILINEAR
    if affine and method in (2, 9):
        return CUBIC_EDGES
    if is_composed(options):
        return COMPOSED.widened(resampled_once)
    if affine:
        return AFFINE.widened(resampled_once)
    return ENLARGED.widened(resampled_once) if crop else resampled_once


def unit(options: dict[str, Any]) -> float:
    """What a difference of 1 between pixels is at most in the output."""
    if "dtype" in options:
        return 1.0
    return options.get("scale", 1.0) / min(max(options.get(f"std_{c}", 1.0), 1.0) for c in "rgb")


def run(case: str, executor: str, folder: Path) -> np.ndarray:
    """(images, channels, height, width)."""
    name, _ = golden.CASES[case]
    arguments = golden.arguments(case, str(folder))
    with getattr(mx.io, name)(**arguments, **RUNS[executor]) as iterator:
        return np.concatenate([batch.data[0].asnumpy() for batch in iterator])


@pytest.mark.parametrize("case", GEOMETRY)
def test_reference_does_what_mxnet_does(case: str) -> None:
    _, options = golden.CASES[case]
    method = options.get("inter_method", 1)
    # Of bicubic weights, OpenCV 5 rounds others than MXNet's OpenCV 3.4; of the affine map's, with
    # up to 4 where the image meets the border.
    allowed = EXACT if method in (1, 3) else Tolerance(4, 0.2)
    shares = []
    for image, expected in zip(golden.images(options["data_shape"][0]), RESULTS[case], strict=True):
        made = reference(image, options["data_shape"], options, draws(options))
        assert_images_close(made, expected, allowed)
        shares.append(borders(case, image).mean())
    assert np.mean(shares) < 0.5  # most pixels can be compared


# The mean image of a part: MXNet computes it from that part, gpuio from all images.
OF_A_PART = "mean_img absent, part"


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", [case for case in golden.CASES if case != OF_A_PART])
def test_golden(case: str, executor: str, tmp_path: Path) -> None:
    _, options = golden.CASES[case]
    found, expected = run(case, executor, tmp_path), RESULTS[case]
    assert found.shape == expected.shape
    factor = unit(options)
    allowed = tolerance(case, executor).scaled(factor)
    edges = np.zeros(found.shape, bool)
    images = golden.images(options["data_shape"][0])[-len(found) :]
    for number, image in enumerate(images):
        edges[number] = borders(case, image)
    assert_mostly_close(found[~edges], expected[~edges], allowed)
    if edges.any():
        assert_images_close(found[edges], expected[edges], EDGES.scaled(factor))


def assert_mostly_close(found: np.ndarray, expected: np.ndarray, allowed: Tolerance) -> None:
    """All but one of 50 pixels: what borders beyond the output have changed are no more."""
    difference = np.abs(found.astype(np.float64) - expected)
    few = difference > np.quantile(difference, 0.98)
    assert_images_close(found[~few], expected[~few], allowed)


WRITTEN = [
    case
    for case, (_, options) in golden.CASES.items()
    if "new" in str(options) and case != OF_A_PART
]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", WRITTEN)
def test_mean_image_is_computed_and_written(case: str, executor: str, tmp_path: Path) -> None:
    first = run(case, executor, tmp_path)
    (name, written), *others = mx.nd.load(str(tmp_path / golden.NEW)).items()
    assert (name, others, written.dtype) == ("mean_img", [], np.float32)
    # MXNet sums float32 one by one.
    allowed = tolerance(case, executor).widened(Tolerance(1e-4, 1e-4))
    if "pad" in golden.CASES[case][1]:
        allowed = EDGES  # in some of the images a border meets the image there
    assert_images_close(written.asnumpy(), RESULTS[f"{case}, written"], allowed)

    # The next iterator reads what was written.
    stamp = (tmp_path / golden.NEW).stat().st_mtime_ns
    np.testing.assert_array_equal(run(case, executor, tmp_path), first)
    assert (tmp_path / golden.NEW).stat().st_mtime_ns == stamp


def smooth_records(folder: Path, size: tuple[int, int], count: int = 1) -> dict[str, Path]:
    """A record file of copies of one smooth image."""
    pixels = golden.smooth(0, *size, channels=3)
    encoded = cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes()
    return write_records(folder / "smooth", [encoded] * count)


@given(st.data())
@settings(max_examples=60)
def test_any_geometry_is_that_of_the_reference(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    def maybe(name: str, values: st.SearchStrategy[Any]) -> dict[str, Any]:
        value = data.draw(st.none() | values, name)
        return {} if value is None else {name: value}

    size = data.draw(st.tuples(st.integers(24, 70), st.integers(24, 70)))
    side = st.integers(16, 48)
    options = {"fill_value": data.draw(st.integers(0, 255), "fill")}
    for name, values in (
        ("rotate", st.integers(1, 359)),
        ("resize", st.integers(24, 60)),
        ("pad", st.integers(1, 9)),
    ):
        options.update(maybe(name, values))
    for ending, values in (
        ("random_scale", st.floats(0.6, 1.8)),
        ("aspect_ratio", st.floats(0.6, 1.6)),
    ):
        both = maybe(ending, values)
        options.update(
            {f"{end}_{name}": value for name, value in both.items() for end in ("min", "max")}
        )
    options["data_shape"] = (3, data.draw(side), data.draw(side))

    folder = tmp_path_factory.mktemp("any")
    files = smooth_records(folder, size)
    with mx.io.ImageRecordIter(**files, **options, batch_size=1, verbose=False) as iterator:
        found = iterator.next().data[0].asnumpy()[0]
    image = golden.smooth(0, *size, channels=3)
    expected = reference(image, options["data_shape"], options, draws(options))
    share = coverage(image.shape[:2], options["data_shape"], options, draws(options))
    inside = ~near_borders(share, 4)
    if inside.any():
        assert_mostly_close(found[:, inside], expected[:, inside], COMPOSED)


def test_drawn_maps_are_those_of_the_reference(tmp_path: Path) -> None:
    """The draws are measured in images that show them, and tell the reference what to make of
    another image, which the same seed gives the same draws."""
    options: dict[str, Any] = {**stats.ALL, "data_shape": stats.SHAPE, "seed_aug": 4}
    count = 30
    path = stats.write(str(tmp_path), "affine", mx.recordio, count)
    made = []
    size = stats.WIDTH, stats.HEIGHT
    for file in (path, smooth_records(tmp_path, size, count)["path_imgrec"]):
        with mx.io.ImageRecordIter(path_imgrec=file, batch_size=count, **options) as iterator:
            made.append(iterator.next().data[0].asnumpy())
    image = golden.smooth(0, *size, channels=3)
    close = []
    for gradient, found in zip(*made, strict=True):
        _, *values, _, _ = stats.measure_affine(gradient)
        drawn = Draws(*values)
        expected = reference(image, stats.SHAPE, options, drawn)
        inside = ~near_borders(coverage(image.shape[:2], stats.SHAPE, options, drawn), 2)
        difference = np.abs(found[:, inside] - expected[:, inside])
        close.append(difference.max() <= COMPOSED.largest and difference.mean() <= COMPOSED.mean)
    # Values are measured to three digits: the canvas of some samples is by a pixel larger.
    assert np.mean(close) >= 0.9


@pytest.mark.parametrize("executor", EXECUTORS)
def test_mirror_is_that_of_the_sample(executor: str, tmp_path: Path) -> None:
    """Mirroring comes after all geometry."""
    shape = {"data_shape": golden.MIDDLE}
    options = {**shape, "rotate": 20, "pad": 5, "resize": 40, "batch_size": 1}
    files = smooth_records(tmp_path, (60, 50))
    made = []
    for mirror in (False, True):
        with mx.io.ImageRecordIter(**files, **options, mirror=mirror, **RUNS[executor]) as iterator:
            made.append(iterator.next().data[0].asnumpy())
    np.testing.assert_array_equal(made[0], made[1][..., ::-1])
