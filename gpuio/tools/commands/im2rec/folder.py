"""ImageFolder: the folder of the images that a list names, on this machine or in a remote store."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpuio.errors import RecordFileNotFoundError
from gpuio.storage.local import Path, read_file
from gpuio.storage.remote.opening import list_files, location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.url import is_remote, join, shown


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images.

    Attributes
    ----------
    root : its path or URL
    remote : how a remote one is reached; None: by the default options
    """

    root: str
    remote: RemoteOptions | None = None

    @classmethod
    def at(cls, root: Path, remote: RemoteOptions | None = None) -> ImageFolder:
        """The folder at a path or a URL."""
        return cls(location(os.fspath(root)), remote)

    @property
    def is_remote(self) -> bool:
        """Whether it is in a remote store."""
        return is_remote(self.root)

    @property
    def shown(self) -> str:
        """Its path, or its URL without secrets."""
        return shown(self.root)

    def check(self) -> None:
        """Check that a local folder exists.

        Raises
        ------
        RecordFileNotFoundError : it does not.
        """
        if not self.is_remote and not os.path.isdir(self.root):
            raise RecordFileNotFoundError(
                f"{self.root} is not a folder; name the folder with the images"
            )

    def path(self, name: str) -> str:
        """The path of a file, or its URL without secrets."""
        return (
            f"{self.shown.rstrip('/')}/{name}" if self.is_remote else os.path.join(self.root, name)
        )

    def read(self, name: str) -> bytes:
        """Read a file as a whole; a remote one is not cached.

        Raises
        ------
        OSError, ValueError, RecordError : it cannot be read.
        ArgumentError : a remote folder can have no such file.
        RemoteError, FileChangedError : the store fails.
        """
        if not self.is_remote:
            return read_file(os.path.join(self.root, name))
        store, key = open_store(join(self.root, name), self.remote)
        info = store.info(key)
        return bytes(store.read(key, 0, info.size, info)[:])

    def listed(self) -> list[tuple[str, list[str]]]:
        """The folders below a remote one that have files, "" for itself, each before its
        subfolders; and the sorted names of these files. All are listed at once.

        Raises
        ------
        RecordFileNotFoundError : there are none.
        RemoteError, UnsupportedError : the store cannot list them.
        """
        folders: dict[str, list[str]] = {}
        for name in list_files(self.root, self.remote):
            folder, _, base = name.rpartition("/")
            folders.setdefault(folder, []).append(base)
        if not folders:
            raise RecordFileNotFoundError(
                f"{self.shown} has no files; name the folder with the images"
            )
        for folder in list(folders):  # some tools leave an empty file in the place of a folder
            above, _, base = folder.rpartition("/")
            if base in folders.get(above, ()):
                folders[above].remove(base)
        order = sorted(folders, key=lambda folder: folder.split("/") if folder else [])
        return [(folder, sorted(folders[folder])) for folder in order]
