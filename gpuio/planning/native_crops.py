"""The geometry of crops by the native module: one call for a batch."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio import native
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.plan import Ints

# struct gpuio_crop and gpuio_crops.
CROP = np.dtype(
    [
        ("area", np.float64, 2),
        ("ratio", np.float64, 2),
        *((name, np.int32) for name in ("width", "height", "resize", "pad")),
        *((name, np.int32) for name in ("least_size", "most_size", "anywhere", "resized")),
        *((name, np.int32) for name in ("mirror", "rand_mirror", "method")),
    ],
    align=True,
)
CROPS = np.dtype(
    [
        (name, np.uintp)
        for name in ("window", "bounds", "method", "flip", "inside", "padded", "largest")
    ]
)

# The largest length in pixels for which its arithmetic cannot overflow.
MOST_LENGTH = 1 << 20


class Crops(NamedTuple):
    """Crops of N images.

    Attributes
    ----------
    window, bounds, method, flip : see `Plan`
    inside : int64 (N, 4), the output pixels that a border surrounds, see `Border`; None: there are
        no borders
    padded : int64 (N, 2), width and height of what is cropped, in pixels
    largest : float64 (N, 2), of the image when it is largest
    """

    window: NDArray[np.float64]
    bounds: Ints
    method: Ints
    flip: NDArray[np.bool_]
    inside: Ints | None
    padded: Ints
    largest: NDArray[np.float64]


class NativeCrops:
    """The native module's function for crops, see native.h. Safe to use from several threads.

    Parameters
    ----------
    module : the native module
    """

    def __init__(self, module: native.Native) -> None:
        pointer, integer = ctypes.c_void_p, ctypes.c_int64
        self._plan = ctypes.CDLL(str(module.path)).gpuio_native_crops
        self._plan.restype = ctypes.c_int32
        self._plan.argtypes = [pointer, ctypes.c_uint64, *[pointer] * 3, integer, pointer]

    def plan(
        self, options: CropOptions, sizes: Ints, seed: int, epoch: Ints, record: Ints
    ) -> Crops | None:
        """Plan the crops of a batch; see `plan_crops`.

        Returns
        -------
        None: there are affine maps, or lengths with which its arithmetic might overflow
        """
        crop = crop_of(options)
        if crop is None:
            return None
        count = len(sizes)
        assert len(epoch) == len(record) == count, "there is an epoch and a record for each size"
        given = [np.ascontiguousarray(each, np.int64) for each in (sizes, epoch, record)]
        pointers = [each.ctypes.data for each in given]
        crops, addresses = _empty_crops(count, options.bordered)
        where = np.array(addresses, np.uintp)
        planned = self._plan(crop.ctypes.data, seed % 2**64, *pointers, count, where.ctypes.data)
        return crops if planned else None


def _empty_crops(count: int, bordered: bool) -> tuple[Crops, list[int]]:
    """Arrays for crops, and their addresses. All but `flip` are parts of one array: asking NumPy
    for an address takes longer than the crops of several images.
    """
    floats, flip = np.empty((17, count)), np.empty(count, np.bool_)
    ints, step = floats.view(np.int64), 8 * count

    def rows(values: NDArray[Any], begin: int, end: int) -> NDArray[Any]:
        return values[begin:end].reshape(count, end - begin)

    crops = Crops(
        window=rows(floats, 0, 4),
        bounds=rows(ints, 4, 8),
        method=ints[8],
        flip=flip,
        inside=rows(ints, 9, 13) if bordered else None,
        padded=rows(ints, 13, 15),
        largest=rows(floats, 15, 17),
    )
    first = floats.ctypes.data
    window, bounds, method, inside, padded, largest = (
        first + step * row for row in (0, 4, 8, 9, 13, 15)
    )
    flips = flip.ctypes.data
    return crops, [window, bounds, method, flips, inside if bordered else 0, padded, largest]


@lru_cache
def crop_of(options: CropOptions) -> NDArray[np.void] | None:
    """The options as CROP (1,); None: the native module does not plan such crops."""
    least, most = options.crop_size or (0, 0)
    lengths = options.width, options.height, options.resize or 0, options.pad, most
    if options.affine.active or max(lengths) > MOST_LENGTH:
        return None
    crop = np.zeros(1, CROP)
    for name, value in (
        ("area", options.area),
        ("ratio", options.ratio),
        *zip(("width", "height", "resize", "pad", "most_size"), lengths, strict=True),
        ("least_size", least),
        ("anywhere", options.rand_crop),
        ("resized", options.resized_crop and (options.area, options.ratio) != ((1, 1), (1, 1))),
        ("mirror", options.mirror),
        ("rand_mirror", options.rand_mirror),
        ("method", options.method),
    ):
        crop[name] = value
    crop.flags.writeable = False
    return crop


def native_crops() -> NativeCrops | None:
    """The function; None: the native module is not in use."""
    return native.bound(NativeCrops)
