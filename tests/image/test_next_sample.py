"""Batches of the samples that a replaced `ImageIter.next_sample` gives."""

import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import DecodeError, Error, UnsupportedError
from gpuio.execution.per_sample import PerSampleRenderer, SampleFunctions
from gpuio.image.next_sample import NextSampleStream
from tests.image.folder import folder, over
from tests.io.threads import gpuio_threads

I = mx.image  # noqa: E741

__all__ = ["folder"]


class Odd(I.ImageIter):
    """Every second sample of the order, with another label."""

    def next_sample(self) -> Any:
        super().next_sample()
        label, encoded = super().next_sample()
        return label + 100, encoded


def odd(folder: Path, **options: Any) -> Odd:
    values = {"path_imglist": folder / "x.lst", "path_root": folder / "images", "label_width": 2}
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
        labels, pads = [], []
        for _ in range(3):
            batches = list(iterator)
            labels.append([batch.label[0][:, 0].tolist() for batch in batches])
            pads.append([batch.pad for batch in batches])
            assert not any(batch.padding for batch in batches)
            iterator.reset()
        assert pads == [[0], [2], [1, 0]]  # as MXNet, the rows that follow those that rolled over
        assert labels == [
            [[101, 103, 105]], [[107, 101, 103]], [[105, 107, 101], [103, 105, 107]],
        ]  # fmt: skip
        iterator.next()
        iterator.hard_reset()
        assert iterator.next().label[0][0, 0] == 101


def test_bad_samples_of_your_own_choice(folder: Path) -> None:
    (folder / "images" / "3.jpg").write_bytes(b"not an image")
    with odd(folder) as iterator, pytest.raises(Error, match="sample 1 of epoch 0: Decoding"):
        iterator.next()
    with odd(folder, on_error="skip") as iterator:
        (batch,) = iterator
        np.testing.assert_array_equal(batch.label[0][:, 0], [101, 105, 107])
        assert [bad.key for bad in iterator.bad_records] == [1]


def test_no_thread_is_started(folder: Path) -> None:
    """Samples are made where they are asked for: on the caller's thread."""
    threads: set[str] = set()

    class Noted(Odd):
        def imdecode(self, s: Any) -> Any:
            threads.add(threading.current_thread().name)
            return super().imdecode(s)

    assert not gpuio_threads()
    with (
        odd(folder, shuffle=True) as iterator,
        Noted(
            3,
            (3, 24, 28),
            path_imglist=folder / "x.lst",
            path_root=folder / "images",
            label_width=2,
        ) as noted,
    ):
        for each in (iterator, noted):
            for _ in range(2):
                assert len(list(each)) == 2 and not gpuio_threads()
                each.reset()
            each.auglist = I.CreateAugmenter((3, 24, 28))
            each.next()
            assert not gpuio_threads()
    assert threads == {threading.current_thread().name}


def test_the_length_of_an_epoch_is_unknown(folder: Path) -> None:
    with odd(folder) as iterator:
        with pytest.raises(TypeError, match="Odd does not know the length of its epochs"):
            len(iterator)
        assert bool(iterator) is True


def test_neither_states_nor_copies_are_saved(folder: Path) -> None:
    with odd(folder) as iterator:
        with pickle.loads(pickle.dumps(iterator)) as copy:  # nothing has been given yet
            assert copy.next().label[0][:, 0].tolist() == [101, 103, 105]
        iterator.next()
        for call in (iterator.state_dict, lambda: iterator.load_state_dict({}),
                     iterator.__reduce__):  # fmt: skip
            with pytest.raises(Error):
                call()
        with pytest.raises(UnsupportedError, match="cannot save its state"):
            iterator.state_dict()
        np.testing.assert_array_equal(iterator.next().label[0][:, 0], [107, 107, 107])


def test_an_error_does_not_end_the_epoch(folder: Path) -> None:
    (folder / "images" / "3.jpg").write_bytes(b"not an image")
    with odd(folder) as iterator:
        with pytest.raises(DecodeError, match="sample 1 of epoch 0"):
            iterator.next()
        # Those before it were given, and are not lost.
        assert iterator.next().label[0][:, 0].tolist() == [101, 105, 107]
        iterator.reset()
        with pytest.raises(DecodeError, match="sample 1 of epoch 1"):
            iterator.next()


def test_not_one_good_sample(folder: Path) -> None:
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    with odd(folder, on_error="skip") as iterator:
        for epoch in range(2):
            with pytest.raises(Error, match=f"not one record of the epoch.*of epoch {epoch}"):
                iterator.next()
            iterator.reset()


