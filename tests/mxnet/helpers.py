"""What MXNet's test files import beside MXNet itself: mxnet.test_utils, common, and nose.

Written from what the tests need of them. `install` puts them into ``sys.modules``. Data sets are
not downloaded; `gpuio.tests.mxnet.datasets` makes stand-ins in the current folder.
"""

import functools
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import scipy.sparse

import gpuio as mx
from tests.mxnet import datasets

# MXNet's default tolerances (relative, absolute); integers and booleans must be equal.
TOLERANCES = {"float16": (1e-2, 1e-1), "float32": (1e-4, 1e-3), "float64": (1e-5, 1e-20)}


# mxnet.test_utils


def _tolerances(*arrays: np.ndarray) -> tuple[float, float]:
    found = [TOLERANCES.get(array.dtype.name, (0.0, 0.0)) for array in arrays]
    return max(each[0] for each in found), max(each[1] for each in found)


def as_numpy(array: Any) -> np.ndarray:
    """A copy of any array on the host."""
    return np.asarray(array.asnumpy() if hasattr(array, "asnumpy") else array)


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(as_numpy(a), as_numpy(b)))


def almost_equal(
    a: Any, b: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = False
) -> bool:
    rtol = 1e-5 if rtol is None else rtol
    atol = 1e-20 if atol is None else atol
    return bool(np.allclose(as_numpy(a), as_numpy(b), rtol, atol, equal_nan))


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    names: tuple[str, str] = ("a", "b"),
    equal_nan: bool = False,
) -> None:
    left, right = as_numpy(a), as_numpy(b)
    relative, absolute = _tolerances(left, right)
    np.testing.assert_allclose(
        left,
        right,
        relative if rtol is None else rtol,
        absolute if atol is None else atol,
        equal_nan=equal_nan,
        err_msg=" and ".join(names),
    )


def assert_exception(
    function: Callable[..., Any], expected: type[Exception], *args: Any, **kwargs: Any
) -> None:
    assertRaises(expected, function, *args, **kwargs)


def rand_shape_nd(ndim: int, dim: int = 10) -> tuple[int, ...]:
    return tuple(np.random.randint(1, dim + 1, size=ndim))


def rand_shape_2d(dim0: int = 10, dim1: int = 10) -> tuple[int, int]:
    return np.random.randint(1, dim0 + 1), np.random.randint(1, dim1 + 1)


def rand_shape_3d(dim0: int = 10, dim1: int = 10, dim2: int = 10) -> tuple[int, ...]:
    return tuple(np.random.randint(1, dim + 1) for dim in (dim0, dim1, dim2))


def random_arrays(*shapes: tuple[int, ...]) -> Any:
    """An array of normal numbers for each shape; a single shape gives the array itself."""
    arrays = [np.random.standard_normal(shape).astype(np.float32) for shape in shapes]
    return arrays[0] if len(arrays) == 1 else arrays


def random_sample(population: list[Any], k: int) -> list[Any]:
    return random.sample(list(population), k)


def rand_sparse_ndarray(
    shape: tuple[int, int], stype: str, density: float | None = None, dtype: Any = None
) -> tuple[Any, tuple[Any, Any, Any]]:
    if stype != "csr":
        raise NotImplementedError(f"gpuio has no {stype} arrays")
    density = np.random.rand() if density is None else density
    matrix = scipy.sparse.random(*shape, density, "csr", dtype or np.float32)
    array = mx.nd.sparse.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=shape)
    return array, (array.indptr, array.indices, array.data)


def np_reduce(
    data: np.ndarray, axis: Any, keepdims: bool, reduce: Callable[..., Any]
) -> np.ndarray:
    """Apply a NumPy reduction over `axis`: an integer, a tuple, or None for all."""
    axes = tuple(range(data.ndim)) if axis is None else tuple(np.atleast_1d(axis))
    return np.asarray(reduce(data, axis=axes, keepdims=keepdims))


