"""Arguments that name record files."""

from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.recordio.file_names import find_files


def test_paths_and_urls(tmp_path: Path) -> None:
    for name in ("b.rec", "a.rec", "a.idx"):
        (tmp_path / name).touch()
    expected = (str(tmp_path / "a.rec"), str(tmp_path / "b.rec"))
    assert find_files(tmp_path, ".rec", None) == expected
    assert find_files(";".join(expected), ".rec", None) == expected
    assert find_files(list(map(Path, expected)), ".rec", None) == expected
    urls = ("s3://b/x.rec", "http://h/y.rec?signature=a")
    assert find_files(";".join(urls), ".rec", None) == urls
    assert find_files("http://h/y.rec?signature=a/", ".rec", None) == (
        "http://h/y.rec?signature=a/",
    )
    assert find_files([*urls, expected[0]], ".rec", None) == (*urls, expected[0])
    # A semicolon in a URL of a list is its own.
    assert find_files(["http://h/a;b.rec"], ".rec", None) == ("http://h/a;b.rec",)


@pytest.mark.parametrize("paths", [[], "", ";", 3])
def test_no_files(paths: Any) -> None:
    with pytest.raises(ArgumentError, match=r"expected a path or a sequence of paths of \.rec"):
        find_files(paths, ".rec", None)


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"is a directory without \*\.rec files"):
        find_files(tmp_path, ".rec", None)
