"""The protocol of DataIter, as MXNet has it."""

import importlib
import pickle
from typing import Any

import numpy as np
import pytest

import gpuio as mx


class Squares(mx.io.DataIter):
    """An iterator as MXNet's users write them, out of iter_next and its companions."""

    def __init__(self) -> None:
        super().__init__(2)
        self.closed = False
        self.reset()

    def reset(self) -> None:
        self._at = -1

    def iter_next(self) -> bool:
        self._at += 1
        return self._at < 3

    def getdata(self) -> Any:
        return [mx.nd.array([self._at, self._at**2])]

    def getlabel(self) -> Any:
        return []

    def getpad(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def test_a_subclass_by_iter_next() -> None:
    with Squares() as iterator:
        assert [batch.data[0].tolist() for batch in iterator] == [[0, 0], [1, 1], [2, 4]]
        assert list(iterator) == []  # iterating does not reset
        iterator.reset()
        assert iterator.next().data[0].tolist() == [0, 0]
    assert iterator.closed and iterator.batch_size == 2


def test_what_a_subclass_lacks_is_named() -> None:
    iterator = mx.io.DataIter()
    for call in (
        iterator.next,
        iterator.state_dict,
        lambda: iterator.load_state_dict({}),
    ):
        with pytest.raises(NotImplementedError, match="DataIter"):
            call()
    iterator.reset()
    iterator.close()


@pytest.mark.parametrize("name", ["provide_data", "provide_label"])
def test_descriptions_that_were_not_assigned_are_named(name: str) -> None:
    iterator = Squares()
    with pytest.raises(AttributeError, match=f"Squares has no {name}: assign it in __init__"):
        getattr(iterator, name)
    assert not hasattr(iterator, name)
    with pytest.raises(AttributeError, match="Squares has no provide_data"):
        mx.io.PrefetchingIter(iterator)
    with pytest.raises(AttributeError, match="Squares has no provide_data"):
        mx.io.ResizeIter(iterator, 2)


class Assigns(mx.io.DataIter):
    """The descriptions are attributes, assigned before the base's constructor runs, after it, or
    without it; as pairs or as DataDesc."""

    def __init__(self, call_base: str, pairs: bool) -> None:
        if call_base == "first":
            super().__init__(2)
        described = ("data", (2,)) if pairs else mx.io.DataDesc("data", (2,))
        self.provide_data: Any = [described]
        self.provide_label: Any = []
        if call_base == "last":
            super().__init__(2)
        self.at = 0

    def reset(self) -> None:
        self.at = 0

    def iter_next(self) -> bool:
        self.at += 1
        return self.at <= 3

    def getdata(self) -> Any:
        return [mx.nd.array([self.at, -self.at])]


class Properties(Assigns):
    """The descriptions are properties."""

    def __init__(self, call_base: str, pairs: bool) -> None:
        self._provide_data = [("data", (2,))] if pairs else [mx.io.DataDesc("data", (2,))]
        if call_base != "never":
            mx.io.DataIter.__init__(self, 2)
        self.at = 0

    @property
    def provide_data(self) -> Any:
        return self._provide_data

    @property
    def provide_label(self) -> Any:
        return []


class OnClass(Assigns):
    """The descriptions are attributes of the class."""

    provide_data = [("data", (2,))]
    provide_label: Any = []

    def __init__(self, call_base: str, pairs: bool) -> None:
        self.at = 0


@pytest.mark.parametrize("kind", [Assigns, Properties, OnClass])
@pytest.mark.parametrize("call_base", ["first", "last", "never"])
@pytest.mark.parametrize("pairs", [True, False])
def test_descriptions_however_they_are_given(kind: Any, call_base: str, pairs: bool) -> None:
    def make() -> Any:
        return kind(call_base, pairs)

    iterator = make()
    assert iterator.provide_data == [("data", (2,))] and iterator.provide_label == []
    assert iterator.batch_size == (0 if call_base == "never" or kind is OnClass else 2)
    again = pickle.loads(pickle.dumps(iterator))
    assert again.provide_data == iterator.provide_data
    expected = [[1, -1], [2, -2], [3, -3]]
    with mx.io.PrefetchingIter(make()) as prefetching, mx.io.ResizeIter(make(), 3) as resized:
        for outer in (prefetching, resized):
            assert outer.batch_size == 2 and outer.provide_data == [("data", (2,))]
            for _ in range(2):
                assert [batch.data[0].tolist() for batch in outer] == expected
                outer.reset()
    for name in ("torch", "jax"):
        pytest.importorskip(name, reason=f"{name} is not installed")
        loader = importlib.import_module(f"gpuio.{name}").loader(make())
        assert [np.asarray(data).tolist() for data, _ in loader] == expected


def test_gpuios_own_descriptions_can_be_replaced() -> None:
    table = np.zeros((4, 3))
    iterator = mx.io.NDArrayIter(table, np.zeros(4), 2)
    iterator.provide_data = [mx.io.DataDesc("image", (2, 3))]
    assert [desc.name for desc in iterator.provide_data] == ["image"]

    class Renamed(mx.io.NDArrayIter):
        @property
        def provide_data(self) -> Any:
            return [mx.io.DataDesc("renamed", desc.shape) for desc in super().provide_data]

    assert Renamed(table, None, 2).provide_data == [("renamed", (2, 3))]
    assert Renamed(table, None, 2).provide_label == []


def test_the_repr_of_users_iterators() -> None:
    assert repr(Assigns("last", True)) == "<Assigns: batch_size=2, data (2,)>"
    assert repr(Assigns("never", False)) == "<Assigns: data (2,)>"
    assert repr(Properties("never", True)) == "<Properties>"
    assert repr(Squares.__new__(Squares)) == "<Squares>"
    assert repr(Squares()) == "<Squares: batch_size=2>"
    odd = Assigns("never", False)
    for described in (None, 5, ["x"], [()], zip("a", "b", strict=True), {"data": (2,)}):
        odd.provide_data = described
        assert repr(odd) == "<Assigns>"


def test_a_wrapper_may_forward_what_it_lacks() -> None:
    class Forwards(mx.io.DataIter):
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__dict__["inner"], name)

        def next(self) -> Any:
            return self.inner.next()

    inner = mx.io.NDArrayIter(np.zeros((4, 3)), None, 2)
    assert Forwards(inner).provide_data == inner.provide_data
    assert Forwards(inner).num_data == 4


