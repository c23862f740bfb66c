"""Tools with files at URLs: what they write is the same, byte by byte, and nothing of it is visible
before it is complete.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, Error, RemoteError, UnsupportedError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records
from tests.remote_files import BUCKET, upload
from tests.servers import faulty as faults
from tests.servers.faulty import FaultyServer

pytest.importorskip("obstore")

ROOT = Path(__file__).parents[2]
T = mx.tools


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    """A local file of twelve images, with its index."""
    (tmp_path / "local").mkdir()
    images = [jpeg(number) for number in range(12)]
    return Path(write_records(tmp_path / "local" / "x", images)["path_imgrec"])


@pytest.fixture
def remote(faulty: FaultyServer, tmp_path: Path) -> RemoteOptions:
    return RemoteOptions.create(
        cache_dir=tmp_path / "cache", storage_options=faulty.s3_options, retries=1, timeout=20
    )


@pytest.fixture
def url(rec: Path, faulty: FaultyServer) -> str:
    """The URL of the same file."""
    index = rec.with_suffix(".idx")
    return upload(faulty, {"in/x.rec": rec, "in/x.idx": index}) + "in/x.rec"


def objects(server: FaultyServer, folder: str) -> dict[str, bytes]:
    """What is in a folder of the bucket, by name."""
    prefix = f"{BUCKET}/{folder}/"
    return {
        key.removeprefix(prefix): found.data
        for key, found in server.objects.items()
        if key.startswith(prefix)
    }


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


Call = Callable[[Any, str, RemoteOptions | None], object]
CALLS: dict[str, Call] = {
    "split": lambda rec, out, remote: T.split(rec, f"{out}/part", [2, 1], remote=remote),
    "split, shuffled": lambda rec, out, remote: T.split(
        rec, f"{out}/part", parts=3, shuffle=True, remote=remote
    ),
    "merge": lambda rec, out, remote: T.merge(
        [rec, rec], f"{out}/all.rec", renumber=True, remote=remote
    ),
    "shuffle": lambda rec, out, remote: T.shuffle(rec, f"{out}/y.rec", seed=3, remote=remote),
    "filter": lambda rec, out, remote: T.filter_records(
        rec, f"{out}/y.rec", labels=[1], least=8, remote=remote
    ),
    "repair": lambda rec, out, remote: T.repair(
        rec, f"{out}/y.rec", damaged=f"{out}/damaged", remote=remote
    ),
    "index": lambda rec, out, remote: T.index(rec, f"{out}/y.idx", remote=remote),
    "show": lambda rec, out, remote: T.show(rec, f"{out}/y.html", count=4, remote=remote),
    "quarantine": lambda rec, out, remote: T.quarantine(
        T.verify(rec, level="deep", remote=remote), f"{out}/bad.tsv", remote
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_same_files_are_written(
    name: str, rec: Path, url: str, remote: RemoteOptions, faulty: FaultyServer, tmp_path: Path
) -> None:
    """From a local file, and from a URL, to either."""
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        out.mkdir()
    CALLS[name](rec, str(outs[0]), None)
    expected = files(outs[0])
    assert expected
    CALLS[name](url, str(outs[1]), remote)
    assert files(outs[1]) == expected
    CALLS[name](url, f"s3://{BUCKET}/out", remote)
    assert objects(faulty, "out") == expected
    CALLS[name](rec, f"s3://{BUCKET}/out2", remote)
    assert objects(faulty, "out2") == expected and not faulty.uploads


def test_the_same_is_found(rec: Path, url: str, remote: RemoteOptions, tmp_path: Path) -> None:
    """What only reads says the same."""
    local, found = T.info(rec), T.info(url, remote=remote)
    assert found.rec == url and found.idx == url.replace(".rec", ".idx")
    same = {"rec": "", "idx": "", "call": ""}
    assert found._replace(**same) == local._replace(**same)
    assert T.verify(url, level="deep", remote=remote)[2:] == T.verify(rec, level="deep")[2:]
    assert T.stats(url, remote=remote)[1:] == T.stats(rec)[1:]
    T.extract(rec, tmp_path / "a", labels=[1, 2])
    T.extract(url, tmp_path / "b", labels=[1, 2], remote=remote)
    assert files(tmp_path / "a") == files(tmp_path / "b") != {}


def test_damaged_files(rec: Path, remote: RemoteOptions, faulty: FaultyServer) -> None:
    data = bytearray(rec.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\0" * 400
    rec.write_bytes(data)
    url = upload(faulty, {"in/x.rec": rec, "in/x.idx": rec.with_suffix(".idx")}) + "in/x.rec"
    local, found = T.verify(rec), T.verify(url, remote=remote)
    assert local.findings and found.findings == [
        each._replace(reason=each.reason.replace(str(rec), url)) for each in local.findings
    ]
    repaired, same = T.repair(rec), T.repair(url, remote=remote)
    assert same.rec == f"s3://{BUCKET}/in/x.repaired.rec" and same.records == repaired.records
    assert objects(faulty, "in")["x.repaired.rec"] == Path(repaired.rec).read_bytes()
    assert objects(faulty, "in")["x.repaired.idx"] == Path(repaired.idx).read_bytes()


IMAGES = {
    f"{folder}{number}.{extension}": jpeg(number)
    for folder in ("", "b/", "a/", "a-b/", "a/c/")
    for number, extension in enumerate(("jpg", "JPEG", "txt"))
}


@pytest.mark.parametrize("options", [[], ["--recursive", "--train-ratio=0.5", "--pack-label"]])
def test_im2rec(
    options: list[str], faulty: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The images and the outputs local or remote, and with existing lists."""
    for name, data in IMAGES.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    root = upload(faulty, {f"images/{name}": data for name, data in IMAGES.items()}) + "images"
    access = [f"--cache-dir={tmp_path / 'cache'}"]
    for key, value in faulty.s3_options.items():
        access.append(f"--storage-option={key}={str(value).lower()}")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert main(["im2rec", str(tmp_path / "a/x"), str(tmp_path / "images"), *options]) == 0
    expected = files(tmp_path / "a")
    assert {".lst", ".rec", ".idx"} == {Path(name).suffix for name in expected}
    before = faulty.requests.copy()
    assert main(["im2rec", str(tmp_path / "b/x"), root, *options, *access]) == 0
    assert files(tmp_path / "b") == expected
    lists = sum((faulty.requests - before)[key] for key in (f"GET {BUCKET}", f"GET {BUCKET}/"))
    assert lists == -(-len(IMAGES) // 3), "one list, in pages of three"
    for again in (options, options, []):  # the lists are made, used, and used
        assert main(["im2rec", f"s3://{BUCKET}/out/x", root, *again, *access]) == 0
    assert objects(faulty, "out") == expected and not faulty.uploads
    assert "using s3://bucket/out/x" in capsys.readouterr().out


def test_im2rec_leaves_out_bad_images_but_not_those_that_a_store_refuses(
    remote: RemoteOptions, faulty: FaultyServer, tmp_path: Path
) -> None:
    root = upload(faulty, {"images/0.jpg": jpeg(0), "images/1.jpg": b"no image"}) + "images"
    lines = [f"{number}\t0\t{number}.jpg\n" for number in range(3)]
    faulty.put(f"{BUCKET}/x.lst", "".join(lines).encode())
    packed = T.write_records(f"s3://{BUCKET}/x.lst", root, remote=remote)
    assert packed.rec == f"s3://{BUCKET}/x.rec" and packed.records == 1
    assert [bad.path for bad in packed.bad] == [f"{root}/1.jpg", f"{root}/2.jpg"]
    before = dict(faulty.objects)
    faulty.put(f"{BUCKET}/y.lst", lines[0].encode() * 50)
    faulty.every = (20, "403 AccessDenied")
    with pytest.raises(RemoteError, match="refuses access"):
        T.write_records(f"s3://{BUCKET}/y.lst", root, remote=remote)
    assert faulty.objects.keys() - before.keys() == {f"{BUCKET}/y.lst"}
    faulty.every = None
    for name in ("../x.jpg", "/x.jpg"):
        faulty.put(f"{BUCKET}/z.lst", f"0\t0\t{name}\n".encode())
        with pytest.raises(ArgumentError, match="names files outside s3://bucket/images"):
            T.write_records(f"s3://{BUCKET}/z.lst", root, remote=remote)


@pytest.mark.parametrize("name", ["shuffle", "repair", "index", "merge"])
@pytest.mark.parametrize("fault", ["403 AccessDenied", "503", faults.REFUSED])
def test_of_a_failed_run_nothing_is_visible(
    name: str, fault: str, rec: Path, url: str, remote: RemoteOptions, faulty: FaultyServer
) -> None:
    """Neither where the input cannot be read nor where the output cannot be written."""
    before = dict(faulty.objects)
    for source in (url, str(rec)):
        faulty.always = fault
        with pytest.raises(Error, match="s3://bucket"):
            CALLS[name](source, f"s3://{BUCKET}/out", remote)
        faulty.always = None
        assert faulty.objects == before and not faulty.uploads


def test_inputs_are_not_overwritten(
    rec: Path, url: str, remote: RemoteOptions, faulty: FaultyServer
) -> None:
    before = dict(faulty.objects)
    for out in (url, url.replace("s3:", "S3A:"), url.replace(".rec", ".idx")):
        with pytest.raises(ArgumentError, match=r"would overwrite the original|different files"):
            T.shuffle(url, out, remote=remote)
    with pytest.raises(ArgumentError, match="original"):
        T.quarantine(T.verify(url, remote=remote), url, remote)
    for out, error in {
        f"{faulty.url}/bucket/y.rec": UnsupportedError,
        f"s3://{BUCKET}/out/": ArgumentError,
        f"s3://{BUCKET}": ArgumentError,
    }.items():
        with pytest.raises(error):
            T.shuffle(rec, out, remote=remote)
    assert faulty.objects == before


def test_existing_outputs_are_replaced(
    rec: Path, url: str, remote: RemoteOptions, faulty: FaultyServer
) -> None:
    out = f"s3://{BUCKET}/out/y.rec"
    T.shuffle(rec, out, remote=remote)
    first = objects(faulty, "out")
    T.filter_records(url, out, labels=[1], remote=remote)
    assert T.info(out, remote=remote).records < 12
    T.shuffle(url, out, remote=remote)
    assert objects(faulty, "out") == first
    with pytest.raises(ArgumentError, match="is another index"):
        T.index(url, f"s3://{BUCKET}/out/y.idx", remote=remote)
    T.index(url, f"s3://{BUCKET}/out/y.idx", force=True, remote=remote)
    T.index(url, f"s3://{BUCKET}/out/y.idx", remote=remote)


def test_a_missing_index_is_found_missing_by_one_request(
    rec: Path, remote: RemoteOptions, faulty: FaultyServer
) -> None:
    url = upload(faulty, {"in/x.rec": rec}) + "in/x.rec"
    assert T.info(url, remote=remote).idx is None
    assert {key: count for key, count in faulty.requests.items() if "idx" in key} == {
        f"GET {BUCKET}/in/x.idx": 1
    }


def test_info_and_show_read_only_what_they_need(
    tmp_path: Path, remote: RemoteOptions, faulty: FaultyServer
) -> None:
    """An index and some records of a large file."""
    large = [jpeg(number) + b"\0" * 100_000 for number in range(200)]
    paths = write_records(tmp_path / "large", large)
    url = upload(
        faulty, {"in/x.rec": Path(paths["path_imgrec"]), "in/x.idx": Path(paths["path_imgidx"])}
    )
    T.info(f"{url}in/x.rec", sample=5, remote=remote)
    T.show(f"{url}in/x.rec", tmp_path / "sheet.html", count=5, remote=remote)
    assert faulty.sent[f"GET {BUCKET}/in/x.rec"] < 20 * 100_000
    assert faulty.requests[f"GET {BUCKET}/in/x.rec"] < 30


def test_urls_on_the_command_line(
    url: str, faulty: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    access = [
        f"--storage-option={key}={str(value).lower()}" for key, value in faulty.s3_options.items()
    ]
    access += [f"--cache-dir={tmp_path / 'cache'}", "--cache-limit=1GB", "--retries=1"]
    access += ["--timeout=20", "--readahead=1MB"]
    for command in (["info", url, "--json"], ["stats", url], ["verify", url, "--deep"]):
        assert main([*command, *access]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["records"] == 12
    assert main(["bench", url, "--rounds=1", "--batch-size=4", *access]) == 0
    assert "remote: " in capsys.readouterr().out
    assert main(["split", url, f"s3://{BUCKET}/out/y", "--parts=2", *access]) == 0
    assert set(objects(faulty, "out")) == {"y_0.rec", "y_0.idx", "y_1.rec", "y_1.idx"}


def test_secrets_are_not_shown(
    url: str, faulty: FaultyServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    faulty.always = "403 AccessDenied"
    access = [f"--cache-dir={tmp_path / 'cache'}", "--storage-option=secret_access_key=geheim"]
    access += ["--storage-option=access_key_id=jemand", f"--storage-option=endpoint={faulty.url}"]
    access += ["--storage-option=allow_http=true"]
    assert main(["info", url, *access]) == 2
    assert main(["info", url, "--storage-option=geheim"]) == 2
    signed = f"{faulty.url}/bucket/in/x.rec?signature=geheim"
    assert main(["verify", signed, f"--cache-dir={tmp_path / 'cache'}"]) == 2
    output = capfd.readouterr()
    assert "geheim" not in output.out + output.err and "/bucket/in/x.rec" in output.err


@pytest.mark.parametrize(
    ("answers", "arguments"),
    [
        (4, ["shuffle", "{url}", "s3://bucket/out/y.rec"]),
        (1, ["shuffle", "{rec}", "s3://bucket/out/y.rec"]),
        (3, ["verify", "{url}"]),
        (3, ["extract", "{url}", "{out}"]),
        (3, ["stats", "{url}"]),
        (3, ["im2rec", "{out}", "s3://bucket/in"]),
    ],
)
def test_ctrl_c_ends_at_once(
    answers: int, arguments: list[str], rec: Path, url: str, faulty: FaultyServer, tmp_path: Path
) -> None:
    """Also while a server does not answer, to a request to read or to write; nothing is visible
    then.
    """
    for number in range(8):
        faulty.put(f"{BUCKET}/in/{number}.jpg", jpeg(number))
    before = dict(faulty.objects)
    arguments = [each.format(url=url, rec=rec, out=tmp_path / "out") for each in arguments]
    access = [
        f"--storage-option={key}={str(value).lower()}" for key, value in faulty.s3_options.items()
    ]
    access += [f"--cache-dir={tmp_path / 'cache'}", "--timeout=600"]
    faulty.faults.extend([None] * answers)
    faulty.always = faults.HANG
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuio", *arguments, *access],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert faulty.waiting.wait(60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130 and "interrupted" in errors
    assert faulty.objects == before and not faulty.uploads


def test_the_index_of_a_signed_url_is_not_guessed(
    rec: Path, url: str, faulty: FaultyServer, tmp_path: Path
) -> None:
    """The signature is not that of another file, and is not shown."""
    options = RemoteOptions.create(cache_dir=tmp_path / "cache", retries=1, timeout=20)
    signed = f"{faulty.url}/{BUCKET}/in/x.rec?signature=geheim"
    found = T.info(signed, remote=options)
    assert found.records == 12 and found.idx is None and "geheim" not in repr(found)
    assert not any("idx" in key for key in faulty.requests)
    index = f"{faulty.url}/{BUCKET}/in/x.idx?signature=geheim"
    found = T.info(signed, index, remote=options)
    assert found.idx == index.partition("?")[0]
