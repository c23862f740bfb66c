"""From lists of images to record files: in threads, in the list's order, and again where a run
was stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import probe
from gpuio.errors import ArgumentError, DecodeError, Error, RecordError, RecordFileNotFoundError
from gpuio.progress import progress
from gpuio.recordio import IRHeader, pack, pack_img, unpack
from gpuio.recordio.framing import Payload, frame, parse
from gpuio.storage.local import map_file
from gpuio.tools.files import PART, Beginning, RecordOutput, open_alone
from gpuio.tools.im2rec.lists import BadImage, ListItem, Path, read_list

# Images that a thread takes at once, and how many times as many are taken up ahead of the one that
# is written next, for each thread.
CHUNK, AHEAD = 4, 3

# What the index holds, and the largest label of a header.
KEYS, LARGEST = range(1 << 63), float(np.finfo(np.float32).max)

In = TypeVar("In")
Out = TypeVar("Out")


class Packed(NamedTuple):
    """What `write_records` made.

    Attributes
    ----------
    rec, idx : the files
    records : how many records are in them
    bad : the images, and the list's lines, that are not
    doubtful : files that were stored as they are though they do not look like images
    kept : records that a run which was stopped had left
    """

    rec: str
    idx: str
    records: int
    bad: list[BadImage]
    doubtful: list[BadImage]
    kept: int


class Record(NamedTuple):
    """An image on its way into the file.

    Attributes
    ----------
    path : the image file
    key : its number in the list
    framed : the record as it stands in the file, in pieces
    doubt : why it may be no image; empty: no doubt
    """

    path: str
    key: int
    framed: list[Payload]
    doubt: str


@dataclass(frozen=True)
class Recipe:
    """What becomes of an image on its way into a record: the options of `write_records`."""

    pass_through: bool
    resize: int
    center_crop: bool
    quality: int
    encoding: str
    color: int
    pack_label: bool

    def __post_init__(self) -> None:
        if self.resize < 0:
            raise ArgumentError(f"resize must be 0 (leave the size) or more, not {self.resize!r}")
        if self.encoding not in (".jpg", ".png"):
            raise ArgumentError(f"encoding must be '.jpg' or '.png', not {self.encoding!r}")
        if self.color not in (-1, 0, 1):
            raise ArgumentError(
                f"color must be 1 (colour), 0 (gray) or -1 (as it is), not {self.color!r}"
            )
        least = 1 if self.encoding == ".jpg" else 0
        if not least <= self.quality <= 100:
            raise ArgumentError(f"quality must be from {least} to 100, not {self.quality!r}")

    def make(self, item: ListItem | BadImage, root: str) -> Record | BadImage:
        """The record of an image, or why there is none."""
        if isinstance(item, BadImage):
            return item
        path = os.path.join(root, item.path)
        try:
            with open(path, "rb") as file:
                payload = self._payload(item, file.read())
            framed = frame(payload)
        except (Error, OSError, ValueError, struct.error) as error:
            return BadImage(path, getattr(error, "strerror", None) or str(error))
        doubt = self.doubt(np.frombuffer(payload, np.uint8))
        return Record(path, item.key, framed, doubt)

    def doubt(self, payload: NDArray[np.uint8]) -> str:
        """Why a record may hold no image; empty: no doubt."""
        if not self.pass_through:
            return ""
        try:
            probe(unpack(payload)[1])
        except DecodeError as error:
            return str(error)
        return ""

    def _payload(self, item: ListItem, encoded: bytes) -> bytes:
        labels = item.labels
        label = list(labels) if self.pack_label and len(labels) > 1 else labels[0]
        if item.key not in KEYS:
            raise ArgumentError(f"its number must be from 0 to {KEYS[-1]}, not {item.key}")
        for number in labels:
            if LARGEST < abs(number) < math.inf:
                raise ArgumentError(f"its label {number:g} does not fit into float32")
        header = IRHeader(0, label, item.key, 0)
        if self.pass_through:
            return pack(header, encoded)
        image = _scale(self._crop(_decode(encoded, self.color)), self.resize)
        return pack_img(header, image, self.quality, self.encoding)

    def _crop(self, image: NDArray[Any]) -> NDArray[Any]:
        if not self.center_crop:
            return image
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return image[top : top + side, left : left + side]


def write_records(
    lst: Path,
    root: Path,
    *,
    pass_through: bool = False,
    resize: int = 0,
    center_crop: bool = False,
    quality: int = 95,
    encoding: str = ".jpg",
    color: int = 1,
    pack_label: bool = False,
    num_thread: int | None = None,
    resume: bool = True,
) -> Packed:
    """Write the records of a list's images, in its order, to a .rec and an .idx file beside it.

    While they are being written the files have ``.part`` at the end of their names; older ones are
    replaced only when the new ones are complete. A run that is stopped, by whatever means, leaves
    the unfinished file, and the next run with the same list and options goes on behind its records;
    the result is that of a run in one go.

    Parameters
    ----------
    lst : the list
    root : the folder that its paths start from
    pass_through : store the files' bytes as they are, images or not; the options from `resize` to
        `color` then mean nothing
    resize : scale the shorter side to so many pixels, bilinearly; 0: leave the size
    center_crop : first cut off both ends of the longer side, so that the image is square
    quality : of a JPEG, 1 to 100; or compression of a PNG, 0 to 9 (more counts as 9)
    encoding : ".jpg" or ".png"
    color : 1: colour, 0: gray, -1: as the file has it
    pack_label : store all labels of a line, not only the first
    num_thread : threads that read and encode; None: one for each CPU. The result is the same
    resume : go on where a run was stopped; False: begin anew

    Raises
    ------
    ArgumentError : an option is out of its range.
    RecordFileNotFoundError : there is no such list or folder.
    RecordError : a file cannot be written, or another run is writing it.
    """
    recipe = Recipe(pass_through, resize, center_crop, quality, encoding, color, pack_label)
    threads = cpu_count() if num_thread is None else num_thread
    if threads < 1:
        raise ArgumentError(f"num_thread must be at least 1, not {num_thread!r}")
    root, lst = os.fspath(root), os.fspath(lst)
    if not os.path.isdir(root):
        raise RecordFileNotFoundError(f"{root} is not a folder; name the one of the images")
    items = read_list(lst)
    rec = f"{os.path.splitext(lst)[0]}.rec"
    with _journal(rec, _identity(lst, root, recipe)) as begun:
        done = _Done.find(rec, lst, root, recipe, begun) if begun and resume else _Done.nothing()
        with (
            progress(
                f"packing {os.path.basename(rec)}", "images", count_lines(lst), initial=done.lines
            ) as bar,
            RecordOutput(rec, beginning=done.beginning, keep=True) as output,
        ):
            rest = islice(items, done.lines, None)
            for made in _in_order(lambda item: recipe.make(item, root), rest, threads):
                done.note(made)
                if isinstance(made, Record):
                    output.append(made.key, made.framed)
                bar.update()
    return Packed(output.rec, output.idx, len(output.keys), done.bad, done.doubtful, done.kept)


@dataclass
class _Done:
    """What has been done of a list.

    Attributes
    ----------
    lines : lines of the list that the unfinished file covers
    beginning : its records; None: there are none
    kept : how many
    bad, doubtful : as in Packed
    """

    lines: int
    beginning: Beginning | None
    kept: int
    bad: list[BadImage]
    doubtful: list[BadImage]

    @classmethod
    def nothing(cls) -> _Done:
        """To begin anew."""
        return cls(0, None, 0, [], [])

    @classmethod
    def find(cls, rec: str, lst: str, root: str, recipe: Recipe, begun: float) -> _Done:
        """What a run that was stopped has left: the longest beginning of the list whose records are
        there, and whose files are older than that run.
        """
        done = cls.nothing()
        keys = np.array([item.key for item in read_list(lst) if isinstance(item, ListItem)], object)
        if not os.path.exists(rec + PART) or len(set(keys)) < len(keys):
            return done  # with a number twice, records could belong to either line
        data = map_file(rec + PART)
        at, kept = 0, Beginning(array("q"), array("q"), 0)
        for item in read_list(lst):
            try:
                payload, end = parse(data, at, rec)
                key = unpack(payload)[0].id
            except (RecordError, ValueError, struct.error):
                break  # behind the last whole record
            if isinstance(item, ListItem) and item.key == key:
                path = os.path.join(root, item.path)
                if not _older(path, begun):
                    break
                kept.keys.append(key)
                kept.offsets.append(at)
                at = end
                done.note(Record(path, key, [], recipe.doubt(payload)))
            elif isinstance(made := recipe.make(item, root), BadImage):
                done.note(made)
            else:
                break  # it was left out then, and can be used now
            done.lines += 1
        done.beginning, done.kept = kept._replace(end=at), len(kept.keys)
        return done

    def note(self, made: Record | BadImage) -> None:
        """Keep what is worth a report."""
        if isinstance(made, BadImage):
            self.bad.append(made)
        elif made.doubt:
            self.doubtful.append(BadImage(made.path, made.doubt))


def _identity(lst: str, root: str, recipe: Recipe) -> str:
    """What decides the records, but for the images themselves."""
    with open(lst, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    identity = {"list": digest, "root": os.path.abspath(root), **asdict(recipe)}
    if not recipe.pass_through:
        import cv2

        identity["cv2"] = cv2.__version__
    return json.dumps(identity)


@contextmanager
def _journal(rec: str, identity: str) -> Iterator[float | None]:
    """Note, beside an unfinished file, what it is going to be; the note goes when that is done.

    Gives the time at which such a file of the same identity was begun; None: there is none.
    """
    path = f"{rec}{PART}.json"
    with open_alone(path) as note:
        note.seek(0)
        begun = os.fstat(note.fileno()).st_mtime if note.read() == identity.encode() else None
        if begun is None:
            with suppress(FileNotFoundError):  # at no moment is it there with another's note
                os.remove(rec + PART)
            note.truncate(0)
            note.write(identity.encode())
            note.flush()
        yield begun
        os.remove(path)


def _older(path: str, moment: float) -> bool:
    """Whether a file was last changed, or put there, before a moment."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return max(status.st_mtime, status.st_ctime) < moment


