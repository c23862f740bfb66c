"""The substitute for DALI on a GPU: what it computes, refuses, and finds out."""

import inspect
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.simulated import simulation_only  # noqa: F401

# isort: split

import cupy
from nvidia import dali
from nvidia.dali import Pipeline, fn, types
from nvidia_simulated import tensors
from simulation import accesses, memory

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("hostile")]

SIZE, BATCH = (6, 8), 3


def jpegs(batch):
    """The images of a batch, each of one color."""
    return [
        np.frombuffer(
            cv2.imencode(".jpg", np.full((20 + place, 30, 3), 10 * batch + place, np.uint8))[1],
            np.uint8,
        )
        for place in range(BATCH)
    ]


def images(device_id, *, bad=(), depth=2, **options):
    """A pipeline of resized images, all of a batch in one tensor; the batches named `bad` fail."""
    count = 0

    def source():
        nonlocal count
        count += 1
        return [each[:40] if count in bad else each for each in jpegs(count)]

    pipe = Pipeline(BATCH, 1, device_id, prefetch_queue_depth=depth)
    with pipe:
        encoded = fn.external_source(
            source=source, batch=True, no_copy=True, ndim=1, dtype=types.UINT8
        )
        device = "cpu" if device_id is None else "mixed"
        decoded = fn.decoders.image(encoded, device=device, **options)
        pipe.set_outputs(fn.resize(decoded, size=SIZE), encoded.shape())
    pipe.build()
    return pipe


def batches(pipe, stream=None):
    """Endless outputs of a pipeline."""
    while True:
        pipe.schedule_run()
        yield pipe.share_outputs(stream)
        pipe.release_outputs()


@pytest.mark.parametrize("device_id", [0, 1])
def test_results_are_those_of_cpu_operators(device_id):
    host, device = batches(images(None)), batches(images(device_id, hw_decoder_load=0.5))
    for _ in range(5):
        (expected, sizes), (found, same_sizes) = next(host), next(device)
        tensor = found.as_tensor()
        assert tensor.__dlpack_device__() == (2, device_id) and tensor.layout() == "NHWC"
        assert found.shape() == expected.shape() and found.dtype == types.UINT8
        with cupy.cuda.Device(device_id):
            pixels = cupy.from_dlpack(tensor).get()
        np.testing.assert_array_equal(pixels, np.asarray(expected.as_tensor()))
        np.testing.assert_array_equal(cupy.asarray(found[1]).get(), np.asarray(expected[1]))
        # What stays on the CPU in the graph is DALI's own.
        np.testing.assert_array_equal(same_sizes.as_tensor(), sizes.as_tensor())


def test_samples_of_several_sizes():
    pipe = Pipeline(BATCH, 1, 0)
    with pipe:
        encoded = fn.external_source(source=lambda: jpegs(1), dtype=types.UINT8)
        pipe.set_outputs(fn.decoders.image(encoded, device="mixed"))
    (output,) = pipe.run()
    assert not output.is_dense_tensor()
    assert [output[place].shape() for place in (0, 1, -1)] == [
        [size, 30, 3] for size in (20, 21, 22)
    ]
    assert int(cupy.asarray(output[2])[5, 5, 0]) == 12
    with pytest.raises(RuntimeError, match="same shape"):
        output.as_tensor()


def test_outputs_that_are_kept_as_documented_are_right(stream):
    """As in the documentation of DALI's asynchronous outputs: kept until the reading is done."""
    in_flight, results = [], []
    outputs = batches(images(0), stream)
    for _ in range(5):
        output = next(outputs)[0]
        with stream:
            results.append(cupy.from_dlpack(output.as_tensor()) + 1)
            in_flight.append((stream.record(), output))
        while len(in_flight) > 2:
            in_flight[0][0].synchronize()
            del in_flight[0]
    stream.synchronize()
    found = [int(each[1, 2, 2, 0]) for each in results]
    assert found == [10 * batch + 2 for batch in range(1, 6)]
    assert not accesses.take_reports()


def test_an_output_that_goes_before_it_is_read(stream):
    outputs = batches(images(0), stream)
    with stream:
        later = cupy.from_dlpack(next(outputs)[0].as_tensor()) + 1
    for _ in range(3):
        next(outputs)[0].as_cpu()
    stream.synchronize()
    assert (later.get() != 12).all()
    (report, *_) = accesses.take_reports()
    assert re.match("the pool, taking back memory .*, or will", report)


