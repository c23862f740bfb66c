"""Check which parts of gpuio work on this machine, and what to install for the rest."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from gpuio import native
from gpuio.context import gpu as gpu_context
from gpuio.context import num_gpus
from gpuio.errors import Error
from gpuio.loading.cpus import cpu_count
from gpuio.terminal import echo
from gpuio.tools.commands.common import add_json, add_parser, print_json
from gpuio.version import VERSION

# Packages that gpuio needs, and optional ones; names as for pip.
PACKAGES = ("numpy", "opencv-python-headless", "simplejpeg", "pillow", "polars", "scipy", "tqdm")
EXTRAS = ("nvidia-dali-cuda130", "nvidia-dali-cuda120", "cupy-cuda13x", "cupy-cuda12x", "torch",
          "jax", "h5py")  # fmt: skip

# Clients of remote files, and what to install for which URLs.
CLIENTS = {
    "obstore": "for s3://, gs://, az:// and http(s)://: pip install 'gpuio[remote]'",
    "hdfs-native": "for hdfs://: pip install 'gpuio[hdfs]'",
    "fsspec": "for URLs of all other kinds: pip install fsspec, and the package that it needs",
}

# The length up to which a text is repeated where several checks have it.
LONG = 60

# Pixel value of the gray test image, and the tolerance for its decoded mean.
GRAY, TOLERANCE = 120, 3


class Check(NamedTuple):
    """Result of one check.

    Attributes
    ----------
    name : what was checked
    state : "works", "missing" (something optional is not installed, or is turned off) or "broken"
    text : details, or what to do if it does not work
    """

    name: str
    state: str
    text: str


def doctor(gpu: bool = False) -> list[Check]:
    """Check what gpuio needs: packages, the executors on each device, the hand-over to frameworks.

    Takes a few seconds, since each executor decodes an image.

    Parameters
    ----------
    gpu : check the first GPU thoroughly, too: its results against the host's, bad records, batches
        that are held, streams
    """
    host = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    checks = [Check("gpuio", "works", f"{VERSION}, {host}, {cpu_count()} CPUs")]
    checks += check_packages(PACKAGES, required=True)
    checks += check_packages(EXTRAS, required=False)
    for check in check_packages(tuple(CLIENTS), required=False):
        missing = check.state == "missing"
        advice = f"{check.text}; {CLIENTS[check.name]}"
        checks.append(check._replace(text=advice) if missing else check)
    trials: dict[str, Callable[[], str]] = {
        "native module": _native,
        "host executor": partial(_decode, executor="host"),
        "DALI on the CPU": partial(_decode, executor="dali"),
        "GPU": _gpu,
        "DALI on the GPU": partial(_decode, ctx="gpu"),
        "imdecode on the GPU": _imdecode,
        "batches in torch": partial(_hand_over, "torch"),
        "batches in jax": partial(_hand_over, "jax"),
    }
    checks += [_check(name, trial) for name, trial in trials.items()]
    if gpu:
        from gpuio.tools.commands.gpu_checks import gpu_checks

        for name, trial in gpu_checks(gpu_context(0)).items():
            checks.append(_check(name, trial))
            if not num_gpus():
                break
    return checks


def check_packages(names: Sequence[str], *, required: bool) -> list[Check]:
    """Look up the installed versions of packages."""
    import importlib.metadata

    checks = []
    for name in names:
        try:
            checks.append(Check(name, "works", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            advice = f"not installed; run: pip install {name}" if required else "not installed"
            checks.append(Check(name, "broken" if required else "missing", advice))
    return checks


def _check(name: str, trial: Callable[[], str]) -> Check:
    """Run a trial, which returns details or raises; `Error` and ImportError mean "missing"."""
    try:
        return Check(name, "works", trial())
    except (Error, ImportError) as error:
        return Check(name, "missing", " ".join(str(error).split()))
    except Exception as error:
        return Check(name, "broken", f"{type(error).__name__}: {' '.join(str(error).split())}")


def _native() -> str:
    """What decodes JPEGs and PNGs on the CPU in place of simplejpeg and OpenCV."""
    in_use, about = native.state()
    if not in_use:
        raise Error(about)
    return about


def _decode(**options: Any) -> str:
    """Decode an image through ImageRecordIter."""
    import tempfile

    from gpuio.io import ImageRecordIter
    from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack

    with tempfile.TemporaryDirectory() as folder:
        rec, idx = os.path.join(folder, "x.rec"), os.path.join(folder, "x.idx")
        with MXIndexedRecordIO(idx, rec, "w") as writer:
            writer.write_idx(0, pack(IRHeader(0, 0.0, 0, 0), _gray_jpeg()))
        with ImageRecordIter(
            path_imgrec=rec, path_imgidx=idx, data_shape=(3, 32, 32), batch_size=1,
            verbose=False, **options,
        ) as iterator:  # fmt: skip
            return _check_pixels(iterator.next().data[0])


def _imdecode() -> str:
    """Decode a single image on the GPU."""
    from gpuio.image import imdecode

    return _check_pixels(imdecode(_gray_jpeg(), ctx="gpu"))


def _gray_jpeg() -> bytes:
    import cv2
    import numpy as np

    return cv2.imencode(".jpg", np.full((48, 64, 3), GRAY, np.uint8))[1].tobytes()


def _check_pixels(pixels: Any) -> str:
    """Raise if these are not the pixels of the test image."""
    mean = float(pixels.asnumpy().mean())
    if abs(mean - GRAY) > TOLERANCE:
        raise RuntimeError(f"a gray image of pixel value {GRAY} was decoded to {mean:.1f}")
    return "decodes"


def _gpu() -> str:
    """Names of the GPUs, and the driver's CUDA version."""
    from gpuio.context import gpu, num_gpus, require

    require(gpu(0))
    import cupy

    names = [
        cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
        for number in range(num_gpus())
    ]
    driver = cupy.cuda.runtime.driverGetVersion()
    return f"{', '.join(names)}; driver for CUDA {driver // 1000}.{driver % 1000 // 10}"


