"""A record file of faces."""

from pathlib import Path
from typing import Any

import gpuio as mx


def write_faces(path: Path, images: list[bytes], identities: int = 2) -> Path:
    """Write a record file like those of MS1MV3: a header, the images, identity records.

    Image number i, with key i + 1, has the label ``[i % identities, 0]``. Returns the file's path.
    """
    end = len(images) + 1
    files = [str(path.with_suffix(ending)) for ending in (".idx", ".rec")]
    with mx.recordio.MXIndexedRecordIO(*files, "w") as writer:

        def write(key: int, label: Any, payload: bytes) -> None:
            header = mx.recordio.IRHeader(0, label, key, 0)
            writer.write_idx(key, mx.recordio.pack(header, payload))

        write(0, [end, end + identities], b"")
        for number, image in enumerate(images):
            write(number + 1, [number % identities, 0], image)
        for key in range(end, end + identities):
            write(key, [1, end], b"")
    return path.with_suffix(".rec")
