"""ImageIter: MXNet's batches, order, sources, hooks, bad samples, resume."""

import json
import pickle
import random
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, Error, RecordError, StateError
from gpuio.execution.mixing import mix_batch
from gpuio.execution.output import OutputSpec
from gpuio.planning.mixing import Mixer
from tests.close import EXACT, GPU_DECODER, Tolerance, assert_images_close
from tests.image.folder import folder, over
from tests.image.golden import DATA, call_of, manifest, results
from tests.image.test_golden import CUBIC
from tests.io.image_iterators import write_images
from tests.io.records import EXECUTORS, RUNS, jpeg, write_records
from tests.io.threads import gpuio_threads, no_threads_left, run_in_thread

I = mx.image  # noqa: E741

__all__ = ["folder"]


CASES = [name.removeprefix("ImageIter_") for name in (
    "default", "resize64", "resize64_inter1", "mean_std", "handle_pad", "handle_pad_idx",
    "handle_discard", "handle_discard_idx", "handle_roll_over", "handle_roll_over_idx", "part1of5",
    "label3", "imglist_file", "imglist_arg",
)]  # fmt: skip


def test_no_case_is_left_out() -> None:
    cases = json.loads((DATA.parent / "manifest.json").read_text())["cases"]
    named = [case["case"] for case in cases if case["case"].startswith("ImageIter_")]
    assert [f"ImageIter_{name}" for name in CASES] == named


@pytest.mark.parametrize("name", CASES)
def test_batches_are_those_of_mxnet(name: str) -> None:
    case = manifest(f"ImageIter_{name}")
    expected = results(case["outputs"][0])
    tolerance = CUBIC.widened(Tolerance(1, 0.01))
    if name == "mean_std":
        tolerance = tolerance.scaled(1 / 57)
    elif name == "resize64_inter1":
        tolerance = EXACT
    _, arguments, options, _ = call_of(case)
    with I.ImageIter(*arguments, **options) as iterator:
        assert [(d.name, list(d.shape)) for d in iterator.provide_data] == [
            (each, shape) for each, shape in case["provide_data"]
        ]
        assert [(d.name, list(d.shape)) for d in iterator.provide_label] == [
            (each, shape) for each, shape in case["provide_label"]
        ]
        epochs = 1 + max(int(key[1:].split("_")[0]) for key in expected if key[0] == "d")
        for epoch in range(epochs):
            batches = list(iterator)
            assert len(batches) == sum(key.startswith(f"d{epoch}_") for key in expected)
            for number, batch in enumerate(batches):
                pixels = expected[f"d{epoch}_{number}"].astype(np.float32)
                assert batch.data[0].dtype == np.float32
                assert_images_close(batch.data[0].asnumpy(), pixels, tolerance)
                np.testing.assert_array_equal(batch.label[0], expected[f"l{epoch}_{number}"])
            assert [batch.pad for batch in batches] == expected[f"pad{epoch}"].tolist()
            if "roll_over" in name:  # where MXNet counts rows that are valid
                assert [batch.padding for batch in batches] == [0] * len(batches)
            iterator.reset()


RANDOM: dict[str, Any] = {
    "shuffle": True, "resize": 40, "rand_crop": True, "rand_resize": True, "rand_mirror": True,
    "brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.2, "pca_noise": 0.1,
    "rand_gray": 0.2, "mean": True, "std": True,
}  # fmt: skip


def seen(iterator: Any, epochs: int = 1) -> list[tuple[list[int], np.ndarray]]:
    found = []
    for _ in range(epochs):
        found += [(batch.index.tolist(), batch.data[0].asnumpy()) for batch in iterator]
        iterator.reset()
    return found


def assert_same(found: list[Any], expected: list[Any]) -> None:
    assert [keys for keys, _ in found] == [keys for keys, _ in expected]
    for (_, pixels), (_, others) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pixels, others)


def test_the_three_sources_give_the_same(folder: Path) -> None:
    pictures = [jpeg(number, 60, 50) for number in range(8)]
    labels = [[number, 0.5] for number in range(8)]
    files = write_records(folder / "y", pictures, labels)
    memory = [[number, 0.5, f"{number}.jpg"] for number in range(8)]
    nested = [[[number, 0.5], f"{number}.jpg"] for number in range(8)]
    with (
        over(folder) as listed,
        over(folder, path_imglist=None, imglist=memory) as one,
        over(folder, path_imglist=None, imglist=nested) as two,
        over(folder, path_imglist=None, **files) as recorded,
        over(folder, **files) as replaced,
    ):
        for batches in zip(listed, one, two, recorded, replaced, strict=True):
            for batch in batches[1:]:
                np.testing.assert_array_equal(batch.data[0], batches[0].data[0])
                np.testing.assert_array_equal(batch.label[0], batches[0].label[0])


