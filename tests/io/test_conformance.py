"""What holds for every iterator: see conformance.py."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from tests.io.conformance import BATCH, ROWS, Conformance, epochs
from tests.io.image_iterators import (
    AUGMENT,
    CROPS,
    DET_AUGMENT,
    DET_OWN,
    DET_RECORD,
    KINDS,
    OWN,
    write_images,
)

HANDLES: dict[str, dict[str, Any]] = {
    name: {"last_batch_handle": name} for name in ("pad", "discard", "roll_over")
}
SHUFFLED = {
    f"{name} shuffled": {**options, "shuffle": True, "seed": 7} for name, options in HANDLES.items()
}
ROUND = {"wrap": {}, **HANDLES}
SHUFFLE: dict[str, Any] = {"shuffle": True, "seed": 7}
NUMBERS = np.arange(ROWS)
# A few records in a block.
BLOCKS = {"shuffle": "blocks", "block_size": "4kB", "pool_blocks": 2}
TABLE = np.random.default_rng(1).integers(-99, 99, (ROWS, 3)) / 4


class TestNDArrayIter(Conformance):
    variants = {**HANDLES, **SHUFFLED}

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        return mx.io.NDArrayIter(TABLE, NUMBERS, BATCH, ctx=ctx, **options)


class TestNDArrayIterOfMany(Conformance):
    """Several arrays of several types."""

    variants = {"pad": {}, "roll_over shuffled": SHUFFLED["roll_over shuffled"]}

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        data = {"b": TABLE, "a": NUMBERS.astype(np.uint8), "c": TABLE.reshape(ROWS, 1, 3)}
        return mx.io.NDArrayIter(data, [NUMBERS, -NUMBERS], BATCH, ctx=ctx, dtype=None, **options)


class TestNDArrayIterStaged(TestNDArrayIter):
    """Data that may not be on the GPU all at once; on the CPU that is as before."""

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        return super().make(folder, ctx, device_memory=0, **options)


class TestNDArrayIterOfStored(TestNDArrayIter):
    """Arrays that stay on disk."""

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        path = folder / "table.npy"
        if not path.exists():
            np.save(path, TABLE)
        return mx.io.NDArrayIter(np.load(path, mmap_mode="r"), NUMBERS, BATCH, ctx=ctx, **options)


class TestNDArrayIterOfSparse(TestNDArrayIter):
    """CSR batches."""

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        matrix = mx.nd.sparse.csr_matrix(np.where(TABLE > 0, TABLE, 0))
        return mx.io.NDArrayIter(matrix, NUMBERS, BATCH, ctx=ctx, **options)


class TestCSVIter(Conformance):
    single_arrays = True
    variants = {**ROUND, "wrap here": {"prefetch_buffer": 0}, "pad 2": {"round_batch": False}}

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        data, label = folder / "d.csv", folder / "l.csv.gz"
        if not data.exists():
            np.savetxt(data, TABLE, delimiter=",")
            label.write_bytes(gzip.compress("".join(f"{n}\n" for n in NUMBERS).encode()))
        return mx.io.CSVIter(
            data_csv=data, data_shape=(3,), label_csv=label, batch_size=BATCH, ctx=ctx, **options
        )


class TestLibSVMIter(Conformance):
    single_arrays = True
    variants = {**ROUND, "wrap here": {"prefetch_buffer": 0}}

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        data = folder / "d.svm"
        if not data.exists():
            lines = [
                f"{n} " + " ".join(f"{c}:{v}" for c, v in enumerate(row) if v > 0)
                for n, row in enumerate(TABLE)
            ]
            data.write_text("\n".join(lines))
        return mx.io.LibSVMIter(
            data_libsvm=data, data_shape=(3,), batch_size=BATCH, ctx=ctx, **options
        )


class TestMNISTIter(Conformance):
    single_arrays = True
    variants = {
        "discard": {"shuffle": False},
        "discard in one order": {"seed": 3},
        "discard shuffled": {"seed": 3, "reshuffle": True, "flat": True},
    }

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        image, label = folder / "images.gz", folder / "labels"
        if not image.exists():
            pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 5, 4), np.uint8)
            header = struct.pack(">4I", 2051, *pixels.shape)
            image.write_bytes(gzip.compress(header + pixels.tobytes()))
            numbers = NUMBERS.astype(np.uint8).tobytes()
            label.write_bytes(struct.pack(">2I", 2049, ROWS) + numbers)
        return mx.io.MNISTIter(image=image, label=label, batch_size=BATCH, ctx=ctx, **options)


class ImageConformance(Conformance):
    """Tests for one of KINDS."""

    kind = ""

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        write_images(folder, ROWS)
        made: mx.io.DataIter = KINDS[self.kind].open(folder, ctx=ctx, **options)
        return made


# What runs on the CPU only; a GPU has its own executor.
DALI: dict[str, Any] = {"executor": "dali"}


class DaliConformance(ImageConformance):
    """DALI's CPU operators."""

    @pytest.fixture
    def ctx(self) -> mx.Context:
        return mx.cpu()


