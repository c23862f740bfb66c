"""Detection augmenters: boxes follow pixels, probabilities are MXNet's, mistakes are named."""

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.planning.tracer import ImageTracer
from gpuio.sampling.sample_rng import SampleRng, call_with_rng
from tests.image.golden import GOLDEN
from tests.image.images import noise

I = mx.image  # noqa: E741


MEASURED = json.loads((GOLDEN / "detection_stats.json").read_text())


WIDTH, HEIGHT = MEASURED["width"], MEASURED["height"]


LABEL = np.array(MEASURED["label"])


def places() -> np.ndarray:
    """A image whose first channels are its pixels' columns and rows."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, :, 0] = np.arange(WIDTH)
    pixels[:, :, 1] = np.arange(HEIGHT)[:, None]
    return pixels


@pytest.mark.parametrize("name", MEASURED["cases"])
def test_crops_and_padded_images_lie_as_mxnets_do(name: str) -> None:
    """Two-sample Kolmogorov-Smirnov tests against 3,000 draws of MXNet, at 0.1 % each."""
    kind = "DetRandomCropAug" if name.startswith("crop") else "DetRandomPadAug"
    augment = getattr(I, kind)(**MEASURED["cases"][name])
    random.seed(4)
    found = []
    image = places()
    for _ in range(3000):
        made, label = augment(mx.nd.wrap(image), LABEL)
        first = int((made.asnumpy()[:, :, 2] == 0).argmax())
        y, x = divmod(first, made.shape[1])
        left, top = int(made[y, x, 0]) - x, int(made[y, x, 1]) - y
        found.append([made.shape[1], made.shape[0], left, top, len(label)])
    for column, values in zip(
        ("width", "height", "x", "y", "boxes"), np.array(found).T, strict=True
    ):
        theirs = MEASURED["draws"][name][column]
        assert stats.ks_2samp(values, theirs).pvalue > 0.001, column


boxes = st.lists(
    st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(3, 24)] * 2), min_size=1, max_size=4
)


AUGMENTERS: dict[str, Callable[[], Any]] = {
    "flip": lambda: I.DetHorizontalFlipAug(1.0),
    "crop": lambda: I.DetRandomCropAug(0.0, (0.5, 2.0), (0.1, 1.0), 0.0),
    "strict crop": lambda: I.DetRandomCropAug(0.5, (0.8, 1.3), (0.3, 0.9), 0.4),
    "canvas": lambda: I.DetRandomPadAug((0.5, 2.0), (1.0, 4.0), pad_val=0),
    "resize": lambda: I.DetBorrowAug(I.ForceResizeAug((96, 80), 0)),
    "all": lambda: _Sequence(
        I.CreateDetAugmenter(
            (3, 88, 72), rand_crop=0.8, rand_pad=0.8, rand_mirror=True, inter_method=0,
            pad_val=(0,), min_eject_coverage=0.0, min_object_covered=0.0,
        )
    ),
}  # fmt: skip


class _Sequence:
    def __init__(self, each: list[Any]) -> None:
        self.each = each

    def __call__(self, src: Any, label: Any) -> Any:
        for augment in self.each:
            src, label = augment(src, label)
        return src, label


@pytest.mark.parametrize("name", AUGMENTERS)
@settings(max_examples=150, deadline=None)
@given(drawn=boxes, seed=st.integers(0, 2**32))
def test_boxes_follow_pixels(name: str, drawn: list[Any], seed: int) -> None:
    """Each object alone is painted, and found again where its box is."""
    random.seed(seed)
    height, width = 56, 64
    label = np.array(
        [
            [number, x / width, y / height, (x + w) / width, min(y + h, height) / height]
            for number, (x, y, w, h) in enumerate(drawn)
        ],
        np.float32,
    )
    label[:, 3] = label[:, 3].clip(max=1)
    augment = AUGMENTERS[name]()
    state = random.getstate()
    for number, box in enumerate(label):
        pixels = np.zeros((height, width, 3), np.uint8)
        left, top, right, bottom = (box[1:5] * [width, height, width, height]).round().astype(int)
        pixels[top:bottom, left:right] = 255
        random.setstate(state)  # the same for each object
        made, after = augment(mx.nd.wrap(pixels), label)
        rows, columns = np.nonzero(np.asarray(made)[:, :, 0] > 127)
        there = after[after[:, 0] == number]
        if not len(there):
            # Dropped: all of it, or all but a strict crop's share, lies outside.
            assert len(rows) == 0 or name in ("strict crop", "crop", "all")
            continue
        assert len(there) == 1
        sides = np.array([made.shape[1], made.shape[0]] * 2)
        # Nearest neighbour moves an edge by less than a pixel of the source or of the output.
        slack = 1 + sides / np.array([width, height] * 2)
        if not len(rows):  # a box that thin may lie between the centres of two pixels
            assert ((there[0, 3:5] - there[0, 1:3]) * sides[:2] <= slack[:2]).any()
            continue
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert (np.abs(found - there[0, 1:5] * sides) <= slack).all()


def test_what_is_cut_away_is_dropped() -> None:
    """By a crop that is known: the left half."""
    augment = I.DetRandomCropAug(0.0, 1.0, (0.2, 0.3), min_eject_coverage=0.5)
    label = np.array([[0, 0.0, 0.0, 0.3, 0.3, 7.0], [1, 0.45, 0.1, 0.6, 0.4, 8.0]])
    random.seed(0)
    seen = set()
    for _ in range(300):
        made, after = augment(noise(100, 100), label)
        side = made.shape[0]
        assert made.shape == (side, side, 3) and 0.2 <= side**2 / 1e4 <= 0.3
        for row in after:
            assert (row[1:5] >= 0).all() and (row[1:5] <= 1).all()
            before = label[int(row[0])]
            assert row[5] == before[5]  # what follows the box comes along
            left = (row[3] - row[1]) * (row[4] - row[2]) * side**2 / 1e4
            assert left > 0.5 * (before[3] - before[1]) * (before[4] - before[2]) - 1e-6
        seen.add(tuple(after[:, 0]))
    assert seen >= {(0,), (1,), (0, 1)}


def test_a_padded_image_has_its_level_and_the_whole_image() -> None:
    random.seed(0)
    picture = noise(30, 40)
    made, label = I.DetRandomPadAug(area_range=2.5, pad_val=(1, 2, 3))(picture, LABEL)
    assert made.shape[0] >= 32 and made.shape[1] >= 42
    assert made.shape[0] * made.shape[1] <= 2.6 * 1200
    scale = np.array([made.shape[1], made.shape[0]] * 2)
    moved = label[:, 1:5] * scale - LABEL[:, 1:5] * [40, 30, 40, 30]
    x, y = moved[0, :2].round().astype(int)
    np.testing.assert_allclose(moved, [[x, y, x, y]] * 3, atol=1e-6)
    np.testing.assert_array_equal(made[y : y + 30, x : x + 40], picture)
    outside = np.ones(made.shape[:2], bool)
    outside[y : y + 30, x : x + 40] = False
    np.testing.assert_array_equal(np.unique(np.asarray(made)[outside], axis=0), [[1, 2, 3]])


def test_what_cannot_be_done_is_left() -> None:
    picture = noise(30, 40)
    crop = I.DetRandomCropAug(min_object_covered=1.5)  # no crop covers so much
    for augment in (crop, I.DetRandomSelectAug([]), I.DetRandomSelectAug([crop], 1.0)):
        made, label = augment(picture, LABEL)
        assert made is picture and label is LABEL


def test_one_of_several_is_chosen_evenly() -> None:
    class Note(I.DetAugmenter):
        def __call__(self, src: Any, label: Any) -> Any:
            counts[self] = counts.get(self, 0) + 1
            return src, label

    counts: dict[Any, int] = {}
    random.seed(0)
    notes = [Note(), Note()]
    augment = I.DetRandomSelectAug(notes, 0.2)
    for _ in range(2000):
        augment(noise(2, 2), LABEL)
    for note in notes:
        assert stats.binomtest(counts[note], 2000, 0.4).pvalue > 0.001


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: I.DetBorrowAug(3), TypeError, "takes an Augmenter, not int"),
        (lambda: I.DetBorrowAug(I.RandAugment()), ArgumentError, "RandAugment: it moves pixels"),
        (
            lambda: I.DetBorrowAug(I.SequentialAug([I.CastAug(), I.TrivialAugmentWide()])),
            ArgumentError,
            "TrivialAugmentWide: it moves pixels.* use ColorJitter and RandomErasing",
        ),
        (lambda: I.DetRandomSelectAug([I.CastAug()]), ValueError, "takes DetAugmenters"),
        (lambda: I.DetRandomCropAug(area_range=(0.5, 0.2)), ArgumentError, "area_range must be"),
        (
            lambda: I.DetRandomCropAug(aspect_ratio_range=(2, 1)),
            ArgumentError,
            "aspect_ratio_range",
        ),
        (lambda: I.DetRandomPadAug(area_range=(0.5, 1.0)), ArgumentError, "most above 1"),
        (lambda: I.DetRandomPadAug(aspect_ratio_range=0), ArgumentError, "aspect_ratio_range"),
        (
            lambda: I.CreateMultiRandCropAugmenter([0.1, 0.2], max_attempts=[1, 2, 3]),
            ArgumentError,
            "2 of min_object_covered, 3 of max_attempts",
        ),
        (lambda: I.DetAugmenter()(None, None), NotImplementedError, "has no __call__"),
    ],
)
def test_mistakes(call: Callable[[], Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        call()


class DetFade(I.DetAugmenter):
    """An augmenter of a user's own that describes what it does."""

    stage = "color"

    def draw(self, rng: Any, size: Any, boxes: Any) -> Any:
        return rng.uniform(0.2, 0.9)

    def apply(self, src: Any, params: Any) -> Any:
        return mx.nd.wrap(src.astype("float32") * np.float32(params))

    def trace(self, tracer: Any, params: Any) -> None:
        tracer.scale(params)

    def move_boxes(self, boxes: Any, params: Any) -> Any:
        return boxes * [1, 1, 1, 1, params]