def test_everything_follows_from_the_seed(folder: Path) -> None:
    with over(folder, **RANDOM) as iterator:
        expected = seen(iterator, 3)
    for threads, batch_size in ((1, 3), (7, 3)):
        random.seed(threads)
        np.random.seed(threads)
        with over(folder, **RANDOM, preprocess_threads=threads, batch_size=batch_size) as iterator:
            assert_same(seen(iterator, 3), expected)
    with over(folder, **RANDOM, seed=1) as iterator:
        assert [keys for keys, _ in seen(iterator, 3)] != [keys for keys, _ in expected]
    first, second = expected[0], expected[3]
    same = set(first[0]) & set(second[0])
    for key in same:  # another epoch, another crop
        assert not np.array_equal(first[1][first[0].index(key)], second[1][second[0].index(key)])


@pytest.mark.parametrize("handle", ["pad", "discard", "roll_over"])
def test_it_goes_on_from_a_state(handle: str, folder: Path) -> None:
    options = {**RANDOM, "last_batch_handle": handle}
    with over(folder, **options) as whole:
        expected = seen(whole, 3)
    for batches in range(6):
        with over(folder, **options) as iterator:
            left = batches
            while left:
                try:
                    iterator.next()
                    left -= 1
                except StopIteration:
                    iterator.reset()
            state = json.loads(json.dumps(iterator.state_dict()))
        with over(folder, **options) as iterator:
            iterator.load_state_dict(state)
            rest = []
            while len(rest) < len(expected) - batches:
                try:
                    batch = iterator.next()
                except StopIteration:
                    iterator.reset()
                    continue
                rest.append((batch.index.tolist(), batch.data[0].asnumpy()))
            assert_same(rest, expected[batches:])
    with over(folder, **options, seed=2) as other, pytest.raises(StateError, match="seed"):
        other.load_state_dict(state)


def test_parts_are_of_equal_size(folder: Path) -> None:
    parts = []
    for index in range(3):
        with over(folder, num_parts=3, part_index=index, batch_size=1) as iterator:
            assert iterator.num_data == 2
            parts.append([key for keys, _ in seen(iterator) for key in keys])
    assert parts == [[0, 10], [20, 30], [40, 50]]


def test_ranks_share_each_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    with over(folder, **RANDOM, num_parts="auto", batch_size=4) as iterator:
        whole = seen(iterator)
    monkeypatch.setenv("WORLD_SIZE", "2")
    halves = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        with over(folder, **RANDOM, num_parts="auto", batch_size=2) as iterator:
            halves.append(seen(iterator))
    for (keys, pixels), first, second in zip(whole, *halves, strict=True):
        assert keys == first[0] + second[0]
        np.testing.assert_array_equal(pixels, np.concatenate([first[1], second[1]]))


class Identity(I.Augmenter):
    """With it, samples go through the augmenters one by one."""

    def __call__(self, src: Any) -> Any:
        return src


