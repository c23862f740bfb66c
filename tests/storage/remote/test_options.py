"""Options of remote files: checks, sizes, the cache's folder, pickles."""

import copy
import os
import pickle
import pwd
from pathlib import Path
from typing import Any

import pytest

from gpuio.errors import ArgumentError
from gpuio.storage.remote.options import RemoteOptions, default_cache_dir


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retries", -1), ("retries", 1.5), ("retries", True), ("retries", 1001),
        ("timeout", 0), ("timeout", float("nan")), ("timeout", float("inf")), ("timeout", "60"),
        ("timeout", -1), ("cache_dir", ""), ("cache_dir", 5), ("cache_dir", "s3://b/c"),
        ("cache_dir", "~no-such-user/c"), ("cache_dir", "a\0b"), ("storage_options", "x"),
        ("storage_options", {1: 2}), ("readahead", "much"), ("readahead", -1),
        ("cache_limit", "1XB"),
    ],
)  # fmt: skip
def test_wrong_arguments(name: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=name):
        RemoteOptions.create(**{name: value})


def test_the_folder_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GPUIO_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_cache_dir() == "/home/somebody/.cache/gpuio"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache_dir() == "/home/somebody/.cache/gpuio"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert RemoteOptions.create().cache_dir == "/xdg/gpuio"
    monkeypatch.setenv("GPUIO_CACHE_DIR", "~/c")
    assert RemoteOptions.create().cache_dir == "/home/somebody/c"
    assert RemoteOptions.create(tmp_path).cache_dir == str(tmp_path)
    assert RemoteOptions.create("here").cache_dir == os.path.abspath("here")
    for wrong in ("s3://bucket/cache", "~no-such-user/c"):
        monkeypatch.setenv("GPUIO_CACHE_DIR", wrong)
        with pytest.raises(ArgumentError, match=f"variable GPUIO_CACHE_DIR .* '{wrong}'"):
            RemoteOptions.create()


def test_the_folder_of_the_cache_of_a_user_without_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(user: int) -> pwd.struct_passwd:
        raise KeyError(user)

    for name in ("GPUIO_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert RemoteOptions.create().cache_dir == f"{tmp_path}/gpuio-{os.getuid()}"


def test_the_limit_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPUIO_CACHE_LIMIT", raising=False)
    assert RemoteOptions.create().cache_limit == 100 * 10**9
    monkeypatch.setenv("GPUIO_CACHE_LIMIT", "5 MiB")
    assert RemoteOptions.create().cache_limit == 5 << 20
    assert RemoteOptions.create(cache_limit=7).cache_limit == 7
    monkeypatch.setenv("GPUIO_CACHE_LIMIT", "plenty")
    with pytest.raises(ArgumentError, match="variable GPUIO_CACHE_LIMIT must be"):
        RemoteOptions.create()


def test_pickles_and_what_is_shown_have_no_secrets() -> None:
    given = {
        "region": "x",
        "secret_access_key": "SECRET",
        "client_options": {"proxy_url": "SECRET"},
    }
    options = RemoteOptions.create("/c", "1GB", 5, given, 3, 2.5)
    data = pickle.dumps(options)
    assert b"SECRET" not in data and "SECRET" not in repr(options)
    restored = pickle.loads(data)
    assert restored.storage_options == {"region": "x", "client_options": {}}
    assert restored.withheld == ("secret_access_key", "client_options.proxy_url")
    assert (restored.cache_dir, restored.cache_limit, restored.readahead) == ("/c", 10**9, 5)
    assert (restored.retries, restored.timeout) == (3, 2.5)
    assert "secret_access_key" in repr(restored) and "secret_access_key" in repr(options)
    assert pickle.loads(pickle.dumps(restored)) == restored


def test_copies_in_a_process_keep_secrets() -> None:
    options = RemoteOptions.create(storage_options={"token": "SECRET"})
    assert copy.copy(options) is options is copy.deepcopy([options])[0]


def test_without_secrets_a_pickle_has_all() -> None:
    options = RemoteOptions.create(storage_options={"region": "x", "skip_signature": True})
    assert pickle.loads(pickle.dumps(options)) == options == copy.deepcopy(options)
    assert hash(options) == hash(pickle.loads(pickle.dumps(options)))


def test_the_callers_options_are_copied() -> None:
    given = {"region": "x"}
    options = RemoteOptions.create(storage_options=given)
    given["region"] = "y"
    assert options.storage_options == {"region": "x"}
    with pytest.raises(TypeError):
        options.storage_options["region"] = "z"  # type: ignore[index]
