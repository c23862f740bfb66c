"""URLs: their parts, what is shown of them, other URLs made from them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError
from gpuio.storage.remote.url import (
    check_slashes,
    is_folder,
    is_remote,
    is_signed,
    join,
    name_of,
    parse_url,
    shown,
    with_extension,
)

SIGNED = "https://host:8443/dir/tr%20ain.rec?X-Amz-Signature=SECRET&x=%2F"


@pytest.mark.parametrize(
    ("url", "scheme", "host", "key"),
    [
        ("s3://bucket/dir/a.rec", "s3", "bucket", "dir/a.rec"),
        ("S3://Bucket/Dir/A.rec", "s3", "Bucket", "Dir/A.rec"),
        ("s3a://bucket/a", "s3", "bucket", "a"),
        ("gcs://bucket/a", "gs", "bucket", "a"),
        ("s3://bucket", "s3", "bucket", ""),
        ("s3://bucket/", "s3", "bucket", ""),
        ("s3://bucket//a", "s3", "bucket", "/a"),
        ("s3://bucket/a b%20c?d#e+ü\N{SNOWMAN}", "s3", "bucket", "a b%20c?d#e+ü\N{SNOWMAN}"),
        (
            "abfss://box@account.dfs.core.windows.net/a",
            "az",
            "box@account.dfs.core.windows.net",
            "a",
        ),
        ("az://box/a", "az", "box", "a"),
        ("http://host:80/a%20b/%C3%BC", "http", "host:80", "a b/ü"),
        ("http://host/a b/ü", "http", "host", "a b/ü"),
        ("http://host", "http", "host", ""),
        ("http://[::1]:8000/a", "http", "[::1]:8000", "a"),
        ("HTTPS://HOST/A", "https", "host", "A"),
        (SIGNED, "https", "host:8443", "dir/tr ain.rec"),
        ("hdfs://node:8020/data/a.rec", "hdfs", "node:8020", "data/a.rec"),
        ("hdfs:///data/a.rec", "hdfs", "", "data/a.rec"),
        ("memory://a/b", "memory", "a", "b"),
        ("sftp://me@host/a", "sftp", "host", "a"),
    ],
)
def test_parts(url: str, scheme: str, host: str, key: str) -> None:
    parsed = parse_url(url)
    assert is_remote(url)
    assert (parsed.scheme, parsed.host, parsed.key) == (scheme, host, key)
    assert parse_url(parsed.full) == parsed


@pytest.mark.parametrize(
    "path",
    ["a.rec", "/a/b", "", "file:///a", "FILE:///a", "C://a", "://a", "a/s3://b", "s3:/a", None],
)
def test_local_paths(path: str | None) -> None:
    assert not is_remote(path)
    if path is not None:
        with pytest.raises(ArgumentError, match="expected a URL such as s3://"):
            parse_url(path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/../a", "mean nothing"),
        ("s3://bucket/a/./b", "mean nothing"),
        ("https://host/a/%2E%2e/b", "mean nothing"),
        ("s3:///a", "bucket, container or host is missing"),
        ("http:///a", "bucket, container or host is missing"),
        ("http://host:port/a", "is not a URL"),
        ("http://host:99999/a", "is not a URL"),
        ("http://[::1/a", "is not a URL"),
        ("http://host/a#b", "write %23"),
        ("http://host/a\nb", "control characters"),
        ("http://host/a%0Ab", "control characters"),
        ("s3://bucket/a\0b", "control characters"),
        ("s3://bucket/a\ud800", "no remote file"),
    ],
)
def test_what_no_file_can_have(url: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:SECRET@host/a?SECRET=SECRET",
        "https://host/a?SECRET@x/y",
        "https://host/a#SECRET",
        "https://SECRET@host:port/a?SECRET",
        "sftp://me:SECRET@host/a",
    ],
)
def test_secrets_are_not_shown(url: str) -> None:
    assert "SECRET" not in shown(url)
    try:
        parsed = parse_url(url)
    except ArgumentError as error:
        assert "SECRET" not in str(error)
    else:
        assert "SECRET" not in f"{parsed} {parsed!r} {parsed.store}"
        assert "SECRET" in parsed.full
        assert str(parsed) == shown(url)


def test_shown_paths() -> None:
    assert shown("/a?b@c#d") == "/a?b@c#d"
    assert shown("s3://bucket/a?b") == "s3://bucket/a?b"
    assert shown("az://box@account.dfs/a") == "az://box@account.dfs/a"


@pytest.mark.parametrize(
    ("url", "index"),
    [
        ("s3://b/dir.d/train.rec", "s3://b/dir.d/train.idx"),
        ("s3://b/dir.d/train", "s3://b/dir.d/train.idx"),
        ("s3://b/.rec", "s3://b/.rec.idx"),
        ("s3://b/a?b.rec", "s3://b/a?b.idx"),
        ("s3://b/a.tar.gz", "s3://b/a.tar.idx"),
        (SIGNED, "https://host:8443/dir/tr%20ain.idx"),
        ("http://me:pw@h/a.rec", "http://me:pw@h/a.idx"),
    ],
)
def test_other_extensions(url: str, index: str) -> None:
    assert with_extension(url, ".idx") == index


def test_folders() -> None:
    assert name_of(SIGNED) == "tr ain.rec"
    assert name_of("s3://b/dir/") == "dir" and name_of("s3://b") == ""
    assert join("s3://b", "a?b c.rec") == "s3://b/a?b c.rec"
    assert join("s3://b/dir/", "a/b") == "s3://b/dir/a/b"
    assert join("http://h/dir?key=1", "ü#?%.rec") == "http://h/dir/%C3%BC%23%3F%25.rec?key=1"
    with pytest.raises(ArgumentError, match="mean nothing"):
        join("s3://b/dir", "../a")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_name_in_a_folder_is_found_again(name: str) -> None:
    segments = set(name.split("/"))
    if segments & {".", ".."}:
        return
    for folder in ("s3://b/dir", "http://h/dir", "hdfs://n:1/dir"):
        parsed = parse_url(join(folder, name))
        assert parsed.key == f"dir/{name}" and parsed.query == ""


@given(st.text())
def test_any_text_is_a_url_or_an_argument_error(text: str) -> None:
    for url in (text, f"s3://{text}", f"http://{text}", f"az://{text}"):
        shown(url)
        try:
            parsed = parse_url(url)
        except ArgumentError:
            continue
        assert parse_url(parsed.full) == parsed


def test_urls_of_folders() -> None:
    for url in ("s3://bucket/", "s3://bucket/dir/", "s3://bucket/a?b/", "http://host/dir/"):
        assert is_folder(url)
    for url in ("s3://bucket/a", "http://host/a?signature=b/", "/dir/", "dir/"):
        assert not is_folder(url)


def test_urls_that_may_be_signed() -> None:
    assert is_signed(SIGNED) and not is_signed("https://host/a.rec")
    assert not is_signed("s3://bucket/a?b") and not is_signed("a?b")


def test_urls_with_one_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (str(Path("s3://b/a")), "https:/me:secret@h/a?x=secret"):
        with pytest.raises(ArgumentError, match="two slashes, as str, not as pathlib") as raised:
            check_slashes(path)
        assert "secret" not in str(raised.value)
    for path in ("s3/a", "s3:a", "x/s3:/a", "s3://b/a", "/s3:/a", "C:/a"):
        check_slashes(path)
    (tmp_path / "s3:").mkdir()
    check_slashes("s3:/a")  # a folder of this name