WAYS: dict[str, dict[str, Any]] = {
    "as a plan": {},
    "on DALI": {"executor": "dali"},
    "one by one": {"aug_list": [*I.CreateAugmenter((3, 24, 28)), Identity()]},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("on_error", ["skip", "substitute"])
def test_bad_samples(on_error: str, way: str, folder: Path) -> None:
    """A broken, an empty and a non-image file, and one that is missing."""
    images = folder / "images"
    (images / "1.jpg").write_bytes(jpeg(1, 60, 50)[:100])
    (images / "2.jpg").write_bytes(b"")
    (images / "4.jpg").write_text("not an image")
    (images / "6.jpg").unlink()
    said = r"1\.jpg, key 10: .*on_error='skip' or 'substitute'"
    with over(folder, **WAYS[way], batch_size=4) as iterator, pytest.raises(Error, match=said):
        iterator.next()
    with over(folder, **WAYS[way], batch_size=4, on_error=on_error) as iterator:
        batches = list(iterator)
        reasons = {bad.key: bad.reason for bad in iterator.bad_records}
        assert reasons.keys() == {10, 20, 40, 60}
        assert "empty" in reasons[20] and "not an image" in reasons[40]
        assert "No such file" in reasons[60]
        assert iterator.bad_records[0].file == str(images / "1.jpg")
        if on_error == "skip":
            assert [batch.pad for batch in batches] == [2, 2]
            assert [batch.index.tolist()[:2] for batch in batches] == [[0, 30], [50, 70]]
        else:
            assert [batch.pad for batch in batches] == [0, 0]
            assert [batch.index.tolist() for batch in batches] == [
                [0, 30, 30, 30], [50, 50, 70, 70],
            ]  # fmt: skip
    for path in images.iterdir():
        path.write_bytes(b"")
    with (
        over(folder, **WAYS[way], on_error=on_error) as iterator,
        pytest.raises(Error, match="not one record"),
    ):
        iterator.next()


def test_a_negative_of_your_own(folder: Path) -> None:
    class Negative(I.Augmenter):
        def __call__(self, src: Any) -> Any:
            return 255 - src

    augmenters = [*I.CreateAugmenter((3, 24, 28)), Negative()]
    with over(folder) as plain, over(folder, aug_list=augmenters) as negative:
        assert negative.auglist == tuple(augmenters)
        for one, other in zip(plain, negative, strict=True):
            np.testing.assert_array_equal(255 - one.data[0], other.data[0])


def test_hooks_are_called_for_every_sample(folder: Path) -> None:
    called: dict[str, int] = {}

    def count(name: str) -> None:
        with lock:
            called[name] = called.get(name, 0) + 1

    class Mine(I.ImageIter):
        def check_data_shape(self, data_shape: Any) -> None:
            count("shape")

        def read_image(self, fname: str) -> bytes:
            count("read")
            return super().read_image(fname)

        def imdecode(self, s: bytes) -> Any:
            count("decode")
            return super().imdecode(s)

        def check_valid_image(self, data: Any) -> None:
            count("valid")
            if data[0].shape[1] == 61:
                raise RuntimeError("too wide")

        def augmentation_transform(self, data: Any) -> Any:
            count("augment")
            return I.imresize(super().augmentation_transform(data), 10, 9)

        def postprocess_data(self, datum: Any) -> Any:
            count("postprocess")
            return datum.mean(axis=2)[None]

    lock = threading.Lock()
    (folder / "images" / "3.jpg").write_bytes(jpeg(3, 61, 50))
    options = {
        "path_imglist": folder / "x.lst", "path_root": folder / "images", "label_width": 2,
    }  # fmt: skip
    with Mine(4, (1, 9, 10), **options, on_error="skip", aug_list=[], prefetch_buffer=1) as mine:
        batches = list(mine)
        assert [bad.reason for bad in mine.bad_records] == ["too wide"]
    assert [batch.data[0].shape for batch in batches] == [(4, 1, 9, 10)] * 2
    assert called["shape"] == 1
    assert called["read"] == called["decode"] == called["valid"] == called["augment"] + 1


def test_a_scalar_label_is_repeated(folder: Path) -> None:
    listed = [[7, "0.jpg"], [8, "1.jpg"]]
    options = {"path_imglist": None, "imglist": listed, "batch_size": 2}
    with over(folder, **options) as iterator:
        np.testing.assert_array_equal(iterator.next().label[0], [[7, 7], [8, 8]])
    with over(folder, label_width=1) as iterator, pytest.raises(RecordError, match="label_width"):
        iterator.next()


def test_hard_reset_drops_what_rolls_over(folder: Path) -> None:
    with over(folder, last_batch_handle="roll_over") as iterator:
        assert [keys for keys, _ in seen(iterator)] == [[0, 10, 20], [30, 40, 50]]
        assert iterator.next().index.tolist() == [60, 70, 0]
        iterator.hard_reset()
        assert iterator.next().index.tolist() == [0, 10, 20]


def test_batches_come_on_each_device(folder: Path, ctx: mx.Context) -> None:
    with over(folder, ctx=ctx) as iterator, over(folder, ctx=mx.cpu()) as host:
        batch, expected = iterator.next(), host.next()
    assert batch.data[0].context == batch.label[0].context == ctx
    tolerance = EXACT if ctx == mx.cpu() else GPU_DECODER  # nothing is resized
    assert_images_close(batch.data[0].asnumpy(), expected.data[0].asnumpy(), tolerance)
    np.testing.assert_array_equal(batch.label[0].asnumpy(), expected.label[0])


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"path_imglist": None}, ArgumentError, "name a source"),
        ({"data_shape": 5}, ArgumentError, r"length 3.* such as \(3, 224, 224\), not 5"),
        ({"data_shape": None}, ArgumentError, "length 3.*not None"),
        ({"dtype": "zz"}, ArgumentError, "dtype must be one of int32, .* not 'zz'"),
        ({"dtype": 5}, ArgumentError, "dtype must be one of int32, .* not 5"),
        ({"path_imglist": None, "imglist": 5}, ArgumentError, r"imglist must be a list.*not 5"),
        ({"path_imglist": None, "imglist": "x"}, ArgumentError, "imglist must be a list.*'x'"),
        ({"path_root": 5}, ArgumentError, "path_root must be the path of a folder, not 5"),
        ({"imglist": [[1, "0.jpg"]]}, ArgumentError, "two lists"),
        ({"path_imgrec": "x.rec", "imglist": []}, ArgumentError, "two sources"),
        ({"path_imglist": "none.lst"}, ArgumentError, "none.lst cannot be read"),
        ({"path_imglist": None, "imglist": []}, ArgumentError, "no images"),
        ({"path_imglist": None, "imglist": [["0.jpg"]]}, ArgumentError, "item 1 is"),
        ({"path_imglist": None, "imglist": [3]}, ArgumentError, "item 1 is 3"),
        ({"data_shape": (1, 4, 4)}, ValueError, "3 channels"),
        ({"data_shape": (3, 4)}, ValueError, "length 3"),
        ({"batch_size": 0}, ArgumentError, "batch_size must be at least 1"),
        ({"dtype": "uint8"}, ArgumentError, "dtype must be one of"),
        ({"last_batch_handle": "wrap"}, ArgumentError, "last_batch_handle must be"),
        ({"on_error": "ignore"}, ArgumentError, "on_error must be"),
        ({"num_parts": 9}, ArgumentError, "cannot be divided into 9 parts"),
        ({"num_parts": 2, "part_index": 2}, ArgumentError, "part_index"),
        ({"rezise": 3}, TypeError, "rezise"),
        ({"resize": 3, "aug_list": []}, TypeError, "resize has no effect"),
        ({"rand_resize": True}, ArgumentError, "requires rand_crop=True"),
    ],
    ids=str,
)  # fmt: skip
def test_mistakes(changes: dict[str, Any], kind: type[Exception], said: str, folder: Path) -> None:
    with pytest.raises(kind, match=said):
        over(folder, **changes)


