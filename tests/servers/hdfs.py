"""HDFS: a NameNode and a DataNode of Hadoop 2.7.3.

Their jars are in the source package of PyPI's ``pyspark==2.4.8`` (220 MB), which
``python -m tests.servers.hdfs FOLDER`` downloads and unpacks; ``GPUIO_HDFS=FOLDER`` runs the tests
that need them. They need Java 17 or 21.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.processes import START, answers_http, free_ports, program, running

PACKAGE, JAR = "pyspark==2.4.8", "hadoop-hdfs-2.7.3.jar"

# What Hadoop 2.7 takes from Java without asking.
_OPEN = [
    f"--add-opens=java.base/{name}=ALL-UNNAMED"
    for name in ("java.lang", "java.lang.reflect", "java.net", "java.util", "sun.net.dns")
]

_SITE = """<?xml version="1.0"?>
<configuration>
{properties}
</configuration>
"""


@dataclass(frozen=True)
class Hdfs:
    """A running cluster.

    Attributes
    ----------
    url : of its file system
    """

    url: str


def prepare(folder: Path) -> None:
    """Download the package and unpack its jars, unless they are there."""
    if (folder / JAR).exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        unfinished = Path(name, "jars")
        unfinished.mkdir()
        _unpack(_download(Path(name)), unfinished)
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted call may have left
        unfinished.rename(folder)


def _download(folder: Path) -> Path:
    """Have pip download the package: its archive.

    It runs the package's setup.py, which needs setuptools, and fails where there is a current
    pypandoc, as there is in the environment that pip would make for it.
    """
    venv.create(folder / "venv", with_pip=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "-q", "setuptools<81", "wheel"], check=True, timeout=120)
    subprocess.run(
        [*pip, "download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
         "-d", str(folder), PACKAGE],
        check=True, timeout=300,
    )  # fmt: skip
    return next(folder.glob("pyspark-*.tar.gz"))


def _unpack(archive: Path, folder: Path) -> None:
    """Copy the package's jars to a folder."""
    with tarfile.open(archive) as package:
        for member in package:
            if "/deps/jars/" in member.name and member.isfile():
                source = package.extractfile(member)
                assert source is not None
                with (folder / Path(member.name).name).open("wb") as target:
                    shutil.copyfileobj(source, target)


@contextmanager
def hdfs(folder: Path) -> Iterator[Hdfs]:
    """Run a cluster.

    Parameters
    ----------
    folder : an empty one for its data
    """
    jars = os.environ.get("GPUIO_HDFS", "")
    if not jars:
        pytest.skip("GPUIO_HDFS is not set; see tests/servers/hdfs.py")
    java = program("java", "GPUIO_JAVA", "Debian's openjdk-17-jre-headless")
    names = ("rpc", "name_http", "data", "data_ipc", "data_http")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    _configure(folder, ports)
    classes = f"{folder}:{Path(jars).absolute()}/*"
    nodes = "org.apache.hadoop.hdfs.server"
    temporary = folder / "java"
    temporary.mkdir()
    settings = ["-Djava.net.preferIPv4Stack=true", f"-Djava.io.tmpdir={temporary}"]
    base = [java, "-Xmx200m", *settings, *_OPEN, "-cp", classes]
    name_node = [*base, f"{nodes}.namenode.NameNode"]
    done = subprocess.run(
        [*name_node, "-format", "-force", "-nonInteractive"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=START,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    name_page = f"http://127.0.0.1:{ports['name_http']}/jmx"
    data_page = f"http://127.0.0.1:{ports['data_http']}/jmx"
    with running(name_node, folder, lambda: answers_http(name_page)):
        data_node = [*base, f"{nodes}.datanode.DataNode"]
        with running(data_node, folder, lambda: _is_ready(name_page) and answers_http(data_page)):
            yield Hdfs(f"hdfs://127.0.0.1:{ports['rpc']}")


def _configure(folder: Path, ports: dict[str, int]) -> None:
    """Write what both nodes read from the class path."""
    host = "127.0.0.1"
    core = {"fs.defaultFS": f"hdfs://{host}:{ports['rpc']}", "hadoop.tmp.dir": f"{folder}/tmp"}
    site = {
        "dfs.namenode.http-address": f"{host}:{ports['name_http']}",
        "dfs.namenode.rpc-bind-host": host,
        "dfs.datanode.address": f"{host}:{ports['data']}",
        "dfs.datanode.ipc.address": f"{host}:{ports['data_ipc']}",
        "dfs.datanode.http.address": f"{host}:{ports['data_http']}",
        "dfs.datanode.hostname": host,
        "dfs.replication": "1",
        "dfs.webhdfs.enabled": "false",
        "dfs.permissions.enabled": "false",
        "dfs.namenode.safemode.extension": "0",
        "dfs.namenode.fs-limits.min-block-size": "1024",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
    }
    for name, values in (("core", core), ("hdfs", site)):
        properties = "\n".join(
            f"<property><name>{key}</name><value>{value}</value></property>"
            for key, value in values.items()
        )
        (folder / f"{name}-site.xml").write_text(_SITE.format(properties=properties))
    for name in ("hdfs", "datanode", "secondary"):
        (folder / "webapps" / name).mkdir(parents=True)


def _is_ready(name_page: str) -> bool:
    """Whether the NameNode has a DataNode and may be written to."""
    query = "?qry=Hadoop:service=NameNode,name=FSNamesystemState"
    try:
        with urllib.request.urlopen(name_page + query, timeout=5) as answer:
            states = json.load(answer)["beans"]
    except (OSError, http.client.HTTPException, ValueError):  # it begins meanwhile
        return False
    expected = {"NumLiveDataNodes": 1, "FSState": "Operational"}  # missing at first
    return any(expected.items() <= state.items() for state in states)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
