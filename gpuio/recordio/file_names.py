"""Arguments that name record files or indexes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import list_folder, location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import is_folder


def find_files(
    paths: Path | Sequence[Path], ending: str, remote: RemoteOptions | None
) -> tuple[str, ...]:
    """Resolve an argument that names files; in a directory, those with the given ending."""
    if isinstance(paths, str) and ";" not in paths and is_folder(paths):
        return tuple(list_folder(paths, ending, remote))
    if isinstance(paths, (str, os.PathLike)):
        if os.path.isdir(paths):
            folder = os.fspath(paths)
            found = sorted(name for name in os.listdir(folder) if name.endswith(ending))
            if not found:
                raise RecordFileNotFoundError(f"{folder} is a directory without *{ending} files")
            return tuple(os.path.join(folder, name) for name in found)
        paths = [part for part in os.fspath(paths).split(";") if part]
    if not isinstance(paths, Sequence) or not paths:
        raise ArgumentError(
            f"expected a path or a sequence of paths of {ending} files, not {paths!r}"
        )
    return tuple(location(path) for path in paths)
