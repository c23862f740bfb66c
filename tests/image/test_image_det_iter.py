"""ImageDetIter: MXNet's batches, label shapes, drawing, mistakes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError, UnsupportedError
from gpuio.image.drawing import COLOURS
from tests.close import Tolerance, assert_images_close
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
    # Bicubic, and resampled from the whole picture.
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
        drawn = (picture == COLOURS[1]).all(2)
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
    np.testing.assert_array_equal(batch.data[0].asnumpy(), expected.data[0])
    np.testing.assert_array_equal(batch.label[0].asnumpy(), expected.label[0])
