"""What stands at the beginning of an image record: IRHeader, pack and unpack."""

from __future__ import annotations

import numbers
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.recordio.framing import Payload, as_bytes

if TYPE_CHECKING:
    Buffer = TypeVar("Buffer", bytes, bytearray, memoryview, NDArray[np.uint8])

_FORMAT = struct.Struct("<IfQQ")
HEADER_BYTES = _FORMAT.size

JPEG, PNG = (".jpg", ".jpeg"), (".png",)


class HEADER(NamedTuple):
    """The header of an image record.

    Attributes
    ----------
    flag : 0 where the label is one number, else how many numbers it has; `pack` sets it
    label : a number, or float32 (flag,)
    id : a number that names the image, 0 to 2**64 - 1
    id2 : another, usually 0
    """

    flag: int
    label: Any
    id: int
    id2: int


IRHeader = HEADER  # the name of the class is the one that MXNet prints


def pack(header: Any, s: Payload) -> bytes:
    """A record: the header, and behind it the payload.

    Parameters
    ----------
    header : IRHeader, or any four values in its order; its flag is ignored
    s : bytes, bytearray, memoryview or uint8 array; usually an encoded image

    Returns
    -------
    24 bytes, the label as float32 numbers where it has several, and the payload

    Raises
    ------
    TypeError : the payload is text or not made of bytes.
    struct.error : id or id2 is not a whole number from 0 to 2**64 - 1.
    """
    _, label, number, second = header
    payload = as_bytes(s)
    if isinstance(label, numbers.Number):
        return b"".join([_FORMAT.pack(0, label, number, second), payload])
    if label is None:
        raise TypeError("the label must be a number or numbers, not None")
    vector = np.asarray(label, np.float32)
    head = _FORMAT.pack(vector.size, 0.0, number, second)
    return b"".join([head, vector.tobytes(), payload])


def unpack(s: Buffer) -> tuple[HEADER, Buffer]:
    """The header of a record, and its payload.

    Parameters
    ----------
    s : a record, as `pack` made it

    Returns
    -------
    header : IRHeader; its label is a float, or a read-only float32 array
    payload : what follows, of the type of `s`; a view where `s` is a memoryview or an array

    Raises
    ------
    struct.error : `s` is shorter than a header.
    ValueError : it is shorter than its label.
    """
    flag, label, number, second = _FORMAT.unpack_from(s)
    if not flag:
        return HEADER(flag, label, number, second), s[_FORMAT.size :]
    vector = np.frombuffer(s, np.float32, flag, _FORMAT.size)
    vector.flags.writeable = False
    return HEADER(flag, vector, number, second), s[_FORMAT.size + 4 * flag :]


def pack_img(header: Any, img: NDArray[Any], quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """A record that holds an image, encoded by OpenCV.

    Parameters
    ----------
    header : IRHeader
    img : uint8 (H, W), (H, W, 3) in BGR order, or, for PNG, (H, W, 4)
    quality : of a JPEG, 1 to 100; or compression of a PNG, 0 to 9 (more counts as 9)
    img_fmt : the format, by its file ending: ".jpg", ".png" or another that OpenCV knows

    Raises
    ------
    ArgumentError : there is no image, or it cannot be encoded so.
    """
    if img is None:
        raise ArgumentError("pack_img needs an image, not None; was the file read?")
    return pack(header, encode(img, quality, img_fmt))


def encode(img: NDArray[Any], quality: int, img_fmt: str) -> NDArray[np.uint8]:
    """Encode an image, as `pack_img` has it: uint8 (bytes,)."""
    import cv2

    ending = img_fmt.lower()
    options: list[int] = []
    if ending in JPEG:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    elif ending in PNG:
        options = [cv2.IMWRITE_PNG_COMPRESSION, min(quality, 9)]
    try:
        done, encoded = cv2.imencode(img_fmt, img, options)
    except cv2.error as error:
        raise ArgumentError(f"the image cannot be encoded as {img_fmt}: {error}") from error
    if not done:
        raise ArgumentError(f"the image cannot be encoded as {img_fmt}")
    return np.asarray(encoded, np.uint8).reshape(-1)


def unpack_img(s: Payload, iscolor: int = -1) -> tuple[HEADER, NDArray[Any] | None]:
    """The header of a record, and its image.

    Parameters
    ----------
    s : a record, as `pack_img` made it
    iscolor : -1: as stored, (H, W), (H, W, 3) in BGR order or (H, W, 4); 0: gray (H, W); 1: BGR (H,
        W, 3)

    Returns
    -------
    header : IRHeader
    image : uint8 array; None where the payload is not an image

    Raises
    ------
    ArgumentError : the payload is empty.
    """
    import cv2

    header, payload = unpack(as_bytes(s))
    if not len(payload):
        raise ArgumentError("the record holds no image: its payload is empty")
    return header, cv2.imdecode(np.frombuffer(payload, np.uint8), iscolor)
