"""The photographs that benchmarks load, and record files of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "photos"


def photographs(folder: Path) -> tuple[list[Path], str]:
    """Files of photographs, and a description: ImageNet's if they lie beside the checkout, else
    those of ``gpuio demo``, written to a folder.
    """
    paths = sorted(PHOTOS.glob("*.JPEG"))
    name = f"{len(paths)} ImageNet photographs"
    if not paths:
        from gpuio.tools.samples import make_samples

        make_samples(folder)
        paths = sorted(folder.glob("**/*.jpg"))
        name = f"{len(paths)} sample photographs"
    mean = sum(path.stat().st_size for path in paths) / len(paths)
    return paths, f"{name}, {mean / 1e3:.0f} kB on average"


def write_records(images: Iterable[bytes], rec: Path, idx: Path) -> None:
    """Write encoded images to a record file and its index; an image's label is its number."""
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        for number, image in enumerate(images):
            writer.write_idx(number, pack(IRHeader(0, float(number), number, 0), image))


def record_files(folder: Path, copies: int = 1) -> tuple[Path, Path, str]:
    """Pack the photographs, each several times; return record file, index and a description."""
    paths, name = photographs(folder / "samples")
    rec, idx = folder / "bench.rec", folder / "bench.idx"
    write_records((path.read_bytes() for path in paths * copies), rec, idx)
    return rec, idx, name
