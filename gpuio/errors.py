"""The exceptions gpuio raises.

MXNet raised ``MXNetError``, a ``RuntimeError``, for nearly everything. ``Error`` stands for it
here, and each kind below also derives from the built-in exception that Python programmers expect in
its place, so that both ``except MXNetError`` and, say, ``except ValueError`` catch it.
"""


class Error(RuntimeError):
    """Base of all errors that gpuio raises on its own account."""


class ArgumentError(Error, ValueError):
    """An argument has a value that the call cannot work with."""


class UnsupportedError(Error, NotImplementedError):
    """An option of MXNet that gpuio knows but does not offer (yet)."""


class RecordError(Error):
    """A record file, an index or a record is damaged, or they do not belong together."""


class RecordFileNotFoundError(RecordError, FileNotFoundError):
    """A record file or an index does not exist."""


class IndexFormatError(RecordError, ValueError):
    """A line of an index is not a key, a tab and an offset."""


class DataFileError(Error, ValueError):
    """A file of numbers (CSV, LibSVM, MNIST) is damaged, or does not hold what it should."""


class DataFileNotFoundError(DataFileError, FileNotFoundError):
    """A file of numbers does not exist."""


class DecodeError(Error, ValueError):
    """A record's payload is not an image that can be decoded."""


class ContextError(Error):
    """A device was asked for that this machine or this installation does not have."""


class StateError(Error, ValueError):
    """A saved iterator state does not fit the iterator that should load it."""


MXNetError = Error
