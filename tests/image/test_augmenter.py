"""The base of augmenters, and the containers of others."""

import json
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.planning.augmenters import unplannable_reason
from gpuio.sampling.sample_rng import SampleRng, call_with_rng
from tests.image.images import noise
from tests.io.image_iterators import write_images

I = mx.image  # noqa: E741


def test_containers_dump_what_is_in_them() -> None:
    made = I.SequentialAug([I.CastAug(), I.HorizontalFlipAug(0.5)])
    assert made.dumps() == [
        "sequentialaug",
        ['["castaug", {"type": "float32"}]', '["horizontalflipaug", {"p": 0.5}]'],
    ]


def test_repr_is_the_call_that_makes_it() -> None:
    class Bare(I.Augmenter):
        def __init__(self) -> None:  # as some do
            pass

    assert repr(I.RandomCropAug((10, 20))) == "RandomCropAug(size=[10, 20], interp=2)"
    made = I.SequentialAug([I.HorizontalFlipAug(0.5), Bare()])
    assert repr(made) == "SequentialAug([HorizontalFlipAug(p=0.5), Bare()])"


def test_one_of_your_own() -> None:
    class Negative(I.Augmenter):
        def __init__(self, level: int) -> None:
            super().__init__(level=level)
            self.level = level

        def __call__(self, src: Any) -> Any:
            return self.level - src

    assert Negative(255).dumps() == '["negative", {"level": 255}]'
    picture = noise(6, 5)
    made = I.SequentialAug([Negative(255), I.CastAug(), I.ColorNormalizeAug(255, None)])(picture)
    np.testing.assert_array_equal(made, -np.asarray(picture, np.float32))
    with pytest.raises(NotImplementedError, match="Mine has no __call__"):
        type("Mine", (I.Augmenter,), {})()(picture)


def test_orders_of_color_jitter_differ() -> None:
    random.seed(0)
    seen = set()

    class Note(I.Augmenter):
        def __call__(self, src: Any) -> Any:
            order.append(self)
            return src

    notes = [Note(), Note(), Note()]
    augment = I.RandomOrderAug(notes)
    for _ in range(200):
        order: list[Any] = []
        augment(noise(2, 2))
        seen.add(tuple(map(notes.index, order)))
    assert len(seen) == 6
    assert augment.ts == notes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 6)
    return folder


def batch_of(folder: Path, augmenters: list[Any], **options: Any) -> np.ndarray:
    """The pixels of all images, augmented by an ImageIter."""
    files = {"path_imgrec": folder / "x.rec", "path_imgidx": folder / "x.idx"}
    with I.ImageIter(6, (3, 24, 28), **files, aug_list=augmenters, seed=3, **options) as iterator:
        found: np.ndarray = iterator.next().data[0].asnumpy()
        return found


class OneByOne(I.ImageIter):
    """Applies its augmenters one after another."""

    def augmentation_transform(self, data: Any) -> Any:
        return super().augmentation_transform(data)


CROP = I.CenterCropAug((28, 24))


class Inverts(I.HorizontalFlipAug):
    """Replaces `__call__` alone of a built-in augmenter."""

    def __call__(self, src: Any) -> Any:
        return 255 - src


class DetInverts(I.DetHorizontalFlipAug):
    """The same for images with boxes."""

    def __call__(self, src: Any, label: Any) -> Any:
        return 255 - src, label + 1


