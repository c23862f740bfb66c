"""The headers of a batch's images: read together, and kept from epoch to epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import read_header
from gpuio.decoding.header_codes import (
    decode_header,
    encode_header,
    several_parts_of,
    sizes_of,
    structures_of,
    with_structure,
)
from gpuio.decoding.jpeg_headers import read_jpeg_headers
from gpuio.decoding.limits import MAX_PIXELS, PLAUSIBLE, check_image
from gpuio.decoding.structure import Structure, check_structure
from gpuio.errors import DecodeError
from gpuio.loading.source import Encoded

# Records whose headers are kept, in 8 bytes each: 1 GiB at most.
MOST_KEPT = 1 << 27


class HeaderReader:
    """Reads the headers of batches. Safe to use from several threads.

    Parameters
    ----------
    count : number of records
    keep : keep headers, because records never change; memory is used for those that were read
    max_pixels : the most pixels of an image, see `decoding.limits`
    """

    def __init__(self, count: int, keep: bool, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self._kept = np.zeros(min(count, MOST_KEPT) if keep else 0, np.uint64)

    def read(
        self, record: NDArray[np.int64], encoded: Sequence[Encoded | None], strict: bool
    ) -> tuple[NDArray[np.uint64], dict[int, DecodeError]]:
        """Read the headers of a batch.

        Parameters
        ----------
        record : int64 (N,), the records' indices
        encoded : the N images; None: there is none
        strict : also check the structure of all images

        Returns
        -------
        codes : uint64 (N,), see `header_codes`; 0 where there is no header
        errors : row -> why its header cannot be read, or which limit the image is over
        """
        keepable = record < len(self._kept)
        codes = np.zeros(len(record), np.uint64)
        codes[keepable] = self._kept[record[keepable]]
        wanted = codes == 0
        if strict:
            wanted |= structures_of(codes) == Structure.UNKNOWN
        rows = [row for row in np.flatnonzero(wanted).tolist() if encoded[row] is not None]
        errors: dict[int, DecodeError] = {}
        if rows:
            errors = _read(rows, encoded, codes, strict)
            self._kept[record[keepable]] = codes[keepable]
        return codes, errors | self._over_limits(encoded, codes)

    def _over_limits(
        self, encoded: Sequence[Encoded | None], codes: NDArray[np.uint64]
    ) -> dict[int, DecodeError]:
        """Which images are over a limit, by row; only large ones and those in several scans can
        be.
        """
        large = sizes_of(codes).prod(1) > min(PLAUSIBLE, self._max_pixels)
        errors: dict[int, DecodeError] = {}
        for row in np.flatnonzero(large | several_parts_of(codes)).tolist():
            if (image := encoded[row]) is not None:
                try:
                    check_image(decode_header(int(codes[row])), image.data, self._max_pixels)
                except DecodeError as error:
                    errors[row] = error
        return errors


def _read(
    rows: list[int], encoded: Sequence[Encoded | None], codes: NDArray[np.uint64], strict: bool
) -> dict[int, DecodeError]:
    """Read headers, and check structures, of some rows; returns errors by row."""
    images = {row: each.data for row in rows if (each := encoded[row]) is not None}
    known = codes[rows]
    codes[rows] = np.where(known == 0, read_jpeg_headers(list(images.values())), known)
    errors: dict[int, DecodeError] = {}
    unchecked = structures_of(codes) == Structure.UNKNOWN
    for row in (row for row in rows if unchecked[row]):
        code = int(codes[row])
        try:
            code = code or encode_header(read_header(images[row]), Structure.UNKNOWN)
        except DecodeError as error:
            errors[row] = error
            continue
        codes[row] = with_structure(code, check_structure(images[row])) if strict else code
    return errors
