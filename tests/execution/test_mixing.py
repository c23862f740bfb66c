"""Mixing on the host: what torchvision does, for each type and layout."""

import numpy as np
import pytest

from gpuio.execution.mixing import mix_batch
from gpuio.execution.output import DTYPES, LAYOUTS, OutputSpec
from gpuio.planning.mixing import BatchMix, CutMix, Mixer, MixUp


def drawn(count: int, *kinds: MixUp | CutMix) -> BatchMix:
    return Mixer(kinds, 1).draw(np.zeros(count, np.int64), np.arange(count), (9, 7))


def expected(batch: np.ndarray, mix: BatchMix, planar: bool) -> np.ndarray:
    """In float64, of all pixels at once."""
    images = batch if planar else batch.transpose(0, 3, 1, 2)
    y, x = np.mgrid[:7, :9]
    x0, y0, x1, y1 = mix.box.T[:, :, None, None]
    inside = ((x >= x0) & (x < x1) & (y >= y0) & (y < y1))[:, None]
    weight = mix.weight.astype(np.float64)[:, None, None, None]
    mixed = weight * images + (1 - weight) * images[mix.partner]
    result = np.where(inside, mixed, images)
    return result if planar else result.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_batches_are_mixed_in_place(count: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(0)
    output = OutputSpec(3, 7, 9, dtype, layout)  # type: ignore[arg-type]
    low, high = (-128, 128) if dtype == "int8" else (0, 256)
    batch = rng.integers(low, high, output.shape(count)).astype(dtype)
    mix = drawn(count, MixUp(), CutMix())
    before, wanted = batch.copy(), expected(batch, mix, layout == "NCHW")
    mix_batch(batch, mix, output)
    most = {"float32": 1e-4, "float16": 0.1}.get(dtype, 0.5001)
    assert np.abs(batch - wanted).max() <= most
    assert count == 1 or (batch != before).any()


def test_a_cut_copies_pixels_exactly() -> None:
    output = OutputSpec(3, 7, 9, "float32", "NCHW")  # type: ignore[arg-type]
    batch = np.full(output.shape(2), np.inf, np.float32)
    batch[1] = 5
    mix = drawn(2, CutMix())._replace(box=np.array([(1, 2, 5, 6), (0, 0, 0, 0)]))
    mix_batch(batch, mix, output)
    assert (batch[0, :, 2:6, 1:5] == 5).all() and np.isinf(batch[0]).sum() == 3 * (63 - 16)
    assert (batch[1] == 5).all()


def test_no_images() -> None:
    output = OutputSpec(3, 7, 9, "float32", "NCHW")  # type: ignore[arg-type]
    mix_batch(np.empty(output.shape(0), np.float32), drawn(0, MixUp()), output)