WRAPPED: dict[str, Any] = {
    "SequentialAug": lambda: I.SequentialAug([Inverts(1.0)]),
    "RandomOrderAug": lambda: I.RandomOrderAug([Inverts(1.0)]),
    "SequentialAug in a SequentialAug": lambda: I.SequentialAug([I.SequentialAug([Inverts(1)])]),
    "RandomOrderAug in a SequentialAug": lambda: I.SequentialAug([I.RandomOrderAug([Inverts(1)])]),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_subclass_with_a_call_of_its_own_is_called(name: str, folder: Path) -> None:
    image = noise(6, 5)
    np.testing.assert_array_equal(WRAPPED[name]()(image), 255 - image)
    plain = batch_of(folder, [CROP])
    np.testing.assert_array_equal(batch_of(folder, [CROP, Inverts(1.0)]), 255 - plain)
    np.testing.assert_array_equal(batch_of(folder, [CROP, WRAPPED[name]()]), 255 - plain)


DET_WRAPPED: dict[str, Any] = {
    "DetBorrowAug": (lambda: I.DetBorrowAug(Inverts(1.0)), 0),
    "DetBorrowAug of a SequentialAug": (
        lambda: I.DetBorrowAug(I.SequentialAug([Inverts(1.0)])), 0,
    ),
    "DetRandomSelectAug": (lambda: I.DetRandomSelectAug([DetInverts(1.0)]), 1),
    "DetRandomSelectAug of a DetBorrowAug": (
        lambda: I.DetRandomSelectAug([I.DetBorrowAug(Inverts(1.0))]), 0,
    ),
    "itself": (lambda: DetInverts(1.0), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", DET_WRAPPED)
def test_a_subclass_with_a_call_of_its_own_is_called_with_boxes(name: str, folder: Path) -> None:
    make, added = DET_WRAPPED[name]
    image, label = noise(6, 5), np.zeros((2, 5), np.float32)
    found, boxes = make()(image, label)
    np.testing.assert_array_equal(found, 255 - image)
    np.testing.assert_array_equal(boxes, label + added)
    files = {"path_imgrec": folder / "d.rec", "path_imgidx": folder / "d.idx"}
    force = I.DetBorrowAug(I.ForceResizeAug((28, 24)))
    batches = []
    for augmenters in ([force], [force, make()]):
        with I.ImageDetIter(6, (3, 24, 28), **files, aug_list=augmenters) as iterator:
            batches.append(iterator.next())
    plain, inverted = batches
    np.testing.assert_array_equal(inverted.data[0], 255 - plain.data[0])
    boxes = plain.label[0].asnumpy()
    expected = np.where((boxes[:, :, :1] >= 0), boxes + added, boxes)
    np.testing.assert_array_equal(inverted.label[0].asnumpy(), expected)


class Fade(I.Augmenter):
    """An augmenter of a user's own that describes what it does."""

    stage = "color"

    def draw(self, rng: Any, size: Any) -> Any:
        return rng.uniform(0.2, 0.9)

    def apply(self, src: Any, params: Any) -> Any:
        return mx.nd.wrap(src.astype("float32") * np.float32(params))

    def trace(self, tracer: Any, params: Any) -> None:
        tracer.scale(params)


class Corner(I.Augmenter):
    """The same, of the image's geometry: one of the four corners."""

    stage = "geometry"

    def draw(self, rng: Any, size: Any) -> Any:
        return rng.choice([0, size[0] - 28]), rng.choice([0, size[1] - 24])

    def apply(self, src: Any, params: Any) -> Any:
        return I.fixed_crop(src, *params, 28, 24)

    def trace(self, tracer: Any, params: Any) -> None:
        tracer.crop(*params, 28, 24)


OWN: dict[str, list[Any]] = {
    "color": [CROP, Fade()],
    "geometry": [Corner()],
    "both": [Corner(), I.HorizontalFlipAug(0.5), Fade()],
    "in containers": [I.SequentialAug([Corner()]), I.RandomOrderAug([Fade(), Fade()])],
    "between built-in ones": [
        Corner(), I.ColorJitterAug(0.3, 0.3, 0.3), Fade(), I.ColorNormalizeAug(100.0, 50.0),
    ],
}  # fmt: skip


@pytest.mark.parametrize("executor", ["host", "dali"])
@pytest.mark.parametrize("name", OWN)
def test_an_augmenter_that_describes_itself_becomes_part_of_a_plan(
    name: str, executor: str, folder: Path
) -> None:
    assert unplannable_reason(OWN[name]) is None
    planned = batch_of(folder, OWN[name], executor=executor)
    files = {"path_imgrec": folder / "x.rec", "path_imgidx": folder / "x.idx"}
    with OneByOne(6, (3, 24, 28), **files, aug_list=OWN[name], seed=3) as iterator:
        expected = iterator.next().data[0].asnumpy()
    assert len({image.tobytes() for image in expected}) == 6
    np.testing.assert_allclose(planned, expected, rtol=1e-5, atol=1e-3)


class Applies(I.Augmenter):
    """Describes what it does to pixels alone."""

    def draw(self, rng: Any, size: Any) -> Any:
        return rng.randint(1, 100)

    def apply(self, src: Any, params: Any) -> Any:
        return mx.nd.wrap(src.astype("float32") + params)


class Half(I.BrightnessJitterAug):
    """Does to pixels something other than the trace that it inherits."""

    def apply(self, src: Any, params: Any) -> Any:
        return mx.nd.wrap(src.astype("float32") / 2)


class Never(I.HorizontalFlipAug):
    """Draws otherwise, and applies as it inherits."""

    def draw(self, rng: Any, size: Any) -> Any:
        return False


class HalfAgain(Half):
    """Completes what its base lacks."""

    def trace(self, tracer: Any, params: Any) -> None:
        tracer.scale(0.5)


@pytest.mark.parametrize("kind", [Applies, Half])
def test_an_augmenter_without_a_trace_runs_one_by_one(
    kind: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    augmenter = Applies() if kind is Applies else Half(0.5)
    reason = f"{kind.__name__} has no trace method"
    assert unplannable_reason([CROP, augmenter]) == reason
    plain = batch_of(folder, [CROP])
    with caplog.at_level(logging.INFO, "gpuio"):
        found = batch_of(folder, [CROP, augmenter])
    assert f"one by one on the CPU, because {reason}" in caplog.text
    if kind is Half:
        np.testing.assert_array_equal(found, plain / 2)
    else:
        added = {float(np.unique(each)[0]) for each in found - plain}
        assert len(added) > 1 and added <= set(range(1, 101))
    with pytest.raises(ArgumentError, match=reason):
        batch_of(folder, [CROP, augmenter], executor="dali")


def test_a_subclass_that_only_draws_stays_plannable(folder: Path) -> None:
    assert unplannable_reason([CROP, Never(1.0)]) is None
    np.testing.assert_array_equal(batch_of(folder, [CROP, Never(1.0)]), batch_of(folder, [CROP]))
    assert unplannable_reason([CROP, HalfAgain(0.5)]) is None
    np.testing.assert_array_equal(
        batch_of(folder, [CROP, HalfAgain(0.5)]), batch_of(folder, [CROP]) / 2
    )


def test_calling_draws_and_applies() -> None:
    random.seed(7)
    factor = random.uniform(0.2, 0.9)
    random.seed(7)
    image = noise(4, 5)
    np.testing.assert_allclose(Fade()(image), np.asarray(image) * np.float32(factor), rtol=1e-6)
    first, second = (call_with_rng(SampleRng(1, 2, 3), Fade(), image) for _ in range(2))
    np.testing.assert_array_equal(second, first)


def test_containers_apply_their_parts_in_order() -> None:
    image = noise(4, 5, dtype=np.float32)
    sequence = I.SequentialAug([I.ColorNormalizeAug(10.0, None), I.ColorNormalizeAug(None, 2.0)])
    np.testing.assert_array_equal(sequence(image), (np.asarray(image) - 10) / 2)
    assert I.SequentialAug([])(image) is image


def test_arguments_are_dumped_as_json() -> None:
    class Noted(I.Augmenter):
        pass

    made = Noted(a=np.arange(3), b=mx.nd.array([1.5]), c=(1, 2), d="text")
    assert json.loads(made.dumps()) == ["noted", {"a": [0, 1, 2], "b": [1.5], "c": [1, 2],
                                                  "d": "text"}]  # fmt: skip


def test_what_a_subclass_lacks_is_named() -> None:
    class Empty(I.Augmenter):
        pass

    empty, image = Empty(), noise(2, 2)
    for call, said in (
        (lambda: empty(image), "Empty has no __call__"),
        (lambda: empty.apply(image, None), "Empty has no apply"),
        (lambda: empty.trace(None, None), "Empty has no trace"),
        (lambda: empty.drawn_parts(None), "Empty is not a container"),
    ):
        with pytest.raises(NotImplementedError, match=said):
            call()
    assert empty.draw(None, (2, 2)) is None and empty.normalization() is None
