"""Memory on a GPU stays what it is until all streams are done with it."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.in_flight import kept_count
from gpuio.nd.device_memory import Usage, as_stream, hand_over, share, usage_of
from tests.io.threads import run_in_thread

pytestmark = pytest.mark.gpu

SIZE = 1 << 18


def made(value: float, stream: Any, ctx: mx.Context | None = None) -> mx.nd.NDArray:
    """An array of one value with an owner, made on a stream."""
    import cupy

    with cupy.cuda.Device((ctx or mx.gpu(0)).device_id), stream:
        array = mx.nd.wrap(cupy.full(SIZE, value, np.float32))
        return share(array, stream.record())  # type: ignore[return-value]


@pytest.fixture
def streams() -> tuple[Any, Any]:
    """A stream that makes arrays, and one that uses them."""
    import cupy

    with cupy.cuda.Device(0):
        return tuple(cupy.cuda.Stream(non_blocking=True) for _ in range(2))  # type: ignore[return-value]


def add_up(array: Any) -> Any:
    """Queue work that reads an array 21 times, on the current stream, behind NDArray's back."""
    import cupy

    plain = array.view(type=cupy.ndarray)
    total = cupy.array(plain)
    for _ in range(20):
        total += plain
    return total


def overwrite(stream: Any) -> None:
    """Write to memory that the pool would give away."""
    for value in range(3):
        made(-1 - value, stream)


def test_a_shared_array_is_the_same_array(streams: tuple[Any, Any]) -> None:
    import cupy

    with cupy.cuda.Device(0), streams[0]:
        whole = mx.nd.wrap(cupy.arange(60, dtype=np.float32).reshape(5, 12))
        for array in (whole, whole[1:, ::-2], whole.T, whole[:0], mx.nd.wrap(cupy.array(3))):
            shared = share(array, None)
            assert type(shared) is type(array)
            assert shared.shape == array.shape
            assert shared.strides == array.strides or not array.size
            assert shared.data.ptr == array.data.ptr and shared.context == mx.gpu(0)
            np.testing.assert_array_equal(shared.asnumpy(), array.asnumpy())


def test_views_and_exports_have_the_same_owner(streams: tuple[Any, Any]) -> None:
    import cupy

    array = made(1, streams[0])
    hand_over(array)
    usage = usage_of(array)
    assert usage is not None and usage_of(cupy.zeros(3)) is None
    assert usage_of(np.zeros(3)) is None and usage_of(None) is None
    for view in (array[3:], array.reshape(2, -1), array.view(np.int32), mx.nd.wrap(array)):
        assert usage_of(view) is usage
    assert share(array[1:], None) is not None and usage_of(array[1:]) is usage


def test_a_stream_waits_for_the_work_that_makes_the_array(streams: tuple[Any, Any]) -> None:
    import cupy

    making, using = streams
    for number in range(5):
        array = made(number, making)
        with cupy.cuda.Device(0), using:
            hand_over(array)
            total = array * 2
        using.synchronize()
        assert (total.get() == 2 * number).all()


def test_the_result_of_a_comparison_stays_a_mask() -> None:
    values = mx.nd.array([1, 2, 3, 4], ctx="gpu")
    shared = share(values > 2, None)
    np.testing.assert_array_equal(values[shared].asnumpy(), [3, 4])


def test_memory_is_kept_for_the_work_that_makes_the_array(streams: tuple[Any, Any]) -> None:
    """Also if that is on another stream than the one for which the memory was allocated."""
    import cupy

    allocating, making = streams
    with cupy.cuda.Device(0):
        with allocating:
            array = cupy.empty(SIZE, np.float32)
        with making:
            making.wait_event(allocating.record())
            array.fill(3)
            shared = share(array, making.record())
        del array, shared  # nobody has ever used it
        overwrite(allocating)
        with allocating:
            again = cupy.full(SIZE, 5, np.float32)
            assert (again == 5).all()
    making.synchronize()
    mx.gpu(0).empty_cache()


def test_each_threads_default_stream_waits(streams: tuple[Any, Any]) -> None:
    """They have one handle."""
    import cupy

    making, _ = streams
    per_thread = cupy.cuda.Stream.ptds
    array = made(3, making)
    found: list[Any] = []

    def use() -> None:
        with cupy.cuda.Device(0), per_thread:
            found.append((array * 2).asnumpy())

    array.record_stream(per_thread)  # this thread's
    for _ in range(2):
        thread, raised = run_in_thread(use)
        thread.join()
        assert not raised, raised
    assert all((each == 6).all() for each in found)


