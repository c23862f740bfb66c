"""ImageIter: MXNet's batches, order, sources, hooks, bad samples, resume."""

import gc
import json
import random
import re
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, Error, RecordError, StateError
from tests.close import EXACT, Tolerance, assert_images_close
from tests.image.golden import DATA, manifest, results
from tests.image.test_functions_golden import CUBIC
from tests.io.records import jpeg, write_records

I = mx.image  # noqa: E741

CASES = [name.removeprefix("ImageIter_") for name in (
    "default", "resize64", "resize64_inter1", "mean_std", "handle_pad", "handle_pad_idx",
    "handle_discard", "handle_discard_idx", "handle_roll_over", "handle_roll_over_idx", "part1of5",
    "label3", "imglist_file", "imglist_arg",
)]  # fmt: skip


def opened(case: dict[str, Any], **changes: Any) -> Any:
    """The iterator of a golden case's call, over the files in the golden data."""
    call = case["call"].split("mx.image.ImageIter")[1]
    call = call[: call.rindex(")") + 1]
    call = re.sub(r"'((?:img|multi)\.(?:rec|idx)|files(?:\.lst)?)'", rf"'{DATA}/\1'", call)
    made = eval(f"(lambda *a, **k: (a, k)){call}", {"np": np, "mx": mx})
    return I.ImageIter(*made[0], **{**made[1], **changes})


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
    with opened(case) as iterator:
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
            if "roll_over" not in name:  # where MXNet counts rows that are good
                assert [batch.pad for batch in batches] == expected[f"pad{epoch}"].tolist()
            iterator.reset()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures in a folder, and a list of them with two labels each."""
    (tmp_path / "pictures").mkdir()
    lines = []
    for number in range(8):
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(jpeg(number, 60, 50))
        lines.append(f"{10 * number}\t{number}.000000\t0.500000\t{number}.jpg\n")
    (tmp_path / "x.lst").write_text("".join(lines))
    return tmp_path


def over(folder: Path, **options: Any) -> Any:
    values: dict[str, Any] = {
        "path_imglist": folder / "x.lst", "path_root": folder / "pictures", "label_width": 2,
        "batch_size": 3, "data_shape": (3, 24, 28),
    }  # fmt: skip
    return I.ImageIter(**{**values, **options})


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
@pytest.mark.parametrize("policy", ["skip", "substitute"])
def test_bad_samples(policy: str, way: str, folder: Path) -> None:
    """A broken, an empty and a non-image file, and one that is missing."""
    pictures = folder / "pictures"
    (pictures / "1.jpg").write_bytes(jpeg(1, 60, 50)[:100])
    (pictures / "2.jpg").write_bytes(b"")
    (pictures / "4.jpg").write_text("not an image")
    (pictures / "6.jpg").unlink()
    said = r"1\.jpg, key 10: .*on_error='skip' or 'substitute'"
    with over(folder, **WAYS[way], batch_size=4) as iterator, pytest.raises(Error, match=said):
        iterator.next()
    with over(folder, **WAYS[way], batch_size=4, on_error=policy) as iterator:
        batches = list(iterator)
        reasons = {bad.key: bad.reason for bad in iterator.bad_records}
        assert reasons.keys() == {10, 20, 40, 60}
        assert "empty" in reasons[20] and "not an image" in reasons[40]
        assert "No such file" in reasons[60]
        assert iterator.bad_records[0].file == str(pictures / "1.jpg")
        if policy == "skip":
            assert [batch.pad for batch in batches] == [2, 2]
            assert [batch.index.tolist()[:2] for batch in batches] == [[0, 30], [50, 70]]
        else:
            assert [batch.pad for batch in batches] == [0, 0]
            assert [batch.index.tolist() for batch in batches] == [
                [0, 30, 30, 30], [50, 50, 70, 70],
            ]  # fmt: skip
    for path in pictures.iterdir():
        path.write_bytes(b"")
    with (
        over(folder, **WAYS[way], on_error=policy) as iterator,
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
    (folder / "pictures" / "3.jpg").write_bytes(jpeg(3, 61, 50))
    options = {
        "path_imglist": folder / "x.lst", "path_root": folder / "pictures", "label_width": 2,
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


def test_it_can_be_forgotten(folder: Path) -> None:
    before = threading.active_count()
    iterator = over(folder)
    iterator.next()
    del iterator
    gc.collect()
    for _ in range(100):
        if threading.active_count() <= before:
            break
        threading.Event().wait(0.02)
    assert threading.active_count() <= before


def test_batches_come_on_each_device(folder: Path, ctx: mx.Context) -> None:
    with over(folder, ctx=ctx) as iterator, over(folder, ctx=mx.cpu()) as host:
        batch, expected = iterator.next(), host.next()
    assert batch.data[0].context == batch.label[0].context == ctx
    np.testing.assert_array_equal(batch.data[0].asnumpy(), expected.data[0])
    np.testing.assert_array_equal(batch.label[0].asnumpy(), expected.label[0])


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"path_imglist": None}, ArgumentError, "name a source"),
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
    cv2.imwrite(str(folder / "pictures" / "0.jpg"), np.zeros((24, 28, 3), np.uint8))
    with over(folder, aug_list=[], batch_size=1) as iterator:
        assert iterator.next().data[0].shape == (1, 3, 24, 28)


class Odd(I.ImageIter):
    """Every second sample of the order, with another label."""

    def next_sample(self) -> Any:
        super().next_sample()
        label, encoded = super().next_sample()
        return label + 100, encoded


def odd(folder: Path, **options: Any) -> Odd:
    values = {"path_imglist": folder / "x.lst", "path_root": folder / "pictures", "label_width": 2}
    return Odd(3, (3, 24, 28), **{**values, **options})


def test_samples_of_your_own_choice(folder: Path) -> None:
    with over(folder, batch_size=8) as whole:
        pictures = whole.next().data[0].asnumpy()
    with odd(folder) as iterator:
        for _ in range(2):
            first, second = iterator
            np.testing.assert_array_equal(first.label[0][:, 0], [101, 103, 105])
            np.testing.assert_array_equal(first.data[0], pictures[[1, 3, 5]])
            np.testing.assert_array_equal(second.data[0], pictures[[7, 7, 7]])
            assert (first.pad, second.pad) == (0, 2)
            iterator.reset()
        with pytest.raises(mx.MXNetError, match="cannot save its state"):
            iterator.state_dict()
    with odd(folder, last_batch_handle="discard") as iterator:
        assert len(list(iterator)) == 1
    with odd(folder, last_batch_handle="roll_over") as iterator:
        labels = []
        for _ in range(3):
            labels.append([batch.label[0][:, 0].tolist() for batch in iterator])
            iterator.reset()
        assert labels == [
            [[101, 103, 105]], [[107, 101, 103]], [[105, 107, 101], [103, 105, 107]],
        ]  # fmt: skip
        iterator.next()
        iterator.hard_reset()
        assert iterator.next().label[0][0, 0] == 101


def test_bad_samples_of_your_own_choice(folder: Path) -> None:
    (folder / "pictures" / "3.jpg").write_bytes(b"not an image")
    with odd(folder) as iterator, pytest.raises(Error, match="sample 1 of epoch 0: Decoding"):
        iterator.next()
    with odd(folder, on_error="skip") as iterator:
        (batch,) = iterator
        np.testing.assert_array_equal(batch.label[0][:, 0], [101, 105, 107])
        assert [bad.key for bad in iterator.bad_records] == [1]


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
