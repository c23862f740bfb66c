"""Values as arrays."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.nd.conversion import as_dtype, check_stype, convert
from gpuio.nd.placement import plain


def test_values_are_copied_where_they_are(ctx: mx.Context) -> None:
    given = mx.nd.array([[1.5, 2], [3, 4]], ctx).T
    for source in (given, plain(given)):
        made = mx.nd.wrap(convert(source, np.dtype("int32")))
        assert made.context == ctx and made.flags.c_contiguous
        assert made.asnumpy().tolist() == [[1, 3], [2, 4]]
    listed = convert([given[0], given[1]], np.dtype("float64"))
    assert type(listed) is np.ndarray and listed.tolist() == [[1.5, 3], [2, 4]]


@pytest.mark.parametrize("wrong", [[[1, 2], [3]], ["text"], [1j]])
def test_what_is_no_numeric_array(wrong: object) -> None:
    with pytest.raises(ArgumentError, match="expected a rectangular numeric array, not this"):
        convert(wrong, np.dtype("float32"))


def test_dtypes_and_storage_types() -> None:
    assert as_dtype("uint8") == np.uint8
    with pytest.raises(ArgumentError, match="MXNet's are float32"):
        as_dtype("float33")
    assert [check_stype(each) for each in ("csr", "default")] == ["csr", "default"]
    with pytest.raises(UnsupportedError, match="row_sparse"):
        check_stype("row_sparse")
    with pytest.raises(ArgumentError, match="'csr' or 'default', not 'bsr'"):
        check_stype("bsr")