def test_mistakes_in_lists_and_sizes(folder: Path) -> None:
    (folder / "x.lst").write_text("0\t1\t2\t0.jpg\n\nnonsense\n")
    with pytest.raises(ArgumentError, match=r"x\.lst, line 3: expected a key"):
        over(folder)
    (folder / "x.lst").write_text("0\t1\t2\t0.jpg\n")
    said = r"has the shape \(3, 50, 60\)"
    with over(folder, aug_list=[], batch_size=1) as iterator, pytest.raises(Error, match=said):
        iterator.next()
    cv2.imwrite(str(folder / "images" / "0.jpg"), np.zeros((24, 28, 3), np.uint8))
    with over(folder, aug_list=[], batch_size=1) as iterator:
        assert iterator.next().data[0].shape == (1, 3, 24, 28)


def test_next_sample_goes_through_the_epoch(folder: Path) -> None:
    with over(folder, shuffle=True, batch_size=8) as iterator:
        for _ in range(2):
            expected = iterator.next()
            for label in expected.label[0].asnumpy():
                found, encoded = iterator.next_sample()
                np.testing.assert_array_equal(found, label)
                assert bytes(encoded[:2]) == b"\xff\xd8"
            with pytest.raises(StopIteration):
                iterator.next_sample()
            iterator.reset()


def test_a_dropped_iterator_leaves_no_thread(folder: Path) -> None:
    iterator = over(folder)
    iterator.next()
    assert gpuio_threads()
    del iterator
    assert no_threads_left()


