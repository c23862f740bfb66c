"""Naive NumPy reference of kernels/assemble.cu."""

import numpy as np


def assemble(
    pixels,
    *,
    dtype,
    layout,
    mean,
    std,
    scale,
    mirror=None,
    matrix=None,
    rows=None,
    rounding=0,
    light=None,
    mean_image=None,
    mirror_mean=True,
):
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
            if rounding:
                v = np.where(np.isnan(v), 0, np.clip(v, 0, 255))
                v = np.rint(v) if rounding == 1 else np.floor(v)
        offset = np.array(mean[:channels], np.float32)
        factor = np.float32(scale) / np.array(std[:channels], np.float32)
        if mean_image is not None:
            offset = mean_image.astype(np.float32).transpose(1, 2, 0)
            offset = np.stack([offset] * len(pixels))
            if mirror is not None and not mirror_mean:
                offset[mirror] = offset[mirror][:, :, ::-1]  # and back with the sample
        if dtype == np.uint8:
            offset = np.zeros_like(offset)
        if dtype == np.int8:
            offset = np.vectorize(c_round, [np.float32])(offset)
        if dtype in (np.uint8, np.int8):
            factor = np.ones_like(factor)
        if light is None or dtype in (np.uint8, np.int8):
            v = (v - offset) * factor
        else:
            gain, shift = light.astype(np.float32).T[:, :, None, None, None]
            v = (v - offset) * (gain * factor) + shift * factor
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