class TestImageRecordIter(ImageConformance):
    single_arrays = True
    kind = "ImageRecordIter"
    variants = {
        **ROUND,
        "wrap shuffled": {"shuffle": True, "seed": 5, "rand_crop": True, "rand_mirror": True},
        "pad shuffled": {"shuffle": True, "seed": 5, "round_batch": False, **CROPS},
        "wrap shuffled blocks": {"seed": 5, "rand_crop": True, **BLOCKS},
        "roll_over shuffled blocks": {"seed": 5, "last_batch_handle": "roll_over", **BLOCKS},
    }


class TestImageRecordIterOnDali(DaliConformance):
    single_arrays = True
    kind = "ImageRecordIter"
    variants = {
        "wrap": DALI,
        "wrap shuffled": {"shuffle": True, "seed": 5, **CROPS, **DALI},
        "pad shuffled": {"shuffle": True, "seed": 5, "round_batch": False, **CROPS, **DALI},
        "wrap shuffled blocks": {"seed": 5, **BLOCKS, **DALI},
    }


class TestImageRecordUInt8Iter(ImageConformance):
    single_arrays = True
    kind = "ImageRecordUInt8Iter"
    variants = {"wrap shuffled": {"shuffle": True, "seed": 5, "rand_mirror": True}}


class TestImageRecordInt8Iter(ImageConformance):
    single_arrays = True
    kind = "ImageRecordInt8Iter"
    variants = {"pad": HANDLES["pad"]}


class TestImageIter(ImageConformance):
    """Image files of a list."""

    kind = "ImageIter of a list"
    variants = {
        **HANDLES,
        **SHUFFLED,
        "pad own": {"aug_list": OWN},
        "discard shuffled own": {"aug_list": OWN, "shuffle": True, "last_batch_handle": "discard"},
        "pad shuffled augmented": {
            "shuffle": True, "rand_crop": True, "rand_mirror": True, "brightness": 0.3, "hue": 0.2,
        },
    }  # fmt: skip


class TestImageIterOfRecords(ImageConformance):
    kind = "ImageIter of records"
    variants = {
        "pad": {},
        "roll_over own": {"aug_list": OWN, "last_batch_handle": "roll_over"},
        "pad shuffled augmented": {"shuffle": True, **AUGMENT},
        "pad shuffled blocks": BLOCKS,
    }


class TestImageIterWithMethods(ImageConformance):
    """Of a subclass that replaces a method."""

    kind = "ImageIter of a list, one by one"
    variants = {
        "pad": {},
        "discard shuffled augmented": {
            "shuffle": True, "last_batch_handle": "discard", **AUGMENT,
        },
    }  # fmt: skip


class TestImageIterOnDali(DaliConformance):
    kind = "ImageIter of a list"
    variants = {
        "roll_over": {"last_batch_handle": "roll_over", **DALI},
        "pad shuffled augmented": {"shuffle": True, **AUGMENT, **DALI},
    }


class BoxConformance(ImageConformance):
    """Tests for one of KINDS whose labels are boxes."""

    def rows_of(self, batch: mx.io.DataBatch) -> list[int]:
        """The class of an image's boxes is its number; a crop keeps at least one of them."""
        return batch.label[0].asnumpy()[:, 0, 0].astype(int).tolist()


class TestImageDetIter(BoxConformance):
    kind = "ImageDetIter"
    variants = {
        **HANDLES,
        "pad own": {"aug_list": DET_OWN},
        "roll_over shuffled own": {
            "aug_list": DET_OWN, "shuffle": True, "last_batch_handle": "roll_over",
        },
        "pad shuffled augmented": {
            "shuffle": True,
            "rand_crop": 0.7,
            "rand_pad": 0.7,
            "rand_mirror": True,
        },
    }  # fmt: skip


class TestImageDetIterOnDali(DaliConformance, BoxConformance):
    kind = "ImageDetIter"
    variants = {"pad shuffled augmented": {"shuffle": True, **DET_AUGMENT, **DALI}}


class DetRecordConformance(ImageConformance):
    single_arrays = True
    kind = "ImageDetRecordIter"

    def rows_of(self, batch: mx.io.DataBatch) -> list[int]:
        """The class of an image's boxes is its number; a crop keeps at least one of them."""
        return batch.label[0].asnumpy()[:, 6].astype(int).tolist()


class TestImageDetRecordIter(DetRecordConformance):
    variants = {
        **HANDLES,
        "wrap shuffled augmented": {
            "shuffle": True,
            "rand_crop_prob": 0.7,
            "min_crop_scales": 0.3,
            "rand_pad_prob": 0.7,
            "max_pad_scale": 2,
            "rand_mirror_prob": 0.5,
            "max_random_hue": 20,
            "random_hue_prob": 0.5,
        },
    }


class TestImageDetRecordIterOnDali(DaliConformance, DetRecordConformance):
    variants = {"wrap shuffled augmented": {"shuffle": True, **DET_RECORD, **DALI}}


class Rows(mx.io.IndexedIter):
    """An iterator as users write them."""

    fingerprint = "rows"

    def load(self, rows: np.ndarray) -> Any:
        return {"a": TABLE[rows], "b": NUMBERS[rows]}, NUMBERS[rows]


