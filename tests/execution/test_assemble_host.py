"""The host's assembler where it differs from a function of arrays.

That its pixels are right is tested beside the kernel's, in tests/kernels/test_assemble_kernel.py.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.execution.assemble_host import HostAssembler
from gpuio.execution.output import OutputSpec
from tests.kernels.reference import assemble, assert_same_bits

MEAN, STD = (123.68, 116.28, 103.53, 0.0), (58.395, 57.12, 57.375, 1.0)
DTYPES = ("float32", "float16", "uint8", "int8")
LAYOUTS = ("NCHW", "NHWC")


def images(samples, height, width, channels, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (samples, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_takes_views_however_strided(dtype, layout):
    big = images(1, 40, 50, 3)[0]
    read_only = np.frombuffer(big.tobytes(), np.uint8).reshape(big.shape)
    output = OutputSpec(3, 16, 20, dtype, layout, MEAN, STD)
    assembler = HostAssembler(output)
    views = (
        big[3:19, 5:25],
        big[3:35:2, 5:45:2],
        big[3:19, 5:25, ::-1],
        big[18:2:-1, 24:4:-1],
        read_only[3:19, 5:25],
        np.asfortranarray(big[3:19, 5:25]),
    )
    batch = assembler.empty(len(views))
    for mirror in (False, True):
        for row, view in enumerate(views):
            assembler.write(batch, row, view, mirror, None)
        expected = assemble(
            np.stack(views),
            dtype=dtype,
            layout=layout,
            mean=MEAN,
            std=STD,
            scale=1.0,
            mirror=np.full(len(views), mirror),
        )
        assert_same_bits(batch, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gray_may_lack_its_axis(dtype, layout):
    pixels = images(2, 9, 8, 1)
    assembler = HostAssembler(OutputSpec(1, 9, 6, dtype, layout, MEAN, STD))
    with_axis, without = assembler.empty(2), assembler.empty(2)
    for row in range(2):
        assembler.write(with_axis, row, pixels[row, :, 1:7], row == 1, None)
        assembler.write(without, row, pixels[row, :, 1:7, 0], row == 1, None)
    assert_same_bits(without, with_axis)


def test_writes_only_its_row_and_leaves_its_source():
    pixels = images(1, 9, 8, 3)[0]
    before = pixels.copy()
    for layout in LAYOUTS:
        assembler = HostAssembler(OutputSpec(3, 9, 8, "float16", layout))
        batch = assembler.empty(3)
        batch.fill(-7)
        assembler.write(batch, 1, pixels, True, np.eye(3, 4, dtype=np.float32))
        assert (batch[[0, 2]] == -7).all()
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_share_it(dtype, layout):
    pixels = images(64, 33, 35, 3)
    matrix = np.random.default_rng(1).normal(0.3, 1, (64, 3, 4)).astype(np.float32)
    mirror = np.arange(64) % 3 == 0
    arguments = {"mean": MEAN, "std": STD, "scale": 2.0}
    assembler = HostAssembler(OutputSpec(3, 33, 35, dtype, layout, **arguments))
    batch, plain = assembler.empty(64), assembler.empty(64)

    def work(row):
        assembler.write(batch, row, pixels[row], mirror[row], matrix[row])
        assembler.write(plain, row, pixels[row], mirror[row], None)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(64)))
    arguments.update(dtype=dtype, layout=layout, mirror=mirror)
    assert_same_bits(batch, assemble(pixels, matrix=matrix, **arguments))
    assert_same_bits(plain, assemble(pixels, **arguments))


@pytest.mark.parametrize(
    ("pixels", "matrix", "message"),
    [
        (
            np.zeros((9, 7, 3), np.uint8),
            None,
            r"pixels must be uint8 \(9, 8, 3\), not uint8 \(9, 7, 3\)",
        ),
        (np.zeros((9, 8), np.uint8), None, "pixels must be"),
        (np.zeros((9, 8, 3), np.float32), None, "not float32"),
        (np.zeros((9, 8, 3), np.uint8), np.zeros((4, 3), np.float32), r"must be \(3, 4\)"),
    ],
)
def test_refuses(pixels, matrix, message):
    assembler = HostAssembler(OutputSpec(3, 9, 8, "float32", "NCHW"))
    with pytest.raises(ArgumentError, match=message):
        assembler.write(assembler.empty(1), 0, pixels, False, matrix)


def test_refuses_matrices_without_colors():
    assembler = HostAssembler(OutputSpec(4, 9, 8, "float32", "NCHW"))
    pixels = np.zeros((9, 8, 4), np.uint8)
    with pytest.raises(ArgumentError, match="goes with 3 channels"):
        assembler.write(assembler.empty(1), 0, pixels, False, np.eye(3, 4, dtype=np.float32))


def test_memory_is_used_again_only_when_it_is_let_go():
    assembler = HostAssembler(OutputSpec(3, 9, 8, "float32", "NCHW"))
    batch = assembler.empty(2)
    first = batch.ctypes.data
    assert assembler.empty(2).ctypes.data != first
    view = batch[1]
    del batch
    assert assembler.empty(2).ctypes.data != first
    del view
    assert assembler.empty(2).ctypes.data == first
    assembler.close()
