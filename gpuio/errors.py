"""The exceptions that gpuio raises.

MXNet raised ``MXNetError``, a ``RuntimeError``, for nearly everything. ``Error`` takes its place,
and most classes below also derive from the built-in exception that Python programmers expect, so
that both ``except MXNetError`` and, say, ``except ValueError`` catch them.
"""

import struct


class Error(RuntimeError):
    """Base class of gpuio's own exceptions."""


class ArgumentError(Error, ValueError):
    """An argument has an invalid value."""


class UnsupportedError(Error, NotImplementedError):
    """An option of MXNet that gpuio does not support (yet)."""


class RecordError(Error):
    """A record file, an index or a record is damaged, or they do not match."""


class RecordFileNotFoundError(RecordError, FileNotFoundError):
    """A record file or an index does not exist."""


class IndexFormatError(RecordError, ValueError):
    """A line of an index is not a key, a tab and an offset."""


class RecordKeyError(RecordError, KeyError):
    """An index has no such key."""

    __str__ = RuntimeError.__str__  # KeyError's puts the message in quotes


class HeaderValueError(ArgumentError, struct.error):
    """A number does not fit into the header of an image record."""


class ShortRecordError(RecordError, struct.error):
    """A record is shorter than the header of an image record."""


class ShortLabelError(RecordError, ValueError):
    """A record is shorter than its header and label."""


class FileChangedError(Error):
    """A file was truncated or overwritten while it was read.

    Not a RecordError: no record is bad that could be left out.
    """


class RemoteError(Error):
    """A remote store refuses a request, does not answer, or answers wrongly.

    Not a RecordError: no record is bad that could be left out.
    """


class MissingPackageError(Error, ImportError):
    """A package that this kind of URL needs is not installed."""


# What a file's records are not to blame for: raised, whatever is done about bad records.
FILE_ERRORS = (FileChangedError, RemoteError, MissingPackageError)


class DataFileError(Error, ValueError):
    """A data file (CSV, LibSVM, MNIST, .params) is damaged, or its contents are not as expected."""


class DataFileNotFoundError(DataFileError, FileNotFoundError):
    """A data file (CSV, LibSVM, MNIST, .params) does not exist."""


class DecodeError(Error, ValueError):
    """An image cannot be decoded."""


class ContextError(Error):
    """A device is not available on this machine or in this installation."""


class DeviceError(Error):
    """A device, its driver or its memory failed while batches or images were made."""


class StateError(Error, ValueError):
    """A saved state does not match the iterator that should load it."""


MXNetError = Error
