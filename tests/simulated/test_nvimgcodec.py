"""The substitute for nvImageCodec on a GPU: what it computes, refuses, and finds out."""

import inspect
import re
import threading

import cv2
import numpy as np
import pytest

from tests.simulated import simulation_only  # noqa: F401

# isort: split

import cupy
from nvidia import nvimgcodec
from nvidia_simulated.nvimgcodec import CPU_ONLY, DeviceImage
from simulation import accesses, memory

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("hostile")]

KINDS = nvimgcodec.BackendKind


def decoder(device_id=0, *kinds):
    backends = [nvimgcodec.Backend(kind) for kind in kinds or (KINDS.GPU_ONLY,)]
    return nvimgcodec.Decoder(device_id, max_num_cpu_threads=1, backends=backends)


def encoded(value, suffix=".jpg"):
    return cv2.imencode(suffix, np.full((8, 9 + value, 3), value, np.uint8))[1].tobytes()


def code(value, suffix=".jpg"):
    return nvimgcodec.CodeStream(encoded(value, suffix))


@pytest.mark.parametrize("device_id", [0, 1])
def test_results_are_those_of_the_cpu(device_id):
    host = decoder(CPU_ONLY, KINDS.CPU_ONLY)
    device = decoder(device_id, KINDS.HW_GPU_ONLY, KINDS.GPU_ONLY, KINDS.HYBRID_CPU_GPU)
    assert device.device_id == device_id and host.device_id == CPU_ONLY
    sources = [code(value) for value in (10, 20, 30)]
    with cupy.cuda.Device(device_id):
        for source, image in zip(sources, device.decode(sources), strict=True):
            expected = host.decode(source)
            assert image.device_id == device_id and image.cpu().shape == expected.shape
            for found in (cupy.asarray(image), cupy.from_dlpack(image)):
                assert found.device.id == device_id
                np.testing.assert_array_equal(found.get(), np.asarray(expected))
        assert image.shape == (8, 39, 3) and image.dtype == np.uint8 and image.width == 39


def test_what_gpus_do_not_decode_and_what_is_damaged():
    damaged = nvimgcodec.CodeStream(np.frombuffer(b"\xff\xd8\xff\xd9" * 9, np.uint8))
    found = decoder().decode([code(10), code(20, ".png"), damaged])
    assert [each is None for each in found] == [False, True, True]
    assert decoder(0, KINDS.GPU_ONLY, KINDS.CPU_ONLY).decode(code(20, ".png")) is not None


def test_sources_that_are_bytes():
    codec = decoder()
    assert cupy.asarray(codec.decode(encoded(10)))[0, 0, 0] == 10
    assert [cupy.asarray(each)[0, 0, 0] for each in codec.decode([encoded(20), code(30)])] == [
        20, 30,
    ]  # fmt: skip


def test_images_are_ready_for_the_stream_that_is_named(stream):
    image = decoder().decode(code(50), cuda_stream=stream.ptr)
    with stream:
        found = cupy.asarray(image) + 1
        stream.synchronize()
        assert (found.get() == 51).all()
    assert not accesses.take_reports()


def test_an_image_that_goes_before_it_is_read(stream):
    codec = decoder()
    with stream:
        later = cupy.asarray(codec.decode(code(50), cuda_stream=stream.ptr)) + 1
    codec.decode(code(60)).cpu()
    stream.synchronize()
    assert (later.get() != 51).all()
    (report, *_) = accesses.take_reports()
    assert report.startswith("the pool, taking back memory")


def test_a_stream_that_does_not_wait(stream):
    other = cupy.cuda.Stream(non_blocking=True)
    image = decoder().decode(code(50), cuda_stream=stream.ptr)
    with other:
        cupy.from_dlpack(image)  # waits for nvImageCodec
    with cupy.cuda.Stream(non_blocking=True) as third:
        source = dict(image.__cuda_array_interface__)
        del source["stream"]
        early = cupy.asarray(type("Unordered", (), {"__cuda_array_interface__": source})()) + 1
        third.synchronize()
    assert (early.get() != 51).any()
    assert "nvImageCodec" in accesses.take_reports()[-1]
    other.synchronize()
    stream.synchronize()


def test_a_device_that_is_full(monkeypatch):
    monkeypatch.setattr(memory, "CAPACITY", memory.used(0))
    assert decoder().decode([code(10)]) == [None]
    assert decoder(CPU_ONLY, KINDS.CPU_ONLY).decode(code(10)) is not None


def test_one_thread_at_a_time(monkeypatch):
    codec = decoder()
    errors = []

    def decode_meanwhile(*_):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()

    def attempt():
        try:
            codec.decode(code(10))
        except RuntimeError as error:
            errors.append(str(error))

    monkeypatch.setattr(codec, "_decode", decode_meanwhile)
    codec.decode(code(20))
    assert len(errors) == 1 and "at the same time" in errors[0]


def test_arguments_are_checked(stream):
    with pytest.raises(TypeError, match="unexpected keyword argument 'backend'"):
        nvimgcodec.Decoder(0, backend=[])
    with pytest.raises(RuntimeError, match="Could not create decoder"):
        decoder(2)
    codec = decoder(1)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        codec.decode(code(10), stream=stream.ptr)
    with pytest.raises(ValueError, match="is not of the decoder's device, 1"):
        codec.decode(code(10), cuda_stream=stream.ptr)


def test_names_and_parameters_are_nvimagecodecs():
    real = nvimgcodec.Decoder.__mro__[1]
    documented = re.findall(r"(\w+): [^,]* = ", real.__init__.__doc__.split("->")[0])
    given = list(inspect.signature(nvimgcodec.Decoder.__init__).parameters)
    assert given == ["self", *documented]
    public = {each for each in dir(DeviceImage) if not each.startswith("_")}
    assert public <= set(dir(nvimgcodec.Image))
    added = {each for each in dir(nvimgcodec.Decoder) if not each.startswith("_")}
    assert added == {each for each in dir(real) if not each.startswith("_")}
