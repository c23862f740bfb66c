"""nvImageCodec's decoder for GPUs, over its CPU back end."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import numpy as np
from simulation import DEVICES, memory, streams

from nvidia_simulated.buffers import Buffer, DeviceArray, OwnPool

CPU_ONLY, CURRENT = -99999, -1  # NVIMGCODEC_DEVICE_CPU_ONLY and _CURRENT in nvimgcodec.h
LEGACY = 1

# What its GPU back ends decode.
GPU_FORMATS = ("jpeg", "jpeg2k", "tiff")


def replace(module: ModuleType) -> None:
    """Replace parts of ``nvidia.nvimgcodec``."""
    module.Decoder = _decoder_class(module)


class DeviceImage(DeviceArray):
    """See `nvidia.nvimgcodec.Image`.

    Parameters
    ----------
    image : the same on the CPU
    pool : memory of the decoder's stream
    """

    _version = 3

    def __init__(self, image: Any, pool: memory.Pool, cuda_stream: int, kind: Any) -> None:
        self._image = image
        buffer = Buffer(pool, np.array(image), "nvImageCodec")
        super().__init__(buffer, buffer.host, pool.queue.device_id)
        self.cuda_stream = cuda_stream
        self.buffer_kind = kind

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        return {**super().__cuda_array_interface__, "stream": self.cuda_stream or LEGACY}

    def __dlpack__(self, stream=None):  # type: ignore[no-untyped-def]
        return super().__dlpack__(stream)

    @property
    def device_id(self) -> int:
        return self._device_id

    def cpu(self) -> Any:
        streams.synchronize(self._buffer.filled)
        return self._image

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "ndim", "width", "height", "strides", "size", "num_channels",
                    "precision", "color_spec", "sample_format"):  # fmt: skip
            return getattr(self._image, name)
        raise AttributeError(f"the simulation's images have no {name}")


def _decoder_class(module: ModuleType) -> Any:
    """A class of decoders for simulated devices."""
    cpu_only = module.BackendKind.CPU_ONLY

    class Decoder(module.Decoder):  # type: ignore[misc, name-defined]
        """See `nvidia.nvimgcodec.Decoder`."""

        def __init__(
            self,
            device_id: int = CURRENT,
            max_num_cpu_threads: int = 0,
            backends: Any = None,
            options: str = "",
        ) -> None:
            self._lock = threading.Lock()
            self._pool: OwnPool | None = None
            self._on_cpu = backends is None
            if device_id != CPU_ONLY:
                device_id = _current_device() if device_id == CURRENT else device_id
                if not 0 <= device_id < DEVICES:
                    raise RuntimeError("Internal error - Could not create decoder. Code: 8")
                self._pool = OwnPool(device_id)
                self._on_cpu = not backends or any(
                    each.backend_kind == cpu_only for each in backends
                )
                backends = [module.Backend(cpu_only)]
            super().__init__(CPU_ONLY, max_num_cpu_threads, backends, options)

        @property
        def device_id(self) -> int:
            return super().device_id if self._pool is None else self._pool.queue.device_id

        def read(self, path: Any, **options: Any) -> Any:
            if self._pool is None:
                return super().read(path, **options)
            raise NotImplementedError("the simulation has decode only")

        def decode(self, src: Any, **options: Any) -> Any:
            if not self._lock.acquire(blocking=False):
                raise RuntimeError("two threads use a decoder at the same time; it allows only one")
            try:
                return self._decode(src, **options)
            finally:
                self._lock.release()

        def _decode(self, src: Any, *, cuda_stream: int = 0, **options: Any) -> Any:
            if self._pool is None:
                return super().decode(src, cuda_stream=cuda_stream, **options)
            if options.keys() & {"image", "images"}:
                raise NotImplementedError("the simulation decodes to new images only")
            queue = streams.find(cuda_stream, self.device_id)
            if queue.device_id != self.device_id:
                raise ValueError(f"the {queue} is not of the decoder's device, {self.device_id}")
            decoded = super().decode(src, **options)
            if isinstance(src, (list, tuple)):
                pairs = zip(src, decoded, strict=True)
                images = [self._on_device(*pair, cuda_stream) for pair in pairs]
            else:
                images = self._on_device(src, decoded, cuda_stream)
            streams.wait(queue, streams.record(self._pool.queue))
            return images

        def _on_device(self, source: Any, image: Any, cuda_stream: int) -> Any:
            if image is None:
                return None
            if not isinstance(source, module.CodeStream):  # what can be converted to one
                source = module.CodeStream(source)
            if not self._on_cpu and source.codec_name not in GPU_FORMATS:
                return None
            kind = module.ImageBufferKind.STRIDED_DEVICE
            try:
                return DeviceImage(image, self._pool, cuda_stream, kind)
            except memory.OutOfMemoryError:
                return None  # nvImageCodec does not say why

    return Decoder


def _current_device() -> int:
    from cupy.cuda import runtime

    return runtime.getDevice()
