"""One iterator of each kind whose batches are on a GPU, or on the host with the same values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

import gpuio as mx
from gpuio.context import device_of, get_array_module, on_device
from tests.io.golden import DATA
from tests.io.records import jpeg, write_records

ROWS, BATCH = 24, 4
TABLE = np.arange(ROWS * 500, dtype=np.float32).reshape(ROWS, 500)
SPARSE = scipy.sparse.random_array(
    (ROWS, 500), density=0.3, format="csr", dtype=np.float32, rng=np.random.default_rng(0)
)

Make = Callable[[mx.Context, Path], Any]


class OnHost(mx.io.IndexedIter):
    """Rows that are loaded to the host."""

    def load(self, rows: np.ndarray) -> Any:
        return {"dense": TABLE[rows], "sparse": scipy.sparse.csr_matrix(SPARSE[rows])}, rows


class OnDevice(mx.io.IndexedIter):
    """Rows that are loaded to the iterator's device, in the thread that prefetches."""

    def __init__(self, ctx: mx.Context, batches_on: mx.Context | None = None) -> None:
        self.device = ctx
        super().__init__(ROWS, BATCH, ctx=batches_on or ctx, prefetch_buffer=2)

    def load(self, rows: np.ndarray) -> Any:
        return mx.nd.array(TABLE[rows], self.device) * 2, mx.nd.array(rows, self.device)


class Users(mx.io.DataIter):
    """A user's own iterator, which computes its batches in whatever way."""

    def __init__(self, ctx: mx.Context) -> None:
        super().__init__(BATCH)
        self.provide_data = [mx.io.DataDesc("data", (BATCH, 500))]
        self.provide_label = [mx.io.DataDesc("label", (BATCH,))]
        self._ctx, self._row = ctx, 0

    def next(self) -> mx.io.DataBatch:
        if self._row == ROWS:
            raise StopIteration
        rows, self._row = slice(self._row, self._row + BATCH), self._row + BATCH
        xp = np if self._ctx.device_type == "cpu" else get_array_module(mx.nd.ones(1, self._ctx))
        with on_device(self._ctx):
            values = xp.asarray(TABLE[rows])
            for _ in range(5):
                values = values + 1
            return mx.io.DataBatch([values], [xp.asarray(TABLE[rows, 0])], 0)

    def reset(self) -> None:
        self._row = 0


def _lines(path: Path, name: str, rows: list[str]) -> Path:
    (path / name).write_text("\n".join(rows) + "\n")
    return path / name


def _csv(ctx: mx.Context, path: Path) -> Any:
    rows = [",".join(str(value) for value in row) for row in TABLE[:, :50].tolist()]
    file = _lines(path, "rows.csv", rows)
    return mx.io.CSVIter(data_csv=file, data_shape=(50,), batch_size=BATCH, ctx=ctx)


def _libsvm(ctx: mx.Context, path: Path) -> Any:
    rows = [f"{row} {row}:{row}.5 {row + 3}:2" for row in range(ROWS)]
    file = _lines(path, "rows.libsvm", rows)
    return mx.io.LibSVMIter(data_libsvm=file, data_shape=(40,), batch_size=BATCH, ctx=ctx)


def _mnist(ctx: mx.Context, path: Path) -> Any:
    files = {"image": DATA / "mnist-images", "label": DATA / "mnist-labels"}
    return mx.io.MNISTIter(**files, batch_size=2, silent=True, ctx=ctx)


def _sentences(ctx: mx.Context, path: Path) -> Any:
    sentences = [[row + place for place in range(200)] for row in range(ROWS)]
    return mx.rnn.BucketSentenceIter(sentences, BATCH, [200], seed=3, ctx=ctx)


def _images(ctx: mx.Context, path: Path, **options: Any) -> Any:
    files = {"path_imgrec": path / "images.rec", "path_imgidx": path / "images.idx"}
    if not files["path_imgrec"].exists():  # another iterator may be reading it
        write_records(path / "images", [jpeg(number) for number in range(ROWS)])
    values = {"data_shape": (3, 40, 40), "batch_size": BATCH, "preprocess_threads": 2}
    return mx.io.ImageRecordIter(**files, **{**values, "ctx": ctx, **options})


def _files(ctx: mx.Context, path: Path, **options: Any) -> Any:
    lines = []
    for number in range(ROWS):
        (path / f"{number}.jpg").write_bytes(jpeg(number))
        lines.append(f"{number}\t{number}\t{number}.jpg")
    return mx.image.ImageIter(
        BATCH, (3, 40, 40), path_imglist=_lines(path, "x.lst", lines), path_root=path, ctx=ctx,
        **options,
    )  # fmt: skip