class Scaled(mx.io.DataIter):
    """A wrapper as MXNet's examples write it (a GAN's iterator over ImageRecordIter): its methods
    call those of the inner iterator."""

    def __init__(self, inner: Any, single: bool) -> None:
        self.inner, self.single = inner, single
        self.provide_data = inner.provide_data
        self.provide_label = []

    def reset(self) -> None:
        self.inner.reset()

    def iter_next(self) -> bool:
        return bool(self.inner.iter_next())

    def getdata(self) -> Any:
        data = self.inner.getdata()
        data = data if self.single else data[0]
        data = data * (2.0 / 255.0)
        data -= 1
        return [data]

    def getpad(self) -> Any:
        return self.inner.getpad()

    def getindex(self) -> Any:
        return self.inner.getindex()


class TakesApart(Scaled):
    """The same in `next` alone."""

    def iter_next(self) -> bool:
        raise AssertionError("next is defined")

    def next(self) -> mx.io.DataBatch:
        if not self.inner.iter_next():
            raise StopIteration
        return mx.io.DataBatch(self.getdata(), None, self.getpad(), self.getindex())


@pytest.mark.parametrize("kind", [Scaled, TakesApart])
def test_wrappers_through_getdata(kind: Any, tmp_path: Any, ctx: mx.Context) -> None:
    table = np.arange(30.0).reshape(10, 3)
    csv = tmp_path / "x.csv"
    np.savetxt(csv, table, delimiter=",")

    def of_rows() -> Any:
        return mx.io.NDArrayIter(table, None, 4, ctx=ctx)

    makers: dict[str, tuple[Any, bool]] = {
        "rows": (of_rows, False),
        "csv": (
            lambda: mx.io.CSVIter(
                data_csv=csv, data_shape=(3,), batch_size=4, round_batch=False, ctx=ctx
            ),
            True,
        ),
        "resized": (lambda: mx.io.ResizeIter(of_rows(), 3), False),
        "prefetched": (lambda: mx.io.PrefetchingIter(of_rows()), False),
        "user's": (lambda: Scaled(of_rows(), False), False),
    }
    expected = np.concatenate([table, table[:2]]) * (2 / 255) - 1
    for name, (make, single) in makers.items():
        twice = name == "user's"
        outer = kind(make(), single)
        for _ in range(2):
            batches = list(outer)
            found = np.concatenate([batch.data[0].asnumpy() for batch in batches])
            scaled = expected * (2 / 255) - 1 if twice else expected
            np.testing.assert_allclose(found, scaled, rtol=1e-6, err_msg=name)
            assert [batch.pad for batch in batches] == [0, 0, 2]
            assert [batch.padding for batch in batches] == [0, 0, 2]
            outer.reset()


class Steps(mx.io.DataIter):
    """An iterator with ``__next__`` alone, as Python's own."""

    def __init__(self) -> None:
        super().__init__(1)
        self.count = 0

    def __next__(self) -> mx.io.DataBatch:
        self.count += 1
        if self.count > 2:
            raise StopIteration
        return mx.io.DataBatch([mx.nd.array([self.count])])


def test_a_subclass_by_dunder_next() -> None:
    iterator = Steps()
    assert iterator.next().data[0].tolist() == [1]
    assert [batch.data[0].tolist() for batch in iterator] == [[2]]
    with pytest.raises(StopIteration):
        iterator.next()


def test_pieces_become_a_batch() -> None:
    class Pieces(Squares):
        def getlabel(self) -> Any:
            return [mx.nd.array([7])]

        def getpad(self) -> int:
            return 1

        def getindex(self) -> Any:
            return np.array([3, 4])

    batch = Pieces().next()
    assert (batch.pad, batch.index.tolist(), batch.label[0].tolist()) == (1, [3, 4], [7])


def test_what_a_subclass_need_not_define() -> None:
    class Least(mx.io.DataIter):
        left = 2

        def iter_next(self) -> bool:
            self.left -= 1
            return self.left >= 0

    batch = Least().next()
    assert (batch.data, batch.label, batch.pad, batch.index) == (None, None, None, None)


def test_a_block_closes_it_also_after_an_error() -> None:
    iterator = Squares()
    with pytest.raises(ValueError, match="broken"), iterator as entered:
        assert entered is iterator
        raise ValueError("broken")
    assert iterator.closed