def cpu_count() -> int:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_lines(path: str) -> int:
    """The lines of a file."""
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _decode(encoded: bytes, color: int) -> NDArray[Any]:
    """uint8 or uint16 (H, W), (H, W, 3) or (H, W, 4), as ``cv2.imread`` gives it."""
    import cv2

    if not encoded:
        raise DecodeError("the file is empty")
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), color)
    except cv2.error as error:
        raise DecodeError(f"OpenCV cannot read it: {' '.join(str(error).split())}") from error
    if image is None:
        raise DecodeError("not an image that OpenCV reads")
    return image


def _scale(image: NDArray[Any], short: int) -> NDArray[Any]:
    """The image with a shorter side of `short` pixels; with 0, as it is."""
    import cv2

    from gpuio.planning.plan import shorter_side

    if not short:
        return image
    size = shorter_side(image.shape[1], image.shape[0], short)
    try:
        return cv2.resize(image, size)
    except cv2.error as error:
        raise ArgumentError(
            f"it cannot be scaled to {size[0]} x {size[1]} pixels: {' '.join(str(error).split())}"
        ) from error


def _in_order(function: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """The function's results, in the order of the items, computed in threads a little ahead."""
    if threads == 1:
        yield from map(function, items)
        return
    items = iter(items)
    chunks: Iterator[list[In]] = iter(lambda: list(islice(items, CHUNK)), [])
    with ThreadPoolExecutor(threads, "gpuio-im2rec") as pool:
        waiting: deque[Future[list[Out]]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(lambda some: list(map(function, some)), chunk))
                if len(waiting) >= AHEAD * threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