def _gluon(ctx: mx.Context, workers: int) -> Any:
    rows = mx.nd.array(TABLE, ctx)
    labels = mx.nd.array(TABLE[:, :3], ctx)
    rows.wait_to_read()
    samples = mx.gluon.data.ArrayDataset(rows, labels)
    return mx.gluon.data.DataLoader(samples, BATCH, num_workers=workers)


class Loop(mx.io.DataIter):
    """A DataLoader as an iterator, which it is not."""

    def __init__(self, loader: Any) -> None:
        super().__init__(BATCH)
        self._loader = loader
        self.reset()

    def next(self) -> mx.io.DataBatch:
        data, label = next(self._batches)
        return mx.io.DataBatch([data], [label])

    def reset(self) -> None:
        self._batches = iter(self._loader)


KINDS: dict[str, Make] = {
    "NDArrayIter": lambda ctx, _: mx.io.NDArrayIter(TABLE, TABLE[:, 0], BATCH, ctx=ctx),
    "NDArrayIter, shuffled": lambda ctx, _: mx.io.NDArrayIter(
        {"a": TABLE, "b": -TABLE}, None, BATCH, shuffle=True, seed=1, ctx=ctx
    ),
    "NDArrayIter, copied": lambda ctx, _: mx.io.NDArrayIter(
        TABLE, TABLE[:, 0], BATCH, ctx=ctx, device_memory=0
    ),
    "NDArrayIter, views": lambda ctx, _: mx.io.NDArrayIter(TABLE, None, BATCH, ctx=ctx, copy=False),
    "NDArrayIter, sparse": lambda ctx, _: mx.io.NDArrayIter(
        scipy.sparse.csr_matrix(SPARSE), None, BATCH, ctx=ctx
    ),
    "IndexedIter": lambda ctx, _: OnHost(ROWS, BATCH, ctx=ctx),
    "IndexedIter, loading there": lambda ctx, _: OnDevice(ctx),
    "IndexedIter, for the host": lambda ctx, _: OnDevice(ctx, mx.cpu()),
    "CSVIter": _csv,
    "LibSVMIter": _libsvm,
    "MNISTIter": _mnist,
    "BucketSentenceIter": _sentences,
    "PrefetchingIter": lambda ctx, _: mx.io.PrefetchingIter(
        mx.io.NDArrayIter(TABLE, TABLE[:, 0], BATCH, ctx=ctx), prefetch_buffer=2
    ),
    "PrefetchingIter, two": lambda ctx, _: mx.io.PrefetchingIter(
        [OnDevice(ctx), Users(ctx)],
        [{"data": "a"}, {"data": "b"}],
        [{"softmax_label": "c"}, {"label": "d"}],
    ),
    "ResizeIter": lambda ctx, _: mx.io.ResizeIter(
        mx.io.NDArrayIter(TABLE, TABLE[:, 0], BATCH, ctx=ctx), 5
    ),
    "ResizeIter, a user's": lambda ctx, _: mx.io.ResizeIter(Users(ctx), 4),
    "DataLoader": lambda ctx, _: Loop(_gluon(ctx, 0)),
    "DataLoader, threads": lambda ctx, _: Loop(_gluon(ctx, 2)),
    "DataLoaderIter": lambda ctx, _: mx.contrib.io.DataLoaderIter(_gluon(ctx, 2)),
    "ImageRecordIter": lambda ctx, path: _images(ctx, path, executor="dali"),
    "ImageIter": lambda ctx, path: _files(ctx, path, executor="dali"),
    "ImageIter, one by one": lambda ctx, path: _files(
        ctx, path, aug_list=[mx.image.ResizeAug(40), _Unplannable()]
    ),
}


class _Unplannable(mx.image.Augmenter):
    """An augmenter of a user's, which only runs sample by sample."""

    def __call__(self, src: Any) -> Any:
        return mx.image.center_crop(src, (40, 40))[0] + 1


def parts(batch: Any) -> list[Any]:
    """The arrays of a batch, CSR matrices as their three, as plain arrays of their library."""
    found = []
    for array in (*(batch.data or ()), *(batch.label or ())):
        names = ("data", "indices", "indptr") if hasattr(array, "indptr") else ()
        found += [getattr(array, name) for name in names] or [array]
    return found


def is_on_gpu(array: Any) -> bool:
    """Whether an array is on a GPU."""
    return device_of(array).device_type == "gpu"
