"""``gpuio … --on ray`` with files in an S3 store, on the local cluster that is the default."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpuio.storage.remote.opening import list_files, open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import write_file
from gpuio.tools.cli import main
from tests.io.records import jpeg
from tests.servers.seaweedfs import KEY, SECRET, SeaweedFS

ROOT = Path(__file__).parents[2]

# The commands of a process, which all use one local cluster.
COMMANDS = """
import sys, ray
from gpuio.tools.cli import main
from gpuio.tools.commands import copying_in_tasks, record_checks
from gpuio.tools.commands.im2rec import shards

copying_in_tasks.LEAST_BYTES = record_checks.LEAST_RANGE = 1 << 12
shards.LEAST = 8
bucket, images = sys.argv[1:]
on = ["--on", "ray", "--num-cpus", "2"]
assert main(["im2rec", f"{bucket}/a", images, "--resize", "50", "--no-shuffle", *on]) == 1
assert not ray.is_initialized()
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
assert main(["im2rec", f"{bucket}/b", f"{bucket}/images", "--pass-through", *on]) == 0
assert main(["verify", f"{bucket}/a.rec", *on]) == 0
assert main(["shuffle", f"{bucket}/a.rec", "shuffled.rec", *on]) == 0
assert main(["shuffle", f"{bucket}/a.rec", f"{bucket}/shuffled.rec", *on]) == 0
"""


@pytest.fixture
def store(s3_server: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteOptions:
    """The options of the store; the environment says where it is."""
    variables = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT": s3_server.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "GPUIO_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return RemoteOptions.create()


def test_inputs_and_outputs(
    s3_server: SeaweedFS, store: RemoteOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(40):
        content = b"broken" if number == 7 else jpeg(number, 90, 70)
        (images / f"{number:02}.jpg").write_bytes(content)
        if number != 7:
            write_file(f"s3://bucket/images/{number:02}.jpg", content, store)
    alone = tmp_path / "alone"
    alone.mkdir()
    monkeypatch.chdir(alone)
    assert main(["im2rec", "a", str(images), "--resize", "50", "--no-shuffle"]) == 1
    assert main(["shuffle", "a.rec", "shuffled.rec"]) == 0
    tasked = tmp_path / "tasked"
    tasked.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, "s3://bucket", str(images)],
        cwd=tasked,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "07.jpg: not an image that OpenCV can read" in done.stderr
    for ending in ("rec", "idx"):
        packed, shuffled = ((alone / f"{name}.{ending}").read_bytes() for name in ("a", "shuffled"))
        assert bytes(open_file(f"s3://bucket/a.{ending}", store)[:]) == packed
        assert bytes(open_file(f"s3://bucket/shuffled.{ending}", store)[:]) == shuffled
        assert (tasked / f"shuffled.{ending}").read_bytes() == shuffled
    names = [name for name in list_files("s3://bucket", store) if not name.startswith("images/")]
    assert names == ["a.idx", "a.lst", "a.rec", "b.idx", "b.lst", "b.rec", "shuffled.idx",
                     "shuffled.rec"]  # fmt: skip
    assert s3_server.unfinished() == []


# im2rec that waits as soon as it has a shard: a process that is killed while it is at work.
WAITS = """
import sys, threading
from gpuio.tools.commands.im2rec import packing, shards

made = shards.pack_in_tasks

def first(*arguments):
    for shard in made(*arguments):
        print("one", flush=True)
        threading.Event().wait()

packing.pack_in_tasks = first
shards.LEAST = 8
from gpuio.tools.cli import main
main(["im2rec", f"{sys.argv[1]}/k/b", sys.argv[2], "--on", "ray", "--num-cpus", "2"])
"""


def test_what_a_killed_run_leaves_has_a_name_of_its_own(
    store: RemoteOptions, tmp_path: Path
) -> None:
    """As the documentation says; and the next run is not disturbed."""
    for number in range(40):
        (tmp_path / f"{number:02}.jpg").write_bytes(jpeg(number, 90, 70))
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, "s3://killed", str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and b"one\n" in process.stdout
    finally:
        process.kill()
        process.communicate()
    left = list_files("s3://killed/k/", store)
    assert [name for name in left if re.fullmatch(r"b\.rec\.[0-9a-f]{16}-\d+\.part", name)]
    assert main(["im2rec", "s3://killed/k/b", str(tmp_path)]) == 0
    found = set(list_files("s3://killed/k/", store))
    assert {"b.idx", "b.rec"} <= found
