"""gpuio cache: what is in it, filling, removing, comparing."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuio.storage.remote.inventory import versions
from gpuio.tools.cli import main
from tests.servers.faulty import FaultyServer, faulty_server
from tests.storage.remote.stores import random_bytes
from tests.tools.process import failure

CONTENT = random_bytes(100_000)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as found:
        yield found


@pytest.fixture(autouse=True)
def folder(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    server.put("data/x.rec", CONTENT)
    server.put("data/x.idx", b"0\t0\n")
    server.put("data/y.rec", CONTENT[:10])
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> int:
    return main(["cache", *arguments])


def test_a_file_with_its_index(
    server: FaultyServer, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    url = f"{server.url}/data/x.rec"
    assert run("fill", f"{url}?signature=secret") == 0
    assert capsys.readouterr().out == (f"{url}: 100,000 bytes\n{server.url}/data/x.idx: 4 bytes\n")
    before = server.total()
    assert run("ls") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["file", url.replace("rec", "idx"), url]
    assert len({len(line) for line in lines[:3]}) == 1  # the columns are aligned
    assert lines[3].startswith(f"{folder}: ") and "limit 100,000,000,000" in lines[3]
    assert run("ls", "--json") == 0
    said = capsys.readouterr().out
    assert [each["size"] for each in json.loads(said)] == [4, 100_000]
    assert "secret" not in said + "".join(lines)
    assert server.total() == before


def test_an_index_that_needs_a_signature_of_its_own(
    server: FaultyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{server.url}/data/x.rec"
    server.faults.extend([None, "403"])
    assert run("fill", f"{url}?signature=secret") == 0
    assert capsys.readouterr().out == f"{url}: 100,000 bytes\n"
    server.faults.extend([None, "403"])
    assert "the server refuses access" in failure(capsys, "cache", "fill", url)


def test_a_cache_that_cannot_be_filled(
    server: FaultyServer, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "file").touch()
    url = f"{server.url}/data/x.rec"
    said = failure(capsys, "cache", "fill", url, "--cache-dir", str(folder / "file"))
    assert f"{url} is not in the cache as a whole: {folder}/file cannot be written" in said


def test_several_urls_of_one_file(
    server: FaultyServer, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    run("fill", f"{server.url}/data/y.rec")
    another = f"{server.url}/data/y.rec".replace("http", "HTTP")
    capsys.readouterr()
    assert run("verify", another) == 0
    assert capsys.readouterr().out == f"{server.url}/data/y.rec: 10 bytes, all the same\n"
    options = [f"--storage-option={name}={value}" for name, value in server.s3_options.items()]
    run("fill", "s3://data/y.rec", *options)
    assert run("rm", "s3a://data/y.rec", "s3://data/y.rec", *options) == 0
    (left,) = versions(str(folder / "v1"))
    assert left.url == f"{server.url}/data/y.rec"


def test_a_damaged_description(
    server: FaultyServer, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    for name in ("x", "y"):
        run("fill", f"{server.url}/data/{name}.rec")
    (damaged,) = (each for each in versions(str(folder / "v1")) if each.url.endswith("y.rec"))
    Path(damaged.folder, "object.json").write_text("{")
    capsys.readouterr()
    assert run("verify") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0] == "?: nothing says of which file; not compared"
    assert f"{server.url}/data/x.rec: 100,000 bytes, all the same" in lines


def test_a_folder(server: FaultyServer, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"--storage-option={name}={value}" for name, value in server.s3_options.items()]
    assert run("fill", "s3://data/", "--json", *options) == 0
    found = {each["url"]: each["size"] for each in json.loads(capsys.readouterr().out)}
    assert found == {"s3://data/x.rec": 100_000, "s3://data/y.rec": 10, "s3://data/x.idx": 4}


def test_removing(server: FaultyServer, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    for name in ("x", "y"):
        assert run("fill", f"{server.url}/data/{name}.rec") == 0
    assert run("rm", "--older-than", "1") == 0
    assert len(versions(str(folder / "v1"))) == 3
    for each in versions(str(folder / "v1")):
        if each.url.endswith("x.idx"):
            os.utime(Path(each.folder, "0.segment"), (1, 1))
    assert run("rm", "--older-than", "1") == 0
    assert run("rm", f"{server.url}/data/y.rec") == 0
    capsys.readouterr()
    (left,) = versions(str(folder / "v1"))
    assert left.url.endswith("x.rec")
    assert run("rm", "--all") == 0
    assert capsys.readouterr().out.startswith("removed 1 file, 10")
    assert versions(str(folder / "v1")) == []


def test_comparing(server: FaultyServer, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    url = f"{server.url}/data/x.rec"
    run("fill", url, f"{server.url}/data/y.rec")
    capsys.readouterr()
    assert run("verify") == 0
    assert f"{url}: 100,000 bytes, all the same\n" in capsys.readouterr().out
    server.put("data/y.rec", b"another")
    (damaged,) = (each for each in versions(str(folder / "v1")) if each.url == url)
    with open(Path(damaged.folder, "0.segment"), "r+b") as file:
        file.write(b"damaged")
    assert run("verify") == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"{url}: 1 segments differ; removed" in lines
    assert f"{server.url}/data/y.rec: another version is there now; removed" in lines
    assert run("verify", "--json") == 0
    assert [each["compared"] for each in json.loads(capsys.readouterr().out)] == [4, 0]


def test_what_another_server_has_is_neither_compared_nor_removed(
    server: FaultyServer,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.put("bucket/x.rec", CONTENT)
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "false")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    run("fill", "s3://bucket/x.rec")
    with faulty_server() as other:
        monkeypatch.setenv("AWS_ENDPOINT_URL", other.url)
        capsys.readouterr()
        assert run("verify") == 0
    assert "s3://bucket/x.rec: of another server" in capsys.readouterr().out
    assert versions(str(folder / "v1"))[0].segments == (0,)


def test_wrong_arguments(server: FaultyServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"{server.url}/data/x.rec"
    assert "is not in the cache; 'gpuio cache ls' lists what is" in failure(
        capsys, "cache", "rm", url
    )
    assert "say what to remove" in failure(capsys, "cache", "rm")
    assert "x.rec is not a URL such as" in failure(capsys, "cache", "fill", "x.rec")
    said = failure(capsys, "cache", "fill", url, "--cache-limit", "50kB")
    assert "the files have 100,004 bytes, the limit of the cache is 50,000" in said
    assert "--storage-option is written KEY=VALUE" in failure(
        capsys, "cache", "ls", "--storage-option", "endpoint"
    )
    assert "none.rec" in failure(capsys, "cache", "fill", f"{server.url}/data/none.rec")
