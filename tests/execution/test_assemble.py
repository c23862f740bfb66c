"""The description of a batch, and the host's assembler where it differs from a function of arrays.

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


class TestOutput:
    def test_shape_follows_the_layout(self):
        assert OutputSpec(3, 5, 7, np.dtype("float32"), "NCHW").shape(2) == (2, 3, 5, 7)
        assert OutputSpec(3, 5, 7, np.dtype("float32"), "NHWC").shape(2) == (2, 5, 7, 3)

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    def test_floats_use_mean_std_and_scale(self, dtype):
        output = OutputSpec(3, 5, 7, dtype, "NCHW", MEAN, STD, 0.5)
        np.testing.assert_array_equal(output.offset, np.array(MEAN[:3], np.float32))
        np.testing.assert_array_equal(
            output.factor, np.float32(0.5) / np.array(STD[:3], np.float32)
        )
        assert output.offset.dtype == output.factor.dtype == np.float32

    def test_uint8_ignores_all_three(self):
        output = OutputSpec(3, 5, 7, "uint8", "NCHW", MEAN, STD, 0.5)
        assert (output.offset.tolist(), output.factor.tolist()) == ([0] * 3, [1] * 3)

    def test_int8_rounds_the_mean_half_away_from_zero(self):
        output = OutputSpec(4, 5, 7, "int8", "NCHW", (0.5, 2.5, -2.5, 1.49), STD, 0.5)
        assert (output.offset.tolist(), output.factor.tolist()) == ([1, 3, -3, 1], [1] * 4)

    def test_gray_uses_the_first_mean_and_std(self):
        output = OutputSpec(1, 5, 7, "float32", "NCHW", (9.0,), (4.0,))
        assert (output.offset.tolist(), output.factor.tolist()) == ([9], [0.25])

    def test_two_of_a_kind_are_equal(self):
        assert OutputSpec(3, 5, 7, "float32", "NCHW") == OutputSpec(3, 5, 7, np.float32, "NCHW")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"channels": 2}, "1, 3 or 4 channels, not 2"),
            ({"height": 0}, "at least one pixel, not 7 x 0"),
            ({"height": 2**16, "width": 2**15}, r"fewer than 2\*\*31 pixels"),
            (
                {"dtype": np.dtype("float64")},
                "dtype must be one of float32, float16, uint8, int8, not",
            ),
            ({"dtype": "no such"}, "dtype must be one of .* not 'no such'"),
            ({"dtype": ">f4"}, "dtype must be one of"),
            ({"layout": "CHWN"}, "layout must be one of NCHW, NHWC, not 'CHWN'"),
            ({"mean": (1.0, 2.0)}, "mean needs a value for each of 3 channels"),
            ({"std": (1.0, 0.0, 1.0, 1.0)}, "std must not be 0"),
            ({"std": (1.0, 1e-60, 1.0, 1.0)}, "std must not be 0"),
            ({"mean": (float("nan"),) * 4}, "must be finite"),
            ({"scale": float("inf")}, "must be finite"),
            ({"scale": 1e38, "std": (1e-3,) * 4}, "too large for float32"),
            ({"mean": (1e39,) * 4}, "too large for float32"),
        ],
    )
    def test_refuses(self, change, message):
        arguments = {"channels": 3, "height": 5, "width": 7, "dtype": "float32", "layout": "NCHW"}
        with pytest.raises(ArgumentError, match=message):
            OutputSpec(**{**arguments, **change})

    def test_the_alpha_of_rgb_does_not_matter(self):
        OutputSpec(3, 5, 7, "float32", "NCHW", std=(1.0, 1.0, 1.0, 0.0))


class TestHostAssembler:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_takes_views_however_strided(self, dtype, layout):
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
    def test_gray_may_lack_its_axis(self, dtype, layout):
        pixels = images(2, 9, 8, 1)
        assembler = HostAssembler(OutputSpec(1, 9, 6, dtype, layout, MEAN, STD))
        with_axis, without = assembler.empty(2), assembler.empty(2)
        for row in range(2):
            assembler.write(with_axis, row, pixels[row, :, 1:7], row == 1, None)
            assembler.write(without, row, pixels[row, :, 1:7, 0], row == 1, None)
        assert_same_bits(without, with_axis)

    def test_writes_only_its_row_and_leaves_its_source(self):
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
    def test_threads_share_it(self, dtype, layout):
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
    def test_refuses(self, pixels, matrix, message):
        assembler = HostAssembler(OutputSpec(3, 9, 8, "float32", "NCHW"))
        with pytest.raises(ArgumentError, match=message):
            assembler.write(assembler.empty(1), 0, pixels, False, matrix)

    def test_refuses_matrices_without_colours(self):
        assembler = HostAssembler(OutputSpec(4, 9, 8, "float32", "NCHW"))
        pixels = np.zeros((9, 8, 4), np.uint8)
        with pytest.raises(ArgumentError, match="goes with 3 channels"):
            assembler.write(assembler.empty(1), 0, pixels, False, np.eye(3, 4, dtype=np.float32))

    def test_memory_is_used_again_only_when_it_is_let_go(self):
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