def test_calling_draws_applies_and_moves_boxes() -> None:
    image, label = noise(4, 5), np.ones((2, 5))
    found, boxes = call_with_rng(SampleRng(1, 2, 3), DetFade(), image, label)
    factor = SampleRng(1, 2, 3).uniform(0.2, 0.9)
    np.testing.assert_allclose(found, np.asarray(image) * factor, rtol=1e-6)
    np.testing.assert_array_equal(boxes, [[1, 1, 1, 1, factor]] * 2)
    np.testing.assert_array_equal(label, 1)


@pytest.mark.parametrize("name", ["flip", "crop", "strict crop", "canvas"])
def test_tracing_computes_the_size_of_the_image(name: str) -> None:
    augmenter = AUGMENTERS[name]()
    image = mx.nd.wrap(places())
    for record in range(20):
        params = augmenter.draw(SampleRng(0, 0, record), (WIDTH, HEIGHT), LABEL)
        tracer = ImageTracer(WIDTH, HEIGHT)
        augmenter.trace(tracer, params)
        assert augmenter.apply(image, params).shape == (tracer.height, tracer.width, 3)


def test_containers_tell_their_parts() -> None:
    flip, cast = I.DetHorizontalFlipAug(0.5), I.CastAug()
    assert list(I.DetBorrowAug(cast).parts) == [cast]
    select = I.DetRandomSelectAug(flip, 0.3)
    assert select.parts == [flip] and select.any_order
    assert I.DetBorrowAug(I.ColorNormalizeAug(1, 2)).normalization() == ([1] * 3, [2] * 3)
    assert flip.parts is None


def test_what_a_subclass_lacks_is_named() -> None:
    class Empty(I.DetAugmenter):
        pass

    empty = Empty()
    for call, said in (
        (lambda: empty(None, None), "Empty has no __call__"),
        (lambda: empty.apply(None, None), "Empty has no apply"),
        (lambda: empty.trace(None, None), "Empty has no trace"),
    ):
        with pytest.raises(NotImplementedError, match=said):
            call()
    assert empty.move_boxes(LABEL, None) is LABEL
