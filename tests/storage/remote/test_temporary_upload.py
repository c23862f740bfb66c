"""Uploads that are renamed when they are complete."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuio.errors import RemoteError
from gpuio.storage.remote.temporary_upload import PIECE, TemporaryUpload, temporary_name


def start(folder: Path, call: Callable[[Callable[[], object]], object]) -> TemporaryUpload:
    temporary = folder / "a.part"
    file = temporary.open("wb")
    return TemporaryUpload(
        file, call,
        lambda size: call(lambda: rename(temporary, folder / "a", size)),
        lambda: os.unlink(temporary),
    )  # fmt: skip


def rename(temporary: Path, target: Path, size: int) -> None:
    assert temporary.stat().st_size == size
    os.replace(temporary, target)


def direct(function: Callable[[], object]) -> object:
    return function()


def test_large_writes_are_divided(tmp_path: Path) -> None:
    calls: list[object] = []
    upload = start(tmp_path, lambda function: calls.append(function()))
    upload.write(b"x" * (2 * PIECE + 1))
    assert calls == [PIECE, PIECE, 1]
    upload.complete()
    assert (tmp_path / "a").stat().st_size == 2 * PIECE + 1


def test_a_failed_rename_can_be_dropped(tmp_path: Path) -> None:
    failures = [False, True]

    def call(function: Callable[[], object]) -> object:
        if failures and failures.pop(0):
            raise RemoteError("renaming failed")
        return function()

    upload = start(tmp_path, call)
    with pytest.raises(RemoteError, match="renaming failed"):
        upload.complete()
    upload.abort()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def call(function: Callable[[], object]) -> object:
        raise RemoteError("hdfs://host/a: no connection")

    with (tmp_path / "a.part").open("wb") as file:
        TemporaryUpload(file, call, lambda _: None, lambda: None).abort()
    assert "hdfs://host/a: no connection; its temporary file may be left" in caplog.text


def test_names() -> None:
    assert re.fullmatch(r"dir/a\.rec\.[0-9a-f]{16}\.part", temporary_name("dir/a.rec"))
    assert temporary_name("a") != temporary_name("a")
