"""Files that are open for reading, wherever they are."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gpuio.storage.parts import Bulk, Offsets


class DataFile(Protocol):
    """A file that is open for reading, at any offset: a `LocalFile` or a `RemoteFile`. Thread-safe
    and fork-safe.

    All methods that read raise

    - FileChangedError : the file is not the one that was opened.
    - RecordError, RemoteError : it cannot be read.

    Attributes
    ----------
    path : its name, for messages
    nbytes : size of the file when it was opened; also its ``len()``
    """

    path: str
    nbytes: int

    @property
    def descriptor(self) -> int | None:
        """The file's descriptor, open as long as this object exists; None: it has none, and is read
        by `read_parts` only.
        """

    @property
    def version(self) -> str | None:
        """What identifies the content; None: only the content itself does."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> NDArray[np.uint8]:
        """Read bytes: uint8 (bytes,), read-only; what is outside of the file is left out."""

    def read_parts(
        self, begins: Offsets, ends: Offsets, bulk: Bulk | None = None
    ) -> tuple[NDArray[np.uint8], Offsets]:
        """Read several parts at once.

        Parameters
        ----------
        begins, ends : int64 (n,), the parts, in bytes, in any order; none is empty, and all are
            within the file
        bulk : how, if it is much

        Returns
        -------
        data : uint8 (bytes,), read-only, with all parts in it
        places : int64 (n,), where each of them begins in `data`; if all begin at multiples of four
            or eight bytes in the file, so do they here
        """

    def advise(self, begins: Offsets, ends: Offsets) -> None:
        """Have parts read ahead, int64 (n,) in bytes; does not wait."""

    def has_changed(self) -> bool:
        """Whether the file was written to since it was opened."""

    def check_size(self) -> object:
        """Check that the file has not become shorter."""

    def close(self) -> None:
        """Stop reading: threads that wait for data raise. May be called repeatedly."""
