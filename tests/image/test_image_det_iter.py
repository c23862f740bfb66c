"""ImageDetIter: MXNet's batches, label shapes, drawing, mistakes."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError, UnsupportedError
from gpuio.image.drawing import COLORS
from gpuio.image.image_det_iter import fill_label, largest_label
from gpuio.loading.source import FileSource, RecordSource
from gpuio.planning.boxes import split_label
from gpuio.recordio import RecordSet
from gpuio.recordio.lists import ListItem
from tests.close import EXACT, LEVELS, Tolerance, assert_images_close
from tests.image.golden import DATA, manifest, results
from tests.io.records import jpeg, write_records

I = mx.image  # noqa: E741

LABELS = [
    [2.0, 5.0, 1.0, 0.1, 0.2, 0.5, 0.6],
    [4.0, 6.0, 9.0, 9.0, 0.0, 0.0, 0.0, 1.0, 1.0, 7.0, 2.0, 0.3, 0.3, 0.2, 0.9, 8.0],
    [2.0, 5.0],
]


def det(**options: Any) -> Any:
    values = {"batch_size": 2, "data_shape": (3, 30, 36), "path_imgrec": DATA / "det.rec"}
    return I.ImageDetIter(**{**values, **options})


@pytest.mark.parametrize("name", ["default", "mean"])
def test_batches_are_those_of_mxnet(name: str) -> None:
    case = manifest(f"ImageDetIter_{name}")
    options = {"mean": True, "std": True} if name == "mean" else {}
    expected = results(case["outputs"][0])
    # Bicubic, and resampled from the whole image.
    tolerance = Tolerance(2, 0.06).scaled(1 / 57 if options else 1)
    with det(**options) as iterator:
        assert [[d.name, list(d.shape)] for d in iterator.provide_label] == case["provide_label"]
        assert [[d.name, list(d.shape)] for d in iterator.provide_data] == case["provide_data"]
        batches = list(iterator)
        assert len(batches) == sum(key.startswith("d0_") for key in expected)
        for number, batch in enumerate(batches):
            np.testing.assert_array_equal(batch.label[0], expected[f"l0_{number}"])
            assert_images_close(
                batch.data[0].asnumpy(), expected[f"d0_{number}"].astype(np.float32), tolerance
            )
        assert [batch.pad for batch in batches] == expected["pad0"].tolist()


def files(folder: Path, labels: list[Any]) -> dict[str, Path]:
    pictures = [jpeg(number, 60, 50) for number in range(len(labels))]
    return write_records(folder / "x", pictures, labels)


def test_labels_become_rows_of_boxes(tmp_path: Path) -> None:
    labels = [LABELS[0], LABELS[2], [2.0, 5.0, *[0, 0.1, 0.1, 0.3, 0.3] * 3]]
    with det(**files(tmp_path, labels), batch_size=3) as iterator:
        assert iterator.label_shape == (3, 5)
        found = iterator.next().label[0].asnumpy()
    assert found.shape == (3, 3, 5)
    np.testing.assert_allclose(found[0], [LABELS[0][2:], [-1] * 5, [-1] * 5])
    assert (found[1] == -1).all() and (found[2, :, 0] == 0).all()
    # More numbers behind the box, a longer header, and a box without an area.
    with det(**files(tmp_path, [LABELS[1]]), batch_size=1) as iterator:
        np.testing.assert_allclose(iterator.next().label[0], [[[0, 0, 0, 1, 1, 7]]])


def test_everything_follows_from_the_seed() -> None:
    options = dict(
        rand_crop=0.5, rand_pad=0.5, rand_mirror=True, brightness=0.3, shuffle=True, seed=3
    )
    found = []
    for threads in (1, 4):
        with det(**options, preprocess_threads=threads) as iterator:
            found.append([(b.data[0].asnumpy(), b.label[0].asnumpy()) for b in iterator])
            state = json.loads(json.dumps(iterator.state_dict()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    with det(**options) as iterator, det(**options) as other_iterator:
        iterator.load_state_dict(state)
        iterator.reset()
        for _ in other_iterator:
            pass
        other_iterator.reset()
        np.testing.assert_array_equal(iterator.next().label[0], other_iterator.next().label[0])


def test_shapes_change_with_the_next_batch() -> None:
    with det(batch_size=1) as iterator:
        first = iterator.next()
        assert first.label[0].shape == (1, 3, 5)
        iterator.reshape(label_shape=(7, 5))
        assert iterator.provide_label[0].shape == (1, 7, 5)
        second = iterator.next()
        assert second.label[0].shape == (1, 7, 5) and second.index.tolist() == [1]
        assert (second.label[0][0, 3:] == -1).all()
        iterator.reshape(data_shape=(3, 20, 20))
        with pytest.raises(ArgumentError, match=r"has the shape \(3, 30, 36\)"):
            iterator.next()
        for shape, said in (((7,), "length 2"), ((2, 5), "no space"), ((9, 6), "no space")):
            with pytest.raises(ValueError, match=said):
                iterator.reshape(label_shape=shape)


def test_two_iterators_get_one_label_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with det() as train, det(**files(tmp_path, [LABELS[0]])) as test:
        assert (train.label_shape, test.label_shape) == ((3, 5), (1, 5))
        assert train.sync_label_shape(test, verbose=True) is test
        assert train.label_shape == test.label_shape == (3, 5)
        assert capsys.readouterr().out == "label_shape is now (3, 5)\n"
        assert test.next().label[0].shape == (2, 3, 5)
        test.sync_label_shape(train)
        with pytest.raises(ArgumentError, match="takes an ImageDetIter, not int"):
            train.sync_label_shape(3)


def test_boxes_are_drawn(tmp_path: Path) -> None:
    labels = [[2.0, 5.0, 1.0, 0.25, 0.2, 0.75, 0.6]] * 3
    options = {"data_shape": (3, 100, 200), "mean": True, "std": True}
    with det(**files(tmp_path, labels), **options) as iterator:
        pictures = list(iterator.draw_next(mean=True, std=True, thickness=1))
        assert len(pictures) == 3
        iterator.reset()
        (named, *_) = iterator.draw_next((9, 8, 7), id2labels={1: "one"}, mean=True, std=True)
    for picture in pictures:
        assert (picture.dtype, picture.shape) == (np.uint8, (100, 200, 3))
        drawn = (picture == COLORS[1]).all(2)
        rows, columns = np.nonzero(drawn)
        found = [rows.min(), rows.max(), columns.min(), columns.max()]
        assert found == [20, 59, 50, 149] and drawn.sum() == 2 * (100 + 38)
    drawn = (named == (9, 8, 7)).all(2)
    assert drawn.sum() > 300 and drawn[:20].any()


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1.0], "begins with the header's width"),
        ([[1.0, 5.0, 0, 0, 0, 1, 1]], "begins with the header's width"),
        ([[2.0, 4.0, 0, 0, 0, 1]], "begins with the header's width"),
        ([[2.0, 5.0, 0, 0, 0, 1]], "inconsistent with annotation width 5"),
        ([[9.0, 5.0, 0, 0, 0, 1, 1]], "inconsistent with annotation width 5"),
        ([LABELS[0], LABELS[1]], "inconsistent object widths"),
    ],
)
def test_labels_that_are_none(labels: list[Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=said):
        det(**files(tmp_path, labels))


def test_mistakes() -> None:
    with det() as iterator, pytest.raises(UnsupportedError, match="there is no window"):
        next(iterator.draw_next(waitKey=1))
    with pytest.raises(TypeError, match="rezise"):
        det(rezise=3)
    with pytest.raises(ArgumentError, match="name a source"):
        det(path_imgrec=None)

    class More(I.DetAugmenter):
        def __call__(self, src: Any, label: Any) -> Any:
            return src, np.repeat(label, 4, 0)

    crowded = [*I.CreateDetAugmenter((3, 30, 36)), More()]
    with det(aug_list=crowded) as iterator, pytest.raises(ArgumentError, match="enlarge it"):
        iterator.next()


def test_batches_come_on_each_device(ctx: mx.Context) -> None:
    with det(ctx=ctx) as iterator, det(ctx=mx.cpu()) as host:
        batch, expected = iterator.next(), host.next()
    assert batch.data[0].context == batch.label[0].context == ctx
    tolerance = EXACT if ctx.device_type == "cpu" else LEVELS["gpu", 2]
    assert_images_close(batch.data[0].asnumpy(), expected.data[0].asnumpy(), tolerance)
    np.testing.assert_array_equal(batch.label[0].asnumpy(), expected.label[0])


class DetOneByOne(I.ImageDetIter):
    """Makes samples one by one."""

    def augmentation_transform(self, data: Any, label: Any) -> Any:
        return super().augmentation_transform(data, label)


KINDS: dict[str, Any] = {"planned": I.ImageDetIter, "one by one": DetOneByOne}


@pytest.mark.parametrize("handle", ["pad", "discard", "roll_over"])
@pytest.mark.parametrize("kind", KINDS)
def test_its_length_is_that_of_the_current_epoch(kind: str, handle: str, tmp_path: Path) -> None:
    named = files(tmp_path, [LABELS[0]] * 10)
    with KINDS[kind](4, (3, 24, 28), **named, last_batch_handle=handle) as iterator:
        lengths = []
        for _ in range(4):
            assert bool(iterator) is True
            lengths.append((len(iterator), len(list(iterator))))
            iterator.reset()
    expected = {"pad": [3] * 4, "discard": [2] * 4, "roll_over": [2, 3, 2, 3]}[handle]
    assert lengths == [(length, length) for length in expected]


def test_a_next_sample_of_its_own(tmp_path: Path) -> None:
    class Odd(I.ImageDetIter):
        def next_sample(self) -> Any:
            super().next_sample()
            return super().next_sample()

    labels = [[2.0, 5.0, number, 0.1, 0.2, 0.5, 0.6] for number in range(6)]
    with Odd(2, (3, 24, 28), **files(tmp_path, labels)) as iterator:
        assert iterator and iterator.label_shape == (1, 5)
        with pytest.raises(TypeError, match="does not know the length"):
            len(iterator)
        classes = [batch.label[0][:, 0, 0].tolist() for batch in iterator]
    assert classes == [[1, 3], [5, 5]]


SIDES = st.integers(0, 4)


@st.composite
def detection_labels(draw: Any, width: int | None = None) -> list[float]:
    """A label of any header, with boxes of which some are degenerate."""
    header = draw(st.integers(2, 5))
    width = draw(st.integers(5, 7)) if width is None else width
    label = [header, width, *draw(st.lists(SIDES, min_size=header - 2, max_size=header - 2))]
    for _ in range(draw(st.integers(0, 4))):
        label += draw(st.lists(SIDES, min_size=width, max_size=width))
    return label


def sources(folder: Path, labels: list[list[float]]) -> Any:
    """The labels as record file and as a list of image files."""
    named = write_records(folder / "x", [b"an image"] * len(labels), labels)
    yield RecordSource(RecordSet(named["path_imgrec"], named["path_imgidx"]))
    yield FileSource([ListItem(10 * n, tuple(label), "x") for n, label in enumerate(labels)], "")


@settings(max_examples=80, deadline=None)
@given(labels=st.lists(detection_labels(width=6), min_size=1, max_size=9))
def test_the_largest_label_is_that_of_all_records_one_by_one(
    labels: list[list[float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    expected = max([1, *(len(split_label(np.float32(label))[1]) for label in labels)])
    for source in sources(tmp_path_factory.mktemp("labels"), labels):
        assert largest_label(source) == (expected, 6)
        source.close()


@settings(max_examples=80, deadline=None)
@given(labels=st.lists(detection_labels(), min_size=1, max_size=9))
def test_objects_of_several_widths_are_refused(
    labels: list[list[float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    widths = sorted({int(label[1]) for label in labels})
    expected = max([1, *(len(split_label(np.float32(label))[1]) for label in labels)])
    for source in sources(tmp_path_factory.mktemp("labels"), labels):
        if len(widths) == 1:
            assert largest_label(source) == (expected, widths[0])
        else:
            said = re.escape(f"inconsistent object widths: {widths}")
            with pytest.raises(RecordError, match=said):
                largest_label(source)
        source.close()


@settings(max_examples=80, deadline=None)
@given(
    labels=st.lists(detection_labels(width=5), min_size=1, max_size=6),
    broken=st.sampled_from([[1.0], [1.0, 5.0], [2.0, 4.0], [2.0, 5.0, 1.0], [9.0, 5.0], [7.0] * 6]),
    data=st.data(),
)
def test_a_label_that_is_none_is_told_with_its_location(
    labels: list[list[float]], broken: list[float], data: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    place = data.draw(st.integers(0, len(labels)))
    labels = [*labels[:place], broken, *labels[place:]]
    for source in sources(tmp_path_factory.mktemp("labels"), labels):
        with pytest.raises(RecordError, match=rf"key {10 * place}\b"):
            largest_label(source)
        source.close()


def test_labels_fill_a_row() -> None:
    boxes = np.arange(10, dtype=np.float32).reshape(2, 5)
    np.testing.assert_array_equal(fill_label(boxes, (3, 5)), [*boxes, [-1] * 5])
    np.testing.assert_array_equal(fill_label(boxes[:0], (2, 5)), np.full((2, 5), -1))
    for shape in ((1, 5), (3, 6)):
        with pytest.raises(ArgumentError, match="enlarge it"):
            fill_label(boxes, shape)


def test_no_boxes_of_another_width_fit_into_any_label() -> None:
    filled = fill_label(np.zeros((0, 5), np.float32), (2, 6))
    np.testing.assert_array_equal(filled, np.full((2, 6), -1))