class Stream:
    """A NextSampleStream over numbers, as gray images of one pixel."""

    def __init__(self, epochs: list[list[int]], **options: Any) -> None:
        self.left = [list(epoch) for epoch in epochs]
        values = {"batch_size": 2, "last_batch": "pad", "on_error": "raise", "seed": 0, **options}
        self.stream = NextSampleStream(self.next_sample, **values)
        functions = SampleFunctions(
            parse_label=lambda label: np.array([label], np.float32),
            decode=lambda encoded: self.decode(encoded),  # noqa: PLW0108  # may be replaced
            check=lambda images: None,
            augment=lambda image, label: (image, label),
            postprocess=lambda image: image,
            finish_label=lambda label: label,
        )
        self.stream.set_renderer(PerSampleRenderer(functions, (1, 1, 1), 0), (), 0.0)

    def next_sample(self) -> tuple[Any, Any]:
        if not self.left[0]:
            self.left.pop(0)
            raise StopIteration
        number = self.left[0].pop(0)
        return float(number), number

    def decode(self, encoded: Any) -> Any:
        if encoded < 0:
            raise DecodeError("negative")
        return mx.nd.full((1, 1, 1), encoded)

    def draw(self) -> list[Any]:
        """Labels, padding and keys of an epoch's batches."""
        found = []
        while (batch := self.stream.next()) is not None:
            if batch.data:
                np.testing.assert_array_equal(batch.data[0].ravel(), batch.label[0].ravel())
            found.append(
                (
                    batch.label[0].ravel().tolist() if batch.data else [],
                    batch.pad,
                    batch.keys.tolist() if batch.data else [],
                )
            )
        self.stream.reset()
        return found


def test_a_last_batch_is_padded_with_its_own_rows() -> None:
    stream = Stream([[1, 2, 3], [4]])
    assert stream.draw() == [([1, 2], 0, [0, 1]), ([3, 3], 1, [2, 2])]
    assert stream.stream.epoch == 1
    assert stream.draw() == [([4, 4], 1, [0, 0])]


def test_a_last_batch_is_discarded() -> None:
    stream = Stream([[1, 2, 3], [4, 5]], last_batch="discard")
    assert stream.draw() == [([1, 2], 0, [0, 1])]
    assert stream.draw() == [([4, 5], 0, [0, 1])]


def test_a_last_batch_rolls_over_unless_it_is_dropped() -> None:
    stream = Stream([[1, 2, 3], [4, 5], [6, 7]], last_batch="roll_over")
    assert stream.draw() == [([1, 2], 0, [0, 1])]
    assert stream.draw() == [([3, 4], 0, [2, 0])]  # 5 is left
    stream.stream.drop_carried()
    assert stream.draw() == [([6, 7], 0, [0, 1])]


def test_what_is_bad_is_left_out_and_told() -> None:
    stream = Stream([[1, -2, 3, 4]], on_error="skip")
    batch = stream.stream.next()
    assert batch is not None and batch.label[0].ravel().tolist() == [1, 3]
    (bad,) = batch.bad
    assert (bad.key, bad.place, bad.reason) == (1, "sample 1 of epoch 0", "negative")


def test_it_is_closed() -> None:
    stream = Stream([[1]])
    stream.stream.close()
    stream.stream.close()
    with pytest.raises(Error, match="closed"):
        stream.stream.next()


def test_what_rolled_over_is_not_lost_by_an_error(folder: Path) -> None:
    image = folder / "images" / "1.jpg"
    good = image.read_bytes()
    with odd(folder, last_batch_handle="roll_over") as iterator:
        for reset in (False, True):
            (batch,) = iterator
            assert batch.label[0][:, 0].tolist() == [101, 103, 105]
            iterator.reset()
            image.write_bytes(b"not an image")
            with pytest.raises(DecodeError, match="sample 0 of epoch"):
                iterator.next()
            image.write_bytes(good)
            if reset:  # the rest of the epoch is dropped, and they with it
                iterator.reset()
            batch = iterator.next()
            expected = [101, 103, 105] if reset else [107, 103, 105]
            assert batch.label[0][:, 0].tolist() == expected and batch.pad == (0 if reset else 2)
            iterator.hard_reset()


def test_what_is_bad_is_told_also_after_an_error() -> None:
    stream = Stream([[1, -2, 3, 4]], on_error="skip")
    numbers = stream.left[0]

    class Interrupted(list[int]):
        def pop(self, index: Any = -1) -> int:
            stream.left[0] = numbers
            raise OSError("not now")

    decode = stream.decode

    def fail_after(encoded: Any) -> Any:
        if encoded == -2:
            stream.left[0] = Interrupted(numbers)
        return decode(encoded)

    stream.decode = fail_after  # type: ignore[method-assign]
    with pytest.raises(OSError, match="not now"):
        stream.stream.next()
    batch = stream.stream.next()
    assert batch is not None and batch.label[0].ravel().tolist() == [1, 3]
    assert [bad.key for bad in batch.bad] == [1]


class Endless(Odd):
    """Begins again where `Odd` ends."""

    def next_sample(self) -> Any:
        try:
            return super().next_sample()
        except StopIteration:
            self.reset()
            return super().next_sample()


def test_next_sample_may_reset(folder: Path) -> None:
    values = {"path_imglist": folder / "x.lst", "path_root": folder / "images", "label_width": 2}
    with Endless(3, (3, 24, 28), **values) as iterator:
        batches = [iterator.next().label[0][:, 0].tolist() for _ in range(3)]
    assert batches == [[101, 103, 105], [107, 101, 103], [105, 107, 101]]
