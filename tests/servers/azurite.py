"""Azurite: Azure Blob Storage for tests, from npm's package ``azurite``."""

import base64
import hashlib
import hmac
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from tests.servers.processes import START, answers_http, free_ports, program, running

ACCOUNT = "gpuioaccount"
SECRET = base64.b64encode(b"gpuio-test-secret").decode()
CONTAINER = "container"


@dataclass(frozen=True)
class Azurite:
    """A running server.

    Attributes
    ----------
    endpoint : its URL, with the account
    """

    endpoint: str

    @property
    def options(self) -> dict[str, object]:
        """`storage_options` for ``az://container``."""
        return {
            "endpoint": self.endpoint, "account_name": ACCOUNT, "account_key": SECRET,
            "allow_http": True,
        }  # fmt: skip


@contextmanager
def azurite(folder: Path) -> Iterator[Azurite]:
    """Run a server with one container.

    Parameters
    ----------
    folder : an empty one for its data
    """
    name = program("azurite-blob", "GPUIO_AZURITE", "npm's package azurite")
    (port,) = free_ports(1)
    command = [
        name, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder),
        "--silent", "--disableTelemetry", "--skipApiVersionCheck",
    ]  # fmt: skip
    server = Azurite(f"http://127.0.0.1:{port}/{ACCOUNT}")
    environment = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{SECRET}"}
    with running(command, folder, lambda: answers_http(server.endpoint), environment):
        _create_container(server)
        yield server


def _create_container(server: Azurite) -> None:
    """Create the container, by a signed request."""
    date, version = formatdate(usegmt=True), "2021-08-06"
    resource = f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    text = f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:{version}\n{resource}"
    key = base64.b64decode(SECRET)
    signature = base64.b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).decode()
    request = urllib.request.Request(
        f"{server.endpoint}/{CONTAINER}?restype=container", b"", method="PUT",
        headers={
            "x-ms-date": date, "x-ms-version": version, "Content-Type": "",
            "Authorization": f"SharedKey {ACCOUNT}:{signature}",
        },
    )  # fmt: skip
    urllib.request.urlopen(request, timeout=START).close()
