"""The exceptions: what catches them."""

import struct

import pytest

import gpuio as mx
from gpuio import errors

EXPECTED = {
    "ArgumentError": ValueError,
    "UnsupportedError": NotImplementedError,
    "RecordError": RuntimeError,
    "RecordFileNotFoundError": FileNotFoundError,
    "IndexFormatError": ValueError,
    "RecordKeyError": KeyError,
    "HeaderValueError": struct.error,
    "ShortRecordError": struct.error,
    "ShortLabelError": ValueError,
    "FileChangedError": RuntimeError,
    "RemoteError": RuntimeError,
    "MissingPackageError": ImportError,
    "DataFileError": ValueError,
    "DataFileNotFoundError": FileNotFoundError,
    "DecodeError": ValueError,
    "ContextError": RuntimeError,
    "DeviceError": RuntimeError,
    "StateError": ValueError,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_is_an_mxnet_error_and_the_builtin_that_is_expected(name: str) -> None:
    kind = getattr(errors, name)
    for caught in (mx.MXNetError, EXPECTED[name], RuntimeError):
        with pytest.raises(caught, match="what is wrong"):
            raise kind("what is wrong")


def test_none_is_missing_here() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert classes == {*EXPECTED, "Error", "MXNetError"} and errors.MXNetError is errors.Error


def test_a_missing_file_is_also_a_damaged_one() -> None:
    assert issubclass(errors.RecordFileNotFoundError, errors.RecordError)
    for name in ("IndexFormatError", "RecordKeyError", "ShortRecordError", "ShortLabelError"):
        assert issubclass(getattr(errors, name), errors.RecordError)
    assert issubclass(errors.DataFileNotFoundError, errors.DataFileError)
