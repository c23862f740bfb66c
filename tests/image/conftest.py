"""Each test of a device runs on a second GPU, too."""

from tests.devices import every_device as ctx
from tests.devices import other_gpu

__all__ = ["ctx", "other_gpu"]
