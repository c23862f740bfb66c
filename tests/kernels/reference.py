"""Naive NumPy reference of kernels/assemble.cu."""

import numpy as np


def assemble(pixels, *, dtype, layout, mean, std, scale, mirror=None, matrix=None, rows=None):
    """Assemble a batch from pixels, uint8 (M, H, W, C). Shares no code with gpuio."""
    dtype = np.dtype(dtype)
    channels = pixels.shape[-1]
    v = pixels.astype(np.float32)
    with np.errstate(all="ignore"):
        if matrix is not None:
            r, g, b = v[..., 0], v[..., 1], v[..., 2]
            m = matrix[:, :, :, np.newaxis, np.newaxis]
            v = np.stack(
                [
                    ((m[:, c, 0] * r + m[:, c, 1] * g) + m[:, c, 2] * b) + m[:, c, 3]
                    for c in range(3)
                ],
                axis=-1,
            )
        offset = np.array(mean[:channels], np.float32)
        factor = np.float32(scale) / np.array(std[:channels], np.float32)
        if dtype == np.uint8:
            offset = np.zeros_like(offset)
        if dtype == np.int8:
            offset = np.array([c_round(m) for m in mean[:channels]], np.float32)
        if dtype in (np.uint8, np.int8):
            factor = np.ones_like(factor)
        v = (v - offset) * factor
        assert v.dtype == np.float32
        if dtype in (np.uint8, np.int8):
            limits = np.iinfo(dtype)
            v = np.where(np.isnan(v), limits.min, np.clip(np.rint(v), limits.min, limits.max))
        out = v.astype(dtype)
    if mirror is not None:
        out[mirror] = out[mirror][:, :, ::-1]
    if rows is not None:
        out = out[rows]
    return np.ascontiguousarray(out.transpose(0, 3, 1, 2) if layout == "NCHW" else out)


def c_round(value):
    """Round half away from zero."""
    whole = int(abs(value) + 0.5)
    return -whole if value < 0 else whole


def assert_same_bits(actual, expected):
    """Compare bit for bit, including the sign of zero; all NaNs are equal."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if expected.dtype.kind == "f":
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(actual), nan)
        actual, expected = np.where(nan, 0, actual), np.where(nan, 0, expected)
    bits = f"u{expected.itemsize}"
    np.testing.assert_array_equal(actual.view(bits), expected.view(bits))
