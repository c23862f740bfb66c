"""``gpuio … --on ray`` with files in an S3 store, on the local cluster that is the default."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpuio.storage.remote.opening import list_files, open_file
from gpuio.storage.remote.options import RemoteOptions
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


def test_inputs_and_outputs(
    s3_server: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    images = tmp_path / "images"
    images.mkdir()
    options = RemoteOptions.create()
    from gpuio.storage.remote.replacing import write_file

    for number in range(40):
        content = b"broken" if number == 7 else jpeg(number, 90, 70)
        (images / f"{number:02}.jpg").write_bytes(content)
        if number != 7:
            write_file(f"s3://bucket/images/{number:02}.jpg", content, options)
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
        assert bytes(open_file(f"s3://bucket/a.{ending}", options)[:]) == packed
        assert bytes(open_file(f"s3://bucket/shuffled.{ending}", options)[:]) == shuffled
        assert (tasked / f"shuffled.{ending}").read_bytes() == shuffled
    names = [name for name in list_files("s3://bucket", options) if not name.startswith("images/")]
    assert names == ["a.idx", "a.lst", "a.rec", "b.idx", "b.lst", "b.rec", "shuffled.idx",
                     "shuffled.rec"]  # fmt: skip
    assert s3_server.unfinished() == []
