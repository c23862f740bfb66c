"""The structures of ``kernels/native/native.h`` that several packages share, as dtypes."""

from __future__ import annotations

import numpy as np

MADE, UNREAD, UNDECODED, UNUSUAL, NO_MEMORY = range(5)  # a sample's status

# struct gpuio_place, gpuio_output and gpuio_sample.
PLACE = np.dtype(
    [
        ("known", np.uintp),
        ("known_size", np.int64),
        ("start", np.int64),
        ("begin", np.int64),
        ("end", np.int64),
        ("file", np.int32),
    ],
    align=True,
)
OUTPUT = np.dtype(
    [
        ("table", np.uintp),
        ("offset", np.float32, 3),
        ("factor", np.float32, 3),
        ("width", np.int32),
        ("height", np.int32),
        ("channels", np.int32),
        ("type", np.int32),
        ("interleaved", np.int32),
        ("light", np.int32),
    ],
    align=True,
)
SAMPLE = np.dtype(
    [
        ("place", PLACE),
        ("row", np.int64),
        ("width", np.int32),
        ("height", np.int32),
        ("orientation", np.int32),
        ("bounds", np.int32, 4),
        ("scaled", np.int32, 2),
        ("corner", np.int32, 2),
        ("inside", np.int32, 4),
        ("method", np.int32),
        ("flip", np.int32),
        ("shrink", np.int32),
        ("light", np.float32, 2),
        ("fill", np.uint8, 4),
        ("status", np.int32),
        ("operation_count", np.int32),
        ("operations", np.uintp),
    ],
    align=True,
)

# struct gpuio_plan.
PLAN = np.dtype(
    [
        *((name, np.uintp) for name in ("window", "bounds", "method", "flip", "light")),
        *((name, np.uintp) for name in ("inside", "fill", "codes", "places", "operations")),
        ("count", np.int64),
        ("fill_width", np.int32),
        ("width", np.int32),
        ("height", np.int32),
        ("channels", np.int32),
        ("antialias", np.int32),
        ("dct_scaling", np.int32),
        ("operation_count", np.int32),
    ],
    align=True,
)