@contextmanager
def environment(*args: Any) -> Iterator[None]:
    """Set environment variables inside the block: a name and a value, or a dictionary."""
    wanted = args[0] if len(args) == 1 else {args[0]: args[1]}
    before = {name: os.environ.get(name) for name in wanted}

    def apply(values: dict[str, str | None]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    apply(wanted)
    try:
        yield
    finally:
        apply(before)


def download(
    url: str, fname: str | None = None, dirname: str | None = None, overwrite: bool = False
) -> str:
    """Make the stand-in of the file that `url` names."""
    name = url.rpartition("/")[2]
    if name != "test_images.tar.gz":
        raise NotImplementedError(f"there is no stand-in for {name}")
    path = Path(dirname or ".") / (fname or name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if overwrite or not path.exists():
        datasets.test_images_archive(path)
    return str(path)


def get_mnist_ubyte() -> None:
    if not Path("data/train-images-idx3-ubyte").exists():
        datasets.mnist(Path("data"))


def get_cifar10() -> None:
    if not Path("data/cifar/train.rec").exists():
        datasets.cifar10(Path("data"))


def get_bz2_data(data_dir: str, data_name: str, url: str, origin_name: str) -> None:
    path = Path(data_dir, data_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        datasets.news20(path)


# common


def assertRaises(  # noqa: N802 (MXNet's name)
    expected: type[Exception], function: Callable[..., Any], *args: Any, **kwargs: Any
) -> None:
    try:
        function(*args, **kwargs)
    except expected:
        return
    raise AssertionError(f"did not raise {expected.__name__}")


def with_seed(seed: int | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a test: seeds for Python, NumPy and gpuio, the given one or a fixed one."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def seeded(*args: Any, **kwargs: Any) -> None:
            for set_seed in (random.seed, np.random.seed, mx.random.seed):
                set_seed(1234 if seed is None else seed)
            test(*args, **kwargs)
            mx.nd.waitall()

        return seeded

    return decorate


def setup_module() -> None:
    """Nothing to prepare: `with_seed` seeds each test."""


def teardown() -> None:
    mx.nd.waitall()


# nose.tools


def raises(*expected: type[Exception]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a test that must raise."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def checked(*args: Any, **kwargs: Any) -> None:
            try:
                test(*args, **kwargs)
            except expected:
                return
            raise AssertionError(f"did not raise any of {expected}")

        return checked

    return decorate


def ok_(value: object, message: str | None = None) -> None:
    assert value, message


def make_decorator(function: Callable[..., Any]) -> Callable[[Any], Any]:
    return functools.wraps(function)


class OldFile(h5py.File):
    """h5py.File with the mode that was the default when the tests were written."""

    def __init__(self, name: str, mode: str = "a", **kwargs: Any) -> None:
        super().__init__(name, mode, **kwargs)


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module
    return module


def install() -> None:
    """Make the modules importable, and give gpuio the attribute ``test_utils``."""
    own = globals()
    names = [
        "almost_equal",
        "assert_almost_equal",
        "assert_exception",
        "download",
        "environment",
        "get_bz2_data",
        "get_cifar10",
        "get_mnist_ubyte",
        "np_reduce",
        "rand_shape_2d",
        "rand_shape_3d",
        "rand_shape_nd",
        "rand_sparse_ndarray",
        "random_arrays",
        "random_sample",
        "same",
    ]
    # `from mxnet.test_utils import *` also gives the modules that it imports.
    modules = {"mx": mx, "np": np, "rnd": np.random, "os": os, "sys": sys, "random": random}
    utils = _module("mxnet.test_utils", **{name: own[name] for name in names}, **modules)
    utils.default_context = mx.current_context
    mx.test_utils = utils
    _module(
        "common",
        assertRaises=assertRaises,
        random_seed=None,
        setup_module=setup_module,
        teardown=teardown,
        with_seed=with_seed,
        TemporaryDirectory=tempfile.TemporaryDirectory,
    )
    tools = _module(
        "nose.tools",
        assert_raises=assertRaises,
        make_decorator=make_decorator,
        ok_=ok_,
        raises=raises,
    )
    _module("nose", tools=tools)
    h5py.File = OldFile