class OneByOne(I.ImageIter):
    """Makes samples one by one."""

    def augmentation_transform(self, data: Any) -> Any:
        return super().augmentation_transform(data)


KINDS: dict[str, Any] = {"planned": I.ImageIter, "one by one": OneByOne}


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_each_rank_says_that_not_one_record_is_good(
    kind: str, world: int, on_error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the last batch of an epoch belongs to another rank."""
    write_images(tmp_path, 7, dict.fromkeys(range(7), b"not an image"))
    files = {"path_imgrec": tmp_path / "x.rec", "path_imgidx": tmp_path / "x.idx"}
    monkeypatch.setenv("WORLD_SIZE", str(world))
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        for handle in ("pad", "discard", "roll_over"):
            with KINDS[kind](
                2,
                (3, 24, 28),
                **files,
                num_parts="auto",
                on_error=on_error,
                last_batch_handle=handle,
            ) as iterator:
                for _ in range(2):
                    with pytest.raises(Error, match="not one record of the epoch could be used"):
                        list(iterator)
                    iterator.reset()


@pytest.mark.parametrize("kind", KINDS)
def test_one_good_record_is_enough_for_an_epoch(kind: str, tmp_path: Path) -> None:
    write_images(tmp_path, 7, dict.fromkeys((0, 1, 2, 3, 5, 6), b"not an image"))
    files = {"path_imgrec": tmp_path / "x.rec", "path_imgidx": tmp_path / "x.idx"}
    with KINDS[kind](2, (3, 24, 28), **files, on_error="skip") as iterator:
        for _ in range(2):
            assert [batch.index.tolist() for batch in iterator] == [[40, 40]]
            iterator.reset()
        iterator.next()
        state = iterator.state_dict()
    with KINDS[kind](2, (3, 24, 28), **files, on_error="skip") as iterator:
        iterator.load_state_dict(state)
        assert list(iterator) == []  # the good one came before


@pytest.mark.parametrize("handle", ["pad", "discard", "roll_over"])
@pytest.mark.parametrize("kind", KINDS)
def test_its_length_is_that_of_the_current_epoch(
    kind: str, handle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path, 10)
    files = {"path_imgrec": tmp_path / "x.rec", "path_imgidx": tmp_path / "x.idx"}
    with KINDS[kind](4, (3, 24, 28), **files, last_batch_handle=handle) as iterator:
        lengths = []
        for _ in range(4):
            assert bool(iterator) is True
            length = len(iterator)
            count = 0
            for _ in iterator:
                count += 1
                assert len(iterator) == length  # of the whole epoch, not of its rest
            lengths.append((length, count))
            iterator.reset()
        assert len(iterator) == lengths[0][0]
    expected = {"pad": [3] * 4, "discard": [2] * 4, "roll_over": [2, 3, 2, 3]}[handle]
    assert lengths == [(length, length) for length in expected]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    options = {"num_parts": "auto", "last_batch_handle": handle}
    with KINDS[kind](2, (3, 24, 28), **files, **options) as rank:
        assert len(rank) == len(list(rank)) == expected[0]


def test_a_replaced_transform_is_called_in_threads(folder: Path) -> None:
    threads: set[str] = set()

    class Noted(I.ImageIter):
        def augmentation_transform(self, data: Any) -> Any:
            threads.add(threading.current_thread().name)
            return super().augmentation_transform(data)

    options = {"path_imglist": folder / "x.lst", "path_root": folder / "images", "label_width": 2}
    with Noted(3, (3, 24, 28), **options) as iterator:
        iterator.next()
    assert threads and all(name.startswith("gpuio-host") for name in threads)


class Busy(I.ImageIter):
    """Waits in each call of `read_image` until it may go on."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        super().__init__(*arguments, **options)

    def read_image(self, fname: str) -> bytes:
        self.begun.set()
        assert self.may_go_on.wait(60)
        return super().read_image(fname)


def test_close_waits_for_a_sample_that_is_being_read(folder: Path) -> None:
    iterator = Busy(
        3, (3, 24, 28), path_imglist=folder / "x.lst", path_root=folder / "images", label_width=2
    )
    drawing, raised = run_in_thread(iterator.next)
    assert iterator.begun.wait(60)
    closing, failed = run_in_thread(iterator.close)
    iterator.may_go_on.set()
    closing.join(60)
    drawing.join(60)
    assert not closing.is_alive() and not drawing.is_alive() and not failed
    assert all("closed" in str(error) for error in raised)
    assert no_threads_left()


@pytest.mark.parametrize(
    ("gives", "kind"), [(lambda src: None, "None"), (lambda src: [src], "list")]
)
def test_an_augmenter_that_gives_no_image_is_named(gives: Any, kind: str, folder: Path) -> None:
    class Forgetful(I.Augmenter):
        def __call__(self, src: Any) -> Any:
            return gives(src)

    augmenters = [Forgetful(), I.ForceResizeAug((28, 24))]
    said = f"key 0: the augmenter Forgetful gave {kind}.*, not an image; it must return"
    with over(folder, aug_list=augmenters) as iterator, pytest.raises(ArgumentError, match=said):
        iterator.next()


class Own(I.Augmenter):
    """An augmenter without a plan."""

    def __call__(self, src: mx.nd.NDArray) -> mx.nd.NDArray:
        return src


BOTH = [I.MixUp(0.8, num_classes=12), I.CutMix(num_classes=12)]


@pytest.mark.parametrize("executor", [*EXECUTORS, "one by one"])
def test_images_of_a_batch_are_mixed(tmp_path: Path, executor: str) -> None:
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(12)], range(12))
    augmenters = [I.ForceResizeAug((28, 24)), I.ColorNormalizeAug((120,) * 3, (60,) * 3)]
    if executor == "one by one":
        augmenters.append(Own())
    options = {
        **files,
        **RUNS.get(executor, {}),
        "shuffle": True,
        "seed": 3,
        "aug_list": augmenters,
    }
    mixer = Mixer(tuple(BOTH), 3)
    output = OutputSpec(3, 24, 28, np.dtype(np.float32), "NCHW")
    with (
        I.ImageIter(5, (3, 24, 28), **options) as plain,
        I.ImageIter(5, (3, 24, 28), **options, batch_augment=BOTH) as mixed,
    ):
        assert mixed.provide_label[0].shape == (5, 12)
        copy = pickle.loads(pickle.dumps(mixed))
        for batch, expected in zip(mixed, plain, strict=True):
            pixels = expected.data[0].asnumpy()
            record = expected.label[0].asnumpy().astype(np.int64)
            mix = mixer.draw(np.zeros(5, np.int64), record, (28, 24))
            mix_batch(pixels, mix, output)
            if not expected.padding:  # those of the next epoch draw other numbers
                np.testing.assert_array_equal(batch.data[0].asnumpy(), pixels)
                labels = batch.label[0].asnumpy()
                np.testing.assert_array_equal(
                    labels, mixer.mix_labels(expected.label[0].asnumpy(), mix)
                )
            np.testing.assert_array_equal(copy.next().data[0].asnumpy(), batch.data[0].asnumpy())
        copy.close()