def test_memory_is_kept_when_a_finalizer_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    mx.gpu(0).empty_cache()
    usage = Usage(0, None)
    monkeypatch.setattr(usage, "_events", interrupt)
    with pytest.raises(KeyboardInterrupt):
        usage.keep(mx.nd.ones(3, ctx="gpu"))
    assert kept_count(0) == 1
    mx.gpu(0).empty_cache()
    assert kept_count(0) == 0


def test_memory_is_kept_for_each_stream_that_it_was_handed_to(streams: tuple[Any, Any]) -> None:
    import cupy

    making, using = streams
    results = []
    for number in range(5):
        array = made(number, making)
        with cupy.cuda.Device(0), using:
            hand_over(array)
            results.append(add_up(array))
        del array  # on another stream
        overwrite(making)
    using.synchronize()
    for number, result in enumerate(results):
        assert (result.get() == 21 * number).all()


def test_memory_is_kept_for_the_stream_that_drops_it(streams: tuple[Any, Any]) -> None:
    import cupy

    making, using = streams
    with cupy.cuda.Device(0):
        array = made(3, making)
        hand_over(array)  # to the default stream
        using.wait_event(cupy.cuda.get_current_stream().record())
        with using:
            result = add_up(array)
            del array
            overwrite(making)
    using.synchronize()
    assert (result.get() == 63).all()


def test_a_recorded_stream_waits_and_keeps_the_memory(streams: tuple[Any, Any]) -> None:
    import cupy

    making, using = streams
    with cupy.cuda.Device(0):
        for stream in (using, using.ptr):
            array = made(4, making)
            array.record_stream(stream)
            with using:
                result = add_up(array)
            del array
            overwrite(making)
            using.synchronize()
            assert (result.get() == 84).all()


class Export:
    """An array for another library, whose stream is not CuPy's current one."""

    def __init__(self, array: Any, stream: int) -> None:
        self._array, self._stream = array, stream

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**{**options, "stream": self._stream})

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def test_an_export_is_complete_and_kept_for_the_stream_that_it_names(
    streams: tuple[Any, Any],
) -> None:
    import cupy

    making, using = streams
    results = []
    with cupy.cuda.Device(0):
        for number in range(4):
            imported = cupy.from_dlpack(Export(made(number, making), using.ptr))
            with using:
                results.append(add_up(imported))
            del imported
            overwrite(making)
    using.synchronize()
    for number, result in enumerate(results):
        assert (result.get() == 21 * number).all()


def test_an_export_to_no_stream_is_refused_by_cupy(streams: tuple[Any, Any]) -> None:
    """CUDA is not asked to wait on what is no stream: it would read at that address."""
    with pytest.raises(ValueError, match="valid stream"):
        made(1, streams[0]).__dlpack__(stream=-2)


def test_the_other_interface_is_complete_on_the_current_stream(streams: tuple[Any, Any]) -> None:
    import cupy

    making, using = streams
    array = made(6, making)
    with cupy.cuda.Device(0), using:
        imported = cupy.ndarray(array.shape, array.dtype, cupy.asarray(array).data)
        assert array.__cuda_array_interface__["stream"] == using.ptr
        result = imported * 2
    using.synchronize()
    assert (result.get() == 12).all()


def test_memory_is_reused_once_all_work_is_done(streams: tuple[Any, Any]) -> None:
    making, _ = streams
    mx.gpu(0).empty_cache()
    addresses = set()
    for number in range(50):
        addresses.add(made(number, making).data.ptr)  # type: ignore[attr-defined]
        making.synchronize()
    assert len(addresses) < 10
    mx.gpu(0).empty_cache()
    assert kept_count(0) == 0


def test_streams_of_other_libraries() -> None:
    import cupy

    class TorchStream:
        cuda_stream = 77

    class OtherStream:
        def __cuda_stream__(self) -> tuple[int, int]:
            return 0, 78

    with cupy.cuda.Device(0):
        own = cupy.cuda.Stream(non_blocking=True)
        assert as_stream(own) is own
        assert [as_stream(each).ptr for each in (TorchStream(), OtherStream(), 79)] == [77, 78, 79]
        with pytest.raises(TypeError, match="PyTorch or another library"):
            as_stream("stream")
