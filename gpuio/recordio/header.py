"""The header of an image record, and its payload: IRHeader, pack and unpack."""

from __future__ import annotations

import numbers
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, HeaderValueError, ShortLabelError, ShortRecordError
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
    flag : 0 if the label is a single number, else the length of the label; set by `pack`
    label : a number, or float32 (flag,)
    id : number of the image, 0 to 2**64 - 1
    id2 : second number, usually 0
    """

    flag: int
    label: Any
    id: int
    id2: int


IRHeader = HEADER  # the class has the name that MXNet prints


def pack(header: Iterable[Any], s: Payload) -> bytes:
    """Pack a header and a payload into a record.

    Parameters
    ----------
    header : IRHeader, or four values in its order; the flag is ignored
    s : bytes, bytearray, memoryview or uint8 array; usually an encoded image

    Returns
    -------
    24 bytes of header; unless the label is a single number, its float32 values; the payload

    Raises
    ------
    TypeError : the payload is not bytes-like, or the label is None.
    HeaderValueError : (also a struct.error) id or id2 is not an integer from 0 to 2**64 - 1, or the
        label is not a number, numbers, or one that float32 can hold.
    """
    _, label, number, second = header
    payload = as_bytes(s)
    if isinstance(label, numbers.Number):
        return b"".join([_pack_header(0, label, number, second), payload])
    if label is None:
        raise TypeError("the label must be a number or a sequence of numbers, not None")
    try:
        vector = np.asarray(label, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise HeaderValueError(
            f"the label must be a number or a sequence of numbers, not {label!r}: {error}"
        ) from error
    head = _pack_header(vector.size, 0.0, number, second)
    return b"".join([head, vector.tobytes(), payload])


def _pack_header(flag: int, label: Any, number: Any, second: Any) -> bytes:
    """The bytes of a header.

    Raises
    ------
    HeaderValueError : a value does not fit.
    """
    try:
        return _FORMAT.pack(flag, label, number, second)
    except (struct.error, OverflowError) as error:
        raise HeaderValueError(
            "a record's id and id2 are integers from 0 to 2**64 - 1, and its label is a float32, "
            f"not {number!r}, {second!r} and {label!r}: {error}"
        ) from error


def unpack(s: Buffer) -> tuple[HEADER, Buffer]:
    """Split a record into its header and its payload.

    Parameters
    ----------
    s : a record, as made by `pack`

    Returns
    -------
    header : IRHeader; its label is a float, or a read-only float32 array
    payload : of the type of `s`; a view if `s` is a memoryview or an array

    Raises
    ------
    ShortRecordError : (also a struct.error) `s` is shorter than a header.
    ShortLabelError : (also a ValueError) `s` is shorter than its header and label.
    """
    try:
        flag, label, number, second = _FORMAT.unpack_from(s)
    except struct.error as error:
        raise ShortRecordError(
            f"the record has {len(s)} bytes, too few for an image record's header of "
            f"{HEADER_BYTES}, which 'pack' writes"
        ) from error
    if not flag:
        return HEADER(flag, label, number, second), s[_FORMAT.size :]
    if len(s) < _FORMAT.size + 4 * flag:
        raise ShortLabelError(
            f"the record has {len(s)} bytes, too few for an image record's header and label of "
            f"{flag} numbers, which take {_FORMAT.size + 4 * flag}; it is damaged, or no image "
            "record"
        )
    vector = np.frombuffer(s, np.float32, flag, _FORMAT.size)
    vector.flags.writeable = False
    return HEADER(flag, vector, number, second), s[_FORMAT.size + 4 * flag :]


def is_face_header(header: HEADER, image: NDArray[np.uint8]) -> bool:
    """Whether a file's first record is the header of a face dataset: it has no image, and its
    label is the key of the first identity record and the key after the last.
    """
    if header.flag != 2 or len(image):
        return False
    first, end = np.asarray(header.label, float).tolist()
    return bool(first % 1 == 0 and end % 1 == 0 and 1 <= first <= end)


def pack_img(
    header: Iterable[Any], img: NDArray[Any], quality: int = 95, img_fmt: str = ".jpg"
) -> bytes:
    """Encode an image by OpenCV and pack it into a record.

    Parameters
    ----------
    header : IRHeader
    img : uint8 (H, W), (H, W, 3) in BGR order, or, for PNG, (H, W, 4)
    quality : JPEG quality, 1 to 100, or PNG compression level, 0 to 9 (larger values count as 9)
    img_fmt : file extension of the format: ".jpg", ".png" or another that OpenCV supports

    Raises
    ------
    ArgumentError : `img` is None or cannot be encoded.
    """
    if img is None:
        raise ArgumentError("pack_img needs an image, not None; check that the file was read")
    return pack(header, encode(img, quality, img_fmt))


def encode(img: NDArray[Any], quality: int, img_fmt: str) -> NDArray[np.uint8]:
    """Encode an image: uint8 (bytes,). Parameters and errors as for `pack_img`."""
    import cv2

    if not isinstance(img_fmt, str):
        raise ArgumentError(f"img_fmt must be a file extension such as '.jpg', not {img_fmt!r}")
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
    """Split a record into its header and its decoded image.

    Parameters
    ----------
    s : a record, as made by `pack_img`
    iscolor : -1: as stored, (H, W), (H, W, 3) in BGR order or (H, W, 4); 0: gray (H, W);
        1: BGR (H, W, 3)

    Returns
    -------
    header : IRHeader
    image : uint8; None if the payload is not an image

    Raises
    ------
    ArgumentError : the payload is empty.
    DecodeError : the image is over a limit, see `gpuio.image.imdecode`.
    ShortRecordError, ShortLabelError : see `unpack`.
    """
    import cv2

    from gpuio.decoding.limits import check_encoded, resolve_max_pixels

    header, payload = unpack(as_bytes(s))
    if not len(payload):
        raise ArgumentError("the record contains no image: its payload is empty")
    data = np.frombuffer(payload, np.uint8)
    if not check_encoded(data, resolve_max_pixels()):
        return header, None
    try:
        return header, cv2.imdecode(data, iscolor)
    except cv2.error:  # of a width of 0, for example
        return header, None
