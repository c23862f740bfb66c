"""Images in record files whose beginning is in memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import FileChangedError
from gpuio.storage.data_file import DataFile


class StoredImage(NamedTuple):
    """The image of a record that was read in part: the rest is read when it is wanted, by the
    thread that decodes it. The image is in that core's cache then, and no more of them are in
    memory than are being decoded.

    Attributes
    ----------
    file : the record file
    start : where the record begins in it, in bytes
    begin, end : of the image, in bytes from the beginning of the record
    known : uint8 (bytes,), the beginning of the record
    """

    file: DataFile
    start: int
    begin: int
    end: int
    known: NDArray[np.uint8]

    @property
    def nbytes(self) -> int:
        """Size of the image."""
        return self.end - self.begin

    @property
    def beginning(self) -> NDArray[np.uint8]:
        """What is in memory of the image: uint8 (bytes,)."""
        return self.known[self.begin :]

    def read(self) -> NDArray[np.uint8]:
        """Read the image: uint8 (bytes,).

        Raises
        ------
        FileChangedError : the file has become shorter, or the record is not the same any more.
        RecordError : it cannot be read.
        """
        record = self.file[self.start : self.start + self.end]
        if record[: len(self.known)].tobytes() != self.known.tobytes():
            raise FileChangedError(
                f"{self.file.path} at byte {self.start}: the record was overwritten while it was "
                "read; open the file again when it is complete"
            )
        return record[self.begin :]
