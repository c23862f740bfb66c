"""Options of ImageRecordIter and its kin against what MXNet 1.9.1 returned for the same calls
(tests/golden, made by make_record_options.py).

gpuio resamples once, where MXNet resamples up to three times: the image's short side, the affine
map, the crop. The images are smooth, so that this makes little difference but where they meet
`fill_value`; there only the mean of the differences is bounded.
"""

import json
import math
from dataclasses import dataclass
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
from tests.io.record_reference import Draws, Steps, coverage, reference
from tests.io.records import EXECUTORS, RUNS, write_records

with np.load(Path(golden.DATA) / "record_options.npz") as _file:
    RESULTS: dict[str, np.ndarray] = dict(_file)

NORMALIZATION = {
    "mean_img",
    "dtype",
    "scale",
    *(f"{a}_{b}" for a in ("mean", "std") for b in "rgb"),
}
# Cases of the geometry alone.
GEOMETRY = [
    case
    for case, (iterator, options) in golden.CASES.items()
    if iterator == "ImageRecordIter" and not (NORMALIZATION | {"num_parts"}) & set(options)
]
# MXNet's affine maps have 1/32 of a pixel and 15 bits of weights; gpuio's are floats.
AFFINE = Tolerance(2, 0.25)
# Each of MXNet's further resamplings rounds, and flattens waves of 40 pixels a little.
COMPOSED = Tolerance(3, 0.5)
# In maps, area is bilinear. MXNet's enlargement after it is not: it repeats pixels.
COMPOSED_OF_AREAS = Tolerance(6, 1.5)
# DALI's maps are bilinear: they do not overshoot beside a border as Lanczos does.
LANCZOS = Tolerance(6, 0.4)
# Pixels that the interpolation of each method reads on each side.
REACH = {1: 1, 2: 2, 3: 1, 4: 4, 9: 2}


def draws(options: dict[str, Any]) -> Draws:
    """The only values that a case's options allow."""
    if "rotate_list" in options:
        return Draws(angle=int(options["rotate_list"]))
    return Draws.fixed(options)


@dataclass
class Expectation:
    """How an image's sample is compared with MXNet's.

    Attributes
    ----------
    steps : what MXNet did to the image
    reach : pixels of the sample over which image and border are blended
    edges : bool (height, width), the pixels to which both contribute, or may
    """

    steps: Steps
    reach: int
    edges: np.ndarray

    @classmethod
    def of(cls, size: tuple[int, int], options: dict[str, Any], drawn: Draws) -> "Expectation":
        """Of an image of this height and width."""
        steps, shape = Steps(), options["data_shape"]
        reference(np.zeros(size, np.uint8), shape, options, drawn, steps)
        read = REACH[options.get("inter_method", 1)]
        reach = read * math.ceil(max(1, steps.magnification))
        # Of maps, gpuio blends pixels of the image, MXNet those of the resized image.
        share = coverage(size, shape, options, drawn, read if steps.affine else 0)
        least, most = ranges(share[None], reach)
        edges = (most[0] > 0.01) & (least[0] < 0.99)
        if steps.affine and steps.enlarged:
            # MXNet repeats the canvas' outermost pixels; gpuio shows what is beyond them.
            inside = edges[reach:-reach, reach:-reach].copy()
            edges[:] = True
            edges[reach:-reach, reach:-reach] = inside
        return cls(steps, reach, edges)

    def tolerance(self, executor: str, options: dict[str, Any]) -> Tolerance:
        """Of all but the edges."""
        method = options.get("inter_method", 1)
        if self.steps.resampled == 0:
            return EXACT
        decoder = LEVELS[executor, 1]
        if self.steps.affine and self.steps.enlarged and method == 3:
            return COMPOSED_OF_AREAS.widened(decoder)
        if self.steps.affine and method == 4:
            return LANCZOS.widened(decoder)
        if self.steps.resampled > 1 or ("pad" in options and self.steps.enlarged):
            return COMPOSED.widened(decoder)
        return AFFINE.widened(decoder) if self.steps.affine else LEVELS[executor, method]


