"""RecordDataset: the images of record files for PyTorch's own DataLoader."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gpuio.decoding.limits import resolve_max_pixels
from gpuio.errors import ArgumentError, RecordError
from gpuio.image.source import read_image
from gpuio.iterators.arguments import as_bool, as_choice, as_int
from gpuio.loading.source import RecordSource
from gpuio.planning.planner import Label
from gpuio.recordio import RecordSet
from gpuio.recordio.quarantine import read_quarantine
from gpuio.storage.local import Path
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.pickling import check_picklable

OUTPUTS = ("tensor", "numpy", "pil")
LABELS = {"int": int, "float": float}


class RecordDataset(torch.utils.data.Dataset):  # type: ignore[misc]
    """The images of record files, with their labels: a map-style dataset for PyTorch's DataLoader.

    A sample is ``(image, label)``, as those of torchvision's datasets. The header and the identity
    records of face data sets (MS1MV3, Glint360K and their like) are left out; their labels are the
    identities. It works in forked and in spawned workers, and is pickled by the paths.

    For batches at the speed of the whole machine, and on a GPU, use `gpuio.torch.loader` over an
    ImageRecordIter.

    Parameters
    ----------
    path_imgrec : one file, several, joined by ";" or as a sequence, or a folder of .rec files; each
        may be a URL, and that of a folder ends with "/"
    path_imgidx : the index of each; None: the files are scanned
    transform : takes the image, such as a transform of torchvision; its result takes its place
    target_transform : takes the label
    output : what an image is. "tensor": uint8 (channels, height, width), as
        torchvision.io.decode_image gives it; "numpy": uint8 (height, width, channels), as
        albumentations and OpenCV (with RGB) take it; "pil": a PIL.Image, as ImageFolder gives it
    color : RGB; False: gray, of one channel
    label_width : the first number of a record's label, as a Python number; more than 1: a tensor
        (label_width,) of the first ones; None: a tensor (n,) of all
    label_dtype : "int" (in tensors int64), for classes; or "float" (float32)
    quarantine : records to leave out: the list that ``gpuio verify --quarantine`` writes
    max_pixels : the most pixels of an image. None: what the environment variable GPUIO_MAX_PIXELS
        says, else 2**28
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : for remote files, as in
        ImageRecordIter. A forked worker can read them only if its parent has not: use DataLoader's
        ``multiprocessing_context="spawn"`` or "forkserver"

    Raises
    ------
    RecordFileNotFoundError : a file does not exist.
    RecordError : an index does not belong to its file, or a file without an index is damaged.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was
        opened.
    ArgumentError : an argument is invalid, or the files have no images.
    IndexError, RecordError, DecodeError : for a sample: the index is out of range; its record is
        damaged, not an image or too large; its label is too short, or not an integer where
        label_dtype is "int". The message has its location.

    Examples
    --------
    >>> dataset = gpuio.torch.RecordDataset("train.rec", "train.idx", transform=augment)
    >>> loader = torch.utils.data.DataLoader(dataset, 64, shuffle=True, num_workers=2)
    """

    def __init__(
        self,
        path_imgrec: Path | Sequence[Path],
        path_imgidx: Path | Sequence[Path] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        output: str = "tensor",
        color: bool = True,
        label_width: int | None = 1,
        label_dtype: str = "int",
        quarantine: Path | None = None,
        max_pixels: int | None = None,
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
    ) -> None:
        self.transform, self.target_transform = transform, target_transform
        self._paths = path_imgrec, path_imgidx, quarantine
        self._output = as_choice("output", output, OUTPUTS)
        self._flag = int(as_bool("color", color))
        self._width = label_width if label_width is None else as_int("label_width", label_width, 1)
        self._number = LABELS[as_choice("label_dtype", label_dtype, tuple(LABELS))]
        self._max_pixels = resolve_max_pixels(max_pixels)
        self._remote = RemoteOptions.create(
            cache_dir, cache_limit, readahead, storage_options, retries, timeout
        )
        self._open()

    def _open(self) -> None:
        path_imgrec, path_imgidx, quarantine = self._paths
        records = RecordSet(path_imgrec, path_imgidx, self._remote)
        self._source = RecordSource(records)
        listed = () if quarantine is None else read_quarantine(quarantine, self._remote)
        self._images = records.without(self._source.images, listed)
        if not len(self._images):
            raise ArgumentError(f"{', '.join(records.paths)}: there are no images")

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """An image and its label."""
        try:
            record = int(self._images[operator.index(index)])
        except IndexError:
            raise IndexError(f"index {index} of a dataset of {len(self)} images") from None
        image, label = read_image(self._source, record, self._flag, self._max_pixels)
        found = self._as_output(np.asarray(image)), self._as_label(label, record)
        if self.transform is not None:
            found = self.transform(found[0]), found[1]
        if self.target_transform is not None:
            found = found[0], self.target_transform(found[1])
        return found

    def _as_output(self, pixels: Any) -> Any:
        if self._output == "numpy":
            return pixels
        if self._output == "tensor":
            return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        from PIL import Image

        return Image.fromarray(pixels if self._flag else pixels[:, :, 0])

    def _as_label(self, label: Label, record: int) -> Any:
        numbers = np.array(label, np.float64, ndmin=1)
        if self._width is not None:
            if len(numbers) < self._width:
                raise RecordError(
                    f"{self._source.location(record)}: the label has {len(numbers)} numbers, "
                    f"label_width asks for {self._width}"
                )
            numbers = numbers[: self._width]
        if self._number is int and not (numbers % 1 == 0).all():
            raise RecordError(
                f"{self._source.location(record)}: the label {numbers.tolist()} is not an integer; "
                'use label_dtype="float"'
            )
        if self._width == 1:
            return self._number(numbers[0])
        return torch.from_numpy(numbers.astype(np.int64 if self._number is int else np.float32))

    def __getstate__(self) -> dict[str, Any]:
        opened = ("_source", "_images")
        state = {name: value for name, value in vars(self).items() if name not in opened}
        check_picklable(state, type(self).__name__)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:
        files = ", ".join(self._source.records.paths)
        return f"RecordDataset({files}: {len(self)} images)"
