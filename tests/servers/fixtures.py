"""Fixtures of the servers. All but ours run until the tests end."""

from collections.abc import Iterator

import pytest

from tests.servers.azurite import Azurite, azurite
from tests.servers.faulty import FaultyServer, faulty_server
from tests.servers.hdfs import Hdfs, hdfs
from tests.servers.seaweedfs import SeaweedFS, seaweedfs


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    """A web server of the test's own: requests that others leave behind would take its faults."""
    with faulty_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server with authentication."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A server of Azure Blob Storage."""
    with azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="session")
def hdfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    """A NameNode and a DataNode."""
    with hdfs(tmp_path_factory.mktemp("hdfs")) as server:
        yield server
