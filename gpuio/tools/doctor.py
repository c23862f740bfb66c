"""What of gpuio works on this machine, and what to install for the rest."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from gpuio.errors import Error
from gpuio.tools.command import add_json, add_parser, print_json
from gpuio.version import VERSION

# Packages that gpuio uses, as pip names them, and those that it can hand batches to.
PACKAGES = ("numpy", "opencv-python-headless", "simplejpeg", "pillow", "polars", "scipy", "tqdm")
EXTRAS = ("nvidia-dali-cuda130", "nvidia-dali-cuda120", "cupy-cuda13x", "cupy-cuda12x", "torch",
          "jax", "h5py")  # fmt: skip

# The gray of the picture that is decoded, and by how much it may come out another.
LEVEL, MOST_OFF = 120, 3


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes
    ----------
    name : what
    state : "works", "missing" (something optional is not there) or "broken"
    text : what was found; what to do where it does not work
    """

    name: str
    state: str
    text: str


def doctor() -> list[Check]:
    """Try what gpuio needs: packages, the executors on each device, the hand-over to frameworks.

    Takes a few seconds: each executor decodes a picture.
    """
    host = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    checks = [Check("gpuio", "works", f"{VERSION}, {host}, {os.cpu_count()} processors")]
    checks += [_package(name, needed=True) for name in PACKAGES]
    checks += [_package(name, needed=False) for name in EXTRAS]
    tries: dict[str, Callable[[], str]] = {
        "host executor": partial(_decode, executor="host"),
        "DALI on the CPU": partial(_decode, executor="dali"),
        "GPU": _gpu,
        "DALI on the GPU": partial(_decode, ctx="gpu"),
        "imdecode on the GPU": _imdecode,
        "batches in torch": partial(_hand_over, "torch"),
        "batches in jax": partial(_hand_over, "jax"),
    }
    checks += [_try(name, work) for name, work in tries.items()]
    return checks


def _package(name: str, needed: bool) -> Check:
    import importlib.metadata

    try:
        return Check(name, "works", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        advice = f"not installed; run: pip install {name}" if needed else "not installed"
        return Check(name, "broken" if needed else "missing", advice)


def _try(name: str, work: Callable[[], str]) -> Check:
    try:
        return Check(name, "works", work())
    except (Error, ImportError) as error:
        return Check(name, "missing", " ".join(str(error).split()))
    except Exception as error:
        return Check(name, "broken", f"{type(error).__name__}: {' '.join(str(error).split())}")


def _decode(**options: Any) -> str:
    """Decode a picture through ImageRecordIter."""
    import tempfile

    from gpuio.io import ImageRecordIter
    from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack

    with tempfile.TemporaryDirectory() as folder:
        rec, idx = os.path.join(folder, "x.rec"), os.path.join(folder, "x.idx")
        with MXIndexedRecordIO(idx, rec, "w") as writer:
            writer.write_idx(0, pack(IRHeader(0, 0.0, 0, 0), _picture()))
        with ImageRecordIter(
            path_imgrec=rec, path_imgidx=idx, data_shape=(3, 32, 32), batch_size=1,
            verbose=False, **options,
        ) as iterator:  # fmt: skip
            return _judged(iterator.next().data[0])


def _imdecode() -> str:
    """Decode a picture by itself."""
    from gpuio.image import imdecode

    return _judged(imdecode(_picture(), ctx="gpu"))


def _picture() -> bytes:
    """A gray JPEG."""
    import cv2
    import numpy as np

    return cv2.imencode(".jpg", np.full((48, 64, 3), LEVEL, np.uint8))[1].tobytes()


def _judged(pixels: Any) -> str:
    """Refuse what does not show that picture."""
    level = float(pixels.asnumpy().mean())
    if abs(level - LEVEL) > MOST_OFF:
        raise RuntimeError(f"a gray picture of level {LEVEL} came out with level {level:.1f}")
    return "decodes"


def _gpu() -> str:
    """Name the GPUs."""
    from gpuio.context import gpu, num_gpus, require

    require(gpu(0))
    import cupy

    names = [
        cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
        for number in range(num_gpus())
    ]
    driver = cupy.cuda.runtime.driverGetVersion()
    return f"{', '.join(names)}; driver for CUDA {driver // 1000}.{driver % 1000 // 10}"


def _hand_over(library: str) -> str:
    """Hand a batch over to a framework."""
    import numpy as np

    from gpuio.io import NDArrayIter

    loader = importlib.import_module(f"gpuio.{library}").loader
    (batch,) = loader(NDArrayIter(np.zeros((4, 2), np.float32), batch_size=4))
    return f"{type(batch.data).__module__}.{type(batch.data).__name__}"


def add_command(commands: Any) -> None:
    """Add ``doctor`` to the commands of `gpuio.tools.cli`."""
    parser = add_parser(
        commands,
        "doctor",
        _command,
        text="say what works on this machine, and what to install for the rest",
        description="Try packages, executors, GPUs and the hand-over to frameworks. The exit "
        "status is 1 where something is broken; what is optional and missing does not count.",
        example="--json",
    )
    add_json(parser)


def _command(args: argparse.Namespace) -> int:
    checks = doctor()
    if args.json:
        print_json(checks)
    else:
        for check in checks:
            print(f"{check.state:8} {check.name}: {check.text}")
    return 1 if any(check.state == "broken" for check in checks) else 0
