"""cupy.cuda.Device."""

import threading

from cupy.cuda import runtime

_thread = threading.local()


class Device:
    def __init__(self, device=None):
        self.id = runtime.getDevice() if device is None else int(device)

    def __int__(self):
        return self.id

    def __enter__(self):
        previous = runtime.getDevice()
        if self.id != previous:
            runtime.setDevice(self.id)
        _thread.__dict__.setdefault("entered", []).append(previous)
        return self

    def __exit__(self, *args):
        runtime.setDevice(_thread.entered.pop())

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def use(self):
        runtime.setDevice(self.id)
        return self

    def synchronize(self):
        with self:
            runtime.deviceSynchronize()

    @property
    def compute_capability(self):
        return "90"

    @property
    def mem_info(self):
        with self:
            return runtime.memGetInfo()


def get_device_id():
    return runtime.getDevice()
