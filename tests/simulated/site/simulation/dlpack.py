"""What passes device arrays between libraries, in place of DLPack's capsules.

A real capsule would offer an address that only a device can read.
"""

from __future__ import annotations

import numpy as np


class Capsule:
    """A description of device memory, which can be consumed once.

    Parameters
    ----------
    host : an array of NumPy over the memory
    device_id : its device
    owner : what keeps the memory; the consumer keeps it as long as it uses the memory
    """

    def __init__(self, host: np.ndarray, device_id: int, owner: object) -> None:
        self.host = host
        self.device_id = device_id
        self._owner: object | None = owner

    def consume(self) -> object:
        """The owner, once.

        Raises
        ------
        ValueError : it has been consumed.
        """
        owner, self._owner = self._owner, None
        if owner is None:
            raise ValueError("A DLPack tensor object cannot be consumed multiple times")
        return owner