def test_a_stream_that_does_not_wait(stream):
    other = cupy.cuda.Stream(non_blocking=True)
    output = next(batches(images(0), stream))[0]
    with other:
        early = cupy.asarray(output.as_tensor()) + 1  # this interface does not synchronize
        other.synchronize()
    assert (early.get()[0] != 11).any()
    report = accesses.take_reports()[-1]
    assert "DALI's graph" in report and "neither stream nor the host waits" in report
    with other:
        ordered = cupy.from_dlpack(output.as_tensor()) + 1  # and this one does
        other.synchronize()
    assert (ordered.get()[0] == 11).all() and not accesses.take_reports()
    del ordered
    stream.synchronize()


def test_outputs_without_a_stream_are_ready_for_all(stream):
    output = next(batches(images(0)))[0]
    with stream:
        found = cupy.asarray(output.as_tensor()) + 0
        stream.synchronize()
    assert (found.get()[0] == 10).all() and not accesses.take_reports()


def test_a_bad_sample_fails_its_batch_where_it_is_collected(stream):
    outputs = images(0, bad=(2,), depth=1)
    for batch in range(1, 5):
        outputs.schedule_run()
        if batch == 2:
            with pytest.raises(RuntimeError, match="Critical error in pipeline"):
                outputs.share_outputs(stream)
        else:
            output = outputs.share_outputs(stream)[0]
            with cupy.cuda.Device(0), stream:
                assert (cupy.from_dlpack(output.as_tensor()).get()[0] == 10 * batch).all()


def test_a_device_that_is_full(stream, monkeypatch):
    pipe = images(0, depth=1)
    for full in (True, False):
        pipe.schedule_run()
        with monkeypatch.context() as patch:
            if full:
                patch.setattr(memory, "CAPACITY", memory.used(0))
                with pytest.raises(RuntimeError, match="CUDA allocation failed"):
                    pipe.share_outputs(stream)
            else:
                assert int(cupy.asarray(pipe.share_outputs()[0][0])[0, 0, 0]) == 20


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hw_decoder_load": 1.5}, ValueError, "hw_decoder_load must be from 0 to 1"),
        ({"hw_decoder_lod": 0.5}, KeyError, "hw_decoder_lod"),
        ({"output_type": "RGB"}, ValueError, "invalid literal"),
    ],
)
def test_arguments_are_checked_as_by_dali(options, error, message):
    with pytest.raises(error, match=message):
        images(0, **options)


def test_placement_is_checked_by_dali():
    with Pipeline(BATCH, 1, 0):
        encoded = fn.external_source(source=lambda: jpegs(1), dtype=types.UINT8)
        decoded = fn.decoders.image(encoded, device="mixed")
        assert decoded.device == fn.resize(decoded, size=SIZE).device == "gpu"
        with pytest.raises(ValueError, match="must be on CPU"):
            fn.resize(decoded, size=fn.cast(decoded, dtype=types.FLOAT))


@pytest.mark.parametrize(
    ("operator", "device"), [(fn.decoders.image, "gpu"), (fn.jitter, "gpu"), (fn.flip, "mixed")]
)
def test_operators_that_a_device_does_not_have(operator, device):
    """Also those that only GPUs have: they cannot be simulated."""
    pipe = Pipeline(BATCH, 1, 0)
    with pipe:
        encoded = fn.external_source(source=lambda: jpegs(1), dtype=types.UINT8)
        pipe.set_outputs(operator(encoded if device == "mixed" else encoded.gpu(), device=device))
    with pytest.raises(RuntimeError, match="there is no operator"):
        pipe.build()


def test_a_device_that_is_not_there():
    with pytest.raises(RuntimeError, match="invalid device ordinal 2"):
        images(2)


def test_streams_of_other_devices():
    pipe = images(1)
    pipe.schedule_run()
    with pytest.raises(ValueError, match="of device 0 is not of the pipeline's device, 1"):
        pipe.share_outputs(cupy.cuda.Stream(non_blocking=True))


def parameters(function):
    """The names that the signature in a docstring gives to parameters."""
    return re.findall(r"(\w+): ", function.__doc__.split(" ->")[0])


@pytest.mark.parametrize("name", ["TensorGPU", "TensorListGPU"])
def test_names_and_parameters_are_dalis(name):
    real, ours = getattr(dali.backend, name), getattr(tensors, name)
    special = {
        "__cuda_array_interface__",
        "__dlpack__",
        "__dlpack_device__",
        "__getitem__",
        "__len__",
    }
    assert special & set(dir(ours)) == special & set(dir(real))
    for each in dir(ours):
        if each.startswith("_") and each not in special:
            continue
        assert hasattr(real, each), each
        method = getattr(ours, each)
        if callable(method):
            documented = parameters(getattr(real, each))
            given = list(inspect.signature(method).parameters)
            assert len(given) == len(documented), each
            assert [name for name in documented if name not in given] in ([], ["arg0"]), each


def test_child_processes_are_simulated_too():
    code = "from nvidia.dali import backend; print(backend.Pipeline.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "nvidia_simulated.dali"