@pytest.mark.parametrize("planned", [True, False], ids=["plan", "one by one"])
def test_a_label_that_is_no_class(tmp_path: Path, planned: bool) -> None:
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(4)], [0, 1, 2.5, 1])
    augmenters = [I.ForceResizeAug((28, 24)), *([] if planned else [Own()])]
    options = {**files, "aug_list": augmenters, "batch_augment": I.MixUp(num_classes=3)}
    with I.ImageIter(4, (3, 24, 28), **options, on_error="skip") as images:
        batch = images.next()
        (bad,) = images.bad_records
    assert bad.reason.startswith(
        "the record's label is 2.5; with num_classes=3 labels are integers"
    )
    np.testing.assert_allclose(batch.label[0].asnumpy().sum(1), 1, rtol=1e-6)
    assert batch.padding == 1


def test_batches_that_cannot_be_mixed(folder: Path) -> None:
    class Chosen(I.ImageIter):
        def next_sample(self) -> Any:
            return super().next_sample()

    options = {"path_imglist": folder / "x.lst", "path_root": folder / "images", "label_width": 2}
    with pytest.raises(ArgumentError, match="does not go with the next_sample of Chosen"):
        Chosen(3, (3, 24, 28), **options, batch_augment=I.MixUp())
    with pytest.raises(ArgumentError, match=r"batch_augment must be gpuio\.image\.MixUp"):
        over(folder, batch_augment="mixup")
    with over(folder, batch_augment=I.MixUp()) as images:
        assert images.next().label[0].shape == (
            3,
            2,
        )  # labels of several numbers: mixed like images