class TestIndexedIter(Conformance):
    variants = {
        **HANDLES,
        **SHUFFLED,
        "pad ahead": {"prefetch_buffer": 2},
        "pad shuffled ahead": {"prefetch_buffer": 2, "shuffle": True},
    }

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        return Rows(ROWS, BATCH, ctx=ctx, **options)


class TestResizeIter(Conformance):
    variants = {"pad": {}, "pad shuffled": SHUFFLED["pad shuffled"]}

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        return mx.io.ResizeIter(TestNDArrayIter().make(folder, ctx, **options), 3)


class TestMixIter(Conformance):
    """Of one iterator."""

    variants = {**HANDLES, **SHUFFLED}

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        return mx.io.MixIter([TestNDArrayIter().make(folder, ctx, **options)])


class TestMixIterOfTwo(Conformance):
    """Rows and the lines of a file."""

    variants = {
        "wrap": {"size": 4, "seed": 3},
        "wrap first": {"stopping_strategy": "first_exhausted"},
        "wrap all": {"stopping_strategy": "all_exhausted", "weights": [2, 1]},
    }

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        inner = [
            TestNDArrayIter().make(folder, ctx, last_batch_handle="roll_over", **SHUFFLE),
            TestCSVIter().make(folder, ctx, last_batch_handle="roll_over"),
        ]
        return mx.io.MixIter(inner, **options)

    def test_every_row_comes_as_often_as_it_should(self, opened: Any, variant: str) -> None:
        found = [self.rows_of(batch) for batches in epochs(opened(), 6) for batch in batches]
        if "first" not in variant:  # which drops the rest of the other's epoch
            assert {row for rows in found for row in rows} == set(range(ROWS))

    def test_shuffled_epochs_differ_and_others_do_not(self, opened: Any, variant: str) -> None:
        found = [[*map(self.rows_of, batches)] for batches in epochs(opened(), 3)]
        assert found[0] != found[1] != found[2]

    def test_after_a_reset_within_an_epoch_the_next_is_whole(
        self, opened: Any, variant: str
    ) -> None:
        iterator, other = opened(), opened()
        iterator.next()
        iterator.reset()
        list(other)
        other.reset()
        for _ in range(2):  # batches of an epoch
            iterator.next()
            other.next()
            assert iterator.current_source == other.current_source


class TestPrefetchingIter(Conformance):
    variants = {
        "pad": {},
        "discard": HANDLES["discard"],
        "pad deep": {"prefetch_buffer": 3},
    }

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        handle = options.get("last_batch_handle", "pad")
        return mx.io.PrefetchingIter(
            [
                TestNDArrayIter().make(folder, ctx, last_batch_handle=handle),
                TestCSVIter().make(folder, ctx, last_batch_handle=handle),
            ],
            [{"data": "left"}, {"data": "right"}],
            [{"softmax_label": "one"}, {"softmax_label": "two"}],
            prefetch_buffer=options.get("prefetch_buffer", 1),
        )


class TestPrefetchingIterOfImages(Conformance):
    """Images and sentences, combined."""

    variants = {"pad": {}, "pad shuffled": {"shuffle": True, "seed": 3}}

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        images = TestImageRecordIter().make(folder, ctx, round_batch=False, **options)
        captions = mx.io.NDArrayIter({"caption": TABLE}, None, BATCH, ctx=ctx, **options)
        return mx.io.PrefetchingIter([images, captions])


class TestBucketSentenceIter(Conformance):
    variants = {"discard shuffled": {"seed": 2}, "discard shuffled TN": {"layout": "TN", "seed": 4}}

    def rows_of(self, batch: mx.io.DataBatch) -> list[int]:
        time_major = batch.provide_data[0].layout == "TN"
        data = batch.data[0].asnumpy().astype(int)
        return (data[0] if time_major else data[:, 0]).tolist()

    def make(self, folder: Path, ctx: mx.Context, **options: Any) -> mx.io.DataIter:
        sentences = [[number, number + 50] for number in NUMBERS.tolist()]
        return mx.rnn.BucketSentenceIter(sentences, BATCH, ctx=ctx, **options)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("kind", [TestMNISTIter, TestLibSVMIter, TestImageRecordIter])
def test_parts_cover_the_whole(
    kind: type[Conformance], parts: int, tmp_path: Path, ctx: mx.Context
) -> None:
    found: list[int] = []
    options: dict[str, Any] = (
        {"shuffle": False} if kind is TestMNISTIter else {"round_batch": False}
    )
    for part in range(parts):
        made = kind().make(tmp_path, ctx, num_parts=parts, part_index=part, **options)
        with made as iterator:
            for batch in iterator:
                found += batch.label[0].asnumpy()[: BATCH - batch.pad].astype(int).tolist()
    if kind is TestMNISTIter:  # which leaves incomplete batches out
        assert len(set(found)) == len(found) and set(found) <= set(range(ROWS))
    else:
        assert found == list(range(ROWS))
