"""The contestants, in the order of the report.

Each is a module with two functions:

- ``batches(job, **options)``: an endless iterator of pairs, images and labels, which
  ``numpy.array`` copies; the job says what they are. A pair is valid until the next one is taken.
- ``versions()``: versions of the packages by name.

An ImportError of either means that the contestant is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GPUIO, ONE_THREAD, PLAIN = "gpuio", "gpuio, 1 thread", "gpuio, no native module"
DALI = "DALI readers.mxnet"

HERE = "tests.benchmarks.images.contestants"


@dataclass(frozen=True)
class Contestant:
    """A module, and how it is run.

    Attributes
    ----------
    name : in the report
    module : that has `batches`
    options : further arguments of `batches`
    environment : environment variables of its process
    python : "": this interpreter; else the name of another one, given on the command line
    scaled : only for workloads whose images are scaled
    threads : fixed number; 0: as many as the others
    """

    name: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    python: str = ""
    scaled: bool = False
    threads: int = 0


CONTESTANTS = (
    Contestant(GPUIO, f"{HERE}.gpuio", {"native": True}, {"GPUIO_NATIVE": ""}),
    Contestant(ONE_THREAD, f"{HERE}.gpuio", {"native": True}, {"GPUIO_NATIVE": ""}, threads=1),
    Contestant(PLAIN, f"{HERE}.gpuio", {"native": False}, {"GPUIO_NATIVE": "0"}),
    Contestant(DALI, f"{HERE}.dali"),
    Contestant("DALI, antialias=False", f"{HERE}.dali", {"antialias": False}, scaled=True),
    Contestant("Grain + simplejpeg + OpenCV", f"{HERE}.grain"),
    Contestant("SPDL + simplejpeg + OpenCV", f"{HERE}.spdl"),
    Contestant("WebDataset + simplejpeg + OpenCV", f"{HERE}.webdataset"),
    Contestant("PyTorch DataLoader + torchvision v2", f"{HERE}.torchvision"),
    Contestant("MXNet ImageRecordIter", f"{HERE}.mxnet", python="mxnet"),
)