def _hand_over(framework: str) -> str:
    """Convert a batch to a framework's tensor."""
    import numpy as np

    from gpuio.io import NDArrayIter

    loader = importlib.import_module(f"gpuio.{framework}").loader
    (batch,) = loader(NDArrayIter(np.zeros((4, 2), np.float32), batch_size=4))
    return f"{type(batch.data).__module__}.{type(batch.data).__name__}"


def add_command(commands: Any) -> None:
    """Add ``doctor`` to the command line."""
    parser = add_parser(
        commands,
        "doctor",
        _run,
        summary="check what works on this machine, and what to install for the rest",
        description="Check packages, executors, GPUs and the hand-over to frameworks. The exit "
        "status is 1 if something is broken; missing optional parts do not count.",
        example="--json",
    )
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="check the first GPU thoroughly: its results against the host's, bad records, batches "
        "that are held, streams; without a GPU the exit status is 1",
    )
    add_json(parser)


def _summary(checks: Sequence[Check]) -> str:
    """What all checks together mean."""
    broken = [check.name for check in checks if check.state == "broken"]
    if broken:
        return f"broken: {', '.join(broken)}"
    if any(check.state == "missing" for check in checks):
        return "nothing is broken; what is missing is optional"
    return "everything works"


def _run(args: argparse.Namespace) -> int:
    checks = doctor(args.gpu)
    if args.json:
        print_json(checks)
    else:
        said: dict[str, str] = {}  # by the text that is too long to be said twice
        for check in checks:
            first = said.setdefault(check.text, check.name)
            again = len(check.text) > LONG and first != check.name
            text = f"see {first}" if again else check.text
            echo(f"{check.state:8} {check.name}: {text}")
        echo(_summary(checks))
    failed = any(check.state == "broken" for check in checks)
    without_gpu = args.gpu and not num_gpus()
    return 1 if failed or without_gpu else 0