def ranges(planes: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value around each pixel of (channels, height, width)."""
    around = np.ones((2 * reach + 1,) * 2, np.uint8)
    least, most = (
        np.stack([apply(each, around, borderType=cv2.BORDER_REPLICATE) for each in planes])
        for apply in (cv2.erode, cv2.dilate)
    )
    return least, most


def assert_sample_close(
    found: np.ndarray,
    expected: np.ndarray,
    options: dict[str, Any],
    drawn: Draws,
    size: tuple[int, int],
    executor: str = "host",
    unit: float = 1.0,
    extra: Tolerance = EXACT,
) -> None:
    """Fail unless a sample is MXNet's: (channels, height, width), made of an image of this size.

    Parameters
    ----------
    unit : what a difference of 1 between pixels is in the output
    extra : widens the tolerance
    """
    assert found.shape == expected.shape
    expectation = Expectation.of(size, options, drawn)
    allowed = expectation.tolerance(executor, options).scaled(unit)
    if golden.NEW in options.values():
        allowed = allowed.widened(allowed)  # of the sample, and of the mean image
    allowed = allowed.widened(extra)
    inside = ~expectation.edges
    if inside.any():
        assert_images_close(found[:, inside], expected[:, inside], allowed)
    # At edges both blend the same values, if not by the same shares.
    if not NORMALIZATION & set(options):
        least, most = ranges(expected.astype(np.float64), expectation.reach + 1)
        fill = np.clip(options.get("fill_value", 255), 0, 255)
        overshoot = 0.1 * (most - least) if options.get("inter_method", 1) in (2, 4, 9) else 0
        slack = overshoot + allowed.largest + 8
        within = found >= np.minimum(least, fill) - slack
        within &= found <= np.maximum(most, fill) + slack
        assert within[:, expectation.edges].all()


def unit(options: dict[str, Any]) -> float:
    """What a difference of 1 between pixels is at most in the output."""
    if "dtype" in options:
        return 1.0
    return options.get("scale", 1.0) / min(abs(options.get(f"std_{c}", 1.0)) for c in "rgb")


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
        drawn = draws(options)
        made = reference(image, options["data_shape"], options, drawn)
        assert_images_close(made, expected, allowed)
        shares.append(Expectation.of(image.shape[:2], options, drawn).edges.mean())
    assert np.mean(shares) < 0.5, shares  # the others are compared closely


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", golden.CASES)
def test_golden(case: str, executor: str, tmp_path: Path) -> None:
    name, options = golden.CASES[case]
    found, expected = run(case, executor, tmp_path), RESULTS[case]
    if name == "ImageDetRecordIter":
        allowed = LEVELS[executor, options.get("inter_method", 1)]
        if "resize" in options:
            allowed = allowed.widened(COMPOSED)
        if golden.NEW in options.values():
            allowed = allowed.widened(allowed)
        assert_images_close(found, expected, allowed.scaled(unit(options)))
        return
    sizes = [image.shape[:2] for image in golden.images(1)][-len(found) :]
    for size, *each in zip(sizes, found, expected, strict=True):
        assert_sample_close(*each, options, draws(options), size, executor, unit(options))


WRITTEN = [case for case, (_, options) in golden.CASES.items() if golden.NEW in options.values()]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", WRITTEN)
def test_mean_image_is_computed_and_written(case: str, executor: str, tmp_path: Path) -> None:
    first = run(case, executor, tmp_path)
    (name, written), *others = mx.nd.load(str(tmp_path / golden.NEW)).items()
    assert (name, others, written.dtype) == ("mean_img", [], np.float32)
    # MXNet adds float32 one by one.
    allowed = LEVELS[executor, 1].widened(Tolerance(1e-4, 1e-4))
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
@settings(max_examples=40)
def test_any_geometry_is_that_of_the_reference(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    def maybe(name: str, values: st.SearchStrategy[Any]) -> dict[str, Any]:
        value = data.draw(st.none() | values, name)
        return {} if value is None else {name: value}

    size = data.draw(st.tuples(st.integers(30, 60), st.integers(30, 60)), "size")
    side = st.integers(16, 48)
    options = {"fill_value": data.draw(st.integers(0, 255), "fill")}
    for name, values in (
        ("rotate", st.integers(1, 359)),
        ("resize", st.integers(30, 60)),
        ("pad", st.integers(1, 9)),
    ):
        options.update(maybe(name, values))
    for ending, values in (
        ("random_scale", st.floats(0.8, 1.8)),
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
    image, drawn = golden.smooth(0, *size, channels=3), draws(options)
    expected = reference(image, options["data_shape"], options, drawn)
    # Shrunk images have shorter waves, and there are up to four resamplings.
    assert_sample_close(found, expected, options, drawn, image.shape[:2], extra=Tolerance(4, 0.7))


def test_drawn_maps_are_those_of_the_reference(tmp_path: Path) -> None:
    """The draws are measured in images that show them, and tell the reference what to make of
    another image, which the same seed gives the same draws."""
    scale = 1.25
    options = {**stats.ALL, **golden.scaled(scale), "data_shape": stats.SHAPE, "seed_aug": 4}
    count, size, made = 30, (stats.WIDTH, stats.HEIGHT), []
    path = stats.write(str(tmp_path), "affine", mx.recordio, count)
    for file in (path, smooth_records(tmp_path, size, count)["path_imgrec"]):
        with mx.io.ImageRecordIter(path_imgrec=file, batch_size=count, **options) as iterator:
            made.append(iterator.next().data[0].asnumpy())
    image = golden.smooth(0, *size, channels=3)
    for gradient, found in zip(*made, strict=True):
        _, angle, shear, _, ratio, _, _ = stats.measure_affine(gradient)
        drawn = Draws(angle, shear, scale, ratio)
        expected = reference(image, stats.SHAPE, options, drawn)
        # Draws are measured to three digits, which is up to 0.1 pixels.
        size, wide = image.shape[:2], Tolerance(2, 0.5)
        assert_sample_close(found, expected, options, drawn, size, extra=wide)


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


CHUNKS = json.loads((Path(golden.DATA) / "record_chunks.json").read_text())


@pytest.mark.parametrize("case", golden.CHUNK_CASES)
def test_chunks_are_those_of_mxnet(case: str, tmp_path: Path) -> None:
    path = golden.write_large(str(tmp_path), mx.recordio)
    with mx.io.ImageRecordIter(
        path_imgrec=path, data_shape=(3, 8, 8), batch_size=10, **golden.CHUNK_CASES[case]
    ) as iterator:
        assert golden.chunk_starts(iterator) == CHUNKS[case]
