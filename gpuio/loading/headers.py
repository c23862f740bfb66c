"""The headers of a batch's images: read together, and kept from epoch to epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuio import native
from gpuio.decoding.header import import_pillow, read_header
from gpuio.decoding.header_codes import (
    decode_header,
    encode_header,
    pixels_of,
    several_parts_of,
    structures_of,
    with_structure,
)
from gpuio.decoding.jpeg_headers import read_jpeg_headers
from gpuio.decoding.limits import MAX_PIXELS, PLAUSIBLE, check_image
from gpuio.decoding.structure import Structure, check_structure
from gpuio.errors import FILE_ERRORS, Error
from gpuio.loading.batch import EncodedRows

# Records whose headers are kept, in 8 bytes each: 1 GiB at most.
MOST_KEPT = 1 << 27


class HeaderReader:
    """Reads the headers of batches. Safe to use from several threads.

    Parameters
    ----------
    count : number of records
    max_pixels : the most pixels of an image, see `decoding.limits`
    """

    def __init__(self, count: int, max_pixels: int = MAX_PIXELS) -> None:
        import_pillow()
        self._max_pixels = max_pixels
        self._kept = np.zeros(min(count, MOST_KEPT), np.uint64)  # memory of those that are read
        self._keeps_all = len(self._kept) == count

    def read(
        self,
        record: NDArray[np.int64],
        encoded: EncodedRows,
        strict: bool,
        keep: bool,
    ) -> tuple[NDArray[np.uint64], dict[int, Error]]:
        """Read the headers of a batch.

        Parameters
        ----------
        record : int64 (N,), the records' indices
        encoded : the N records, of which some may be unusable
        strict : also check the structure of all images, which must be in memory
        keep : these records have never changed: use the headers that were kept, and keep these

        Returns
        -------
        codes : uint64 (N,), see `header_codes`; 0 where there is no header
        errors : row -> why its header cannot be read, or which limit the image is over

        Raises
        ------
        FileChangedError : a file has changed since the images' beginnings were read.
        """
        if keep and self._keeps_all:
            codes = self._kept[record]
            if not strict and codes.all():
                return codes, self._over_limits(encoded, codes)
        keepable = (record < len(self._kept)) & keep
        codes = np.zeros(len(record), np.uint64)
        codes[keepable] = self._kept[record[keepable]]
        wanted = codes == 0
        if strict:
            wanted |= structures_of(codes) == Structure.UNKNOWN
        rows = np.flatnonzero(wanted & encoded.usable)
        errors: dict[int, Error] = {}
        if len(rows):
            errors = _read(rows, encoded, codes, strict)
            self._kept[record[keepable]] = codes[keepable]
        return codes, errors | self._over_limits(encoded, codes)

    def _over_limits(self, encoded: EncodedRows, codes: NDArray[np.uint64]) -> dict[int, Error]:
        """Which images are over a limit, by row; only large ones and those in several scans can
        be.
        """
        suspect = pixels_of(codes) > min(PLAUSIBLE, self._max_pixels)
        suspect |= several_parts_of(codes)
        errors: dict[int, Error] = {}
        if not suspect.any():
            return errors
        for row in np.flatnonzero(suspect).tolist():
            if (image := encoded[row]) is not None:
                try:
                    check_image(decode_header(int(codes[row])), image.data, self._max_pixels)
                except FILE_ERRORS:
                    raise
                except Error as error:
                    errors[row] = error
        return errors


def _read(
    rows: NDArray[np.intp], encoded: EncodedRows, codes: NDArray[np.uint64], strict: bool
) -> dict[int, Error]:
    """Read headers, and check structures, of some rows; returns errors by row."""
    known = codes[rows]
    codes[rows] = np.where(known == 0, _read_usual(rows, encoded), known)
    wanted = codes[rows] == 0
    if strict:
        wanted |= structures_of(codes[rows]) == Structure.UNKNOWN
    errors: dict[int, Error] = {}
    for row in rows[wanted].tolist():
        image, code = encoded[row], int(codes[row])
        assert image is not None, "the record is usable"
        try:
            data = np.ascontiguousarray(image.data)
            code = code or encode_header(read_header(data), Structure.UNKNOWN)
        except FILE_ERRORS:
            raise
        except Error as error:
            errors[row] = error
            continue
        codes[row] = with_structure(code, check_structure(data)) if strict else code
    return errors


def _read_usual(rows: NDArray[np.intp], encoded: EncodedRows) -> NDArray[np.uint64]:
    """The codes of most images, uint64 (n,); 0 where each has to be looked at by itself."""
    if (module := native.library()) is not None:
        return module.headers(encoded.places[rows])
    images = [each for row in rows.tolist() if (each := encoded[row]) is not None]
    sizes = np.fromiter((each.image.nbytes for each in images), np.int64, len(images))
    return read_jpeg_headers([each.beginning for each in images], sizes)
