"""Small arrays, packed for one transfer to a GPU."""

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.execution.packing import ALIGNMENT, check_array, send_packed

RECORD = np.dtype([("inside", np.int32, 4), ("fill", np.uint8, 4)])


@pytest.mark.gpu
def test_arrays_of_any_type_arrive_aligned_in_one_transfer():
    rng = np.random.default_rng(0)
    records = np.zeros((2, 3), RECORD)
    records["inside"], records["fill"] = rng.integers(0, 99, (2, 3, 4)), 7
    arrays = {
        "flip": np.array([True, False, True]),
        "gain": rng.random(3).astype(np.float32),
        "borders": records,
        "color": rng.random((3, 3, 7)),
        "one": np.array(5, np.int32),
    }
    sent = send_packed(arrays)
    assert len({array.data.mem.ptr for array in sent.values()}) == 1
    assert list(sent) == list(arrays)
    first = sent["flip"].data.ptr
    for name, values in arrays.items():
        assert sent[name].get().tobytes() == values.tobytes()
        assert (sent[name].data.ptr - first) % ALIGNMENT == 0


def test_nothing_is_sent_for_nothing():
    assert send_packed({}) == {}  # and so no GPU is needed


def test_arrays_of_another_shape_or_type_are_refused():
    given = np.zeros((4, 6), np.float32)[:, ::2]
    assert check_array(given, np.float32, (4, 3), "it").flags.c_contiguous
    with pytest.raises(ArgumentError, match=r"it must be float64 \(4, 3\), not float32 \(4, 3\)"):
        check_array(given, np.float64, (4, 3), "it")
    with pytest.raises(ArgumentError, match=r"it must be float32 \(4,\), not float32 \(4, 3\)"):
        check_array(given, np.float32, (4,), "it")
