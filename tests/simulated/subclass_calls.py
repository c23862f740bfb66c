"""Prints which overridden methods of a subclass CuPy, or its substitute, calls, and when it keeps
the subclass; run by `test_names.py` for one and the other.
"""

import json

import cupy
from cupy.cuda import MemoryPointer, UnownedMemory

calls = []


def overridden(name):
    method = getattr(cupy.ndarray, name)

    def call(self, *args, **options):
        shown = [type(each).__name__ if hasattr(each, "shape") else str(each) for each in args]
        calls.append([name, shown, options])
        return method(self, *args, **options)

    return call


class Subclass(cupy.ndarray):
    pass


for each in ("astype", "take", "copy", "squeeze", "sum", "max", "reshape", "transpose", "ravel"):
    setattr(Subclass, each, overridden(each))


def owned():
    """Memory at which the substitute finds an allocation, and which CuPy does not look at."""
    if "simulated" in cupy.__file__:
        return cupy.cuda.alloc(1 << 12).mem
    return UnownedMemory(1 << 20, 1 << 12, None, 0)


def array(shape, dtype="float32", kind=Subclass):
    return kind(shape, dtype, memptr=MemoryPointer(owned(), 0))


PLAIN = cupy.ndarray
CASES = {
    "copy of nothing": lambda: PLAIN.copy(array((0, 3)), "F"),
    "deepcopy of nothing": lambda: PLAIN.__deepcopy__(array((0, 3)), {}),
    "copy.copy of nothing": lambda: PLAIN.__copy__(array((0, 3))),
    "astype of nothing": lambda: PLAIN.astype(array((0, 3)), "int32"),
    "integer index": lambda: array((4, 3))[1],
    "slice": lambda: array((4, 3))[1:, None],
    "array index": lambda: array((4, 3))[array((2,), "int64", PLAIN)],
    "take": lambda: cupy.take(array((4, 3)), array((2,), "int64", PLAIN), 0),
    "T": lambda: array((4, 3)).T,
    "swapaxes": lambda: cupy.swapaxes(array((4, 3)), 0, 1),
    "moveaxis": lambda: cupy.moveaxis(array((4, 3)), 0, 1),
    "transpose": lambda: cupy.transpose(array((4, 3))),
    "reshape": lambda: cupy.reshape(array((4, 3)), (3, 4)),
    "ravel": lambda: cupy.ravel(array((4, 3))),
    "squeeze": lambda: cupy.squeeze(array((1, 3))),
    "expand_dims": lambda: cupy.expand_dims(array((4, 3)), 0),
    "flip": lambda: cupy.flip(array((4, 3)), 0),
    "broadcast_to": lambda: cupy.broadcast_to(array((4, 3)), (2, 4, 3)),
    "split": lambda: cupy.split(array((4, 3)), 2)[0],
    "diagonal": lambda: PLAIN.diagonal(array((4, 3))),
    "real": lambda: array((4, 3)).real,
    "view": lambda: array((4, 3)).view(),
    "view of a dtype": lambda: array((4, 3)).view("int32"),
    "view of a class": lambda: array((4, 3)).view(type=PLAIN),
    "ascontiguousarray": lambda: cupy.ascontiguousarray(array((4, 3))),
    "sum": lambda: cupy.sum(array((4, 3)), 0),
    "max": lambda: cupy.max(array((4, 3)), 0),
    "clip": lambda: cupy.clip(array((4, 3)), 0, 1),
    "iteration": lambda: next(iter(array((4, 3)))),
}


def outcome(case):
    """The class of a case's result, and the calls; what needs a device shows only its first calls,
    which the substitute must not be held to.
    """
    calls.clear()
    try:
        result = case()
    except RuntimeError as error:
        if "driver" not in str(error):
            raise
        return "needs a device"
    return [type(result).__name__, list(calls)]


if __name__ == "__main__":
    print(json.dumps({name: outcome(case) for name, case in CASES.items()}))
