"""What the cache keeps apart."""

from pathlib import Path

import pytest

from gpuio.storage.remote.identity import object_identity, store_identity
from gpuio.storage.remote.opening import open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import parse_url
from tests.servers.faulty import FaultyServer, Object, faulty_server


def of_store(url: str, **options: object) -> str:
    return store_identity(parse_url(url), RemoteOptions.create(storage_options=options))


def test_servers_that_the_environment_names_share_nothing(
    tmp_path: Path, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also objects of the same size and ETag: some servers count, or use the time."""
    public = {"skip_signature": True, "region": "us-east-1"}
    options = RemoteOptions.create(tmp_path, storage_options=public)
    with faulty_server() as other:
        for server, data in [(faulty, b"a"), (other, b"b"), (faulty, b"a")]:
            server.objects["bucket/x"] = Object(data * 5000, '"1"')
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
            assert open_file("s3://bucket/x", options)[:3].tobytes() == data * 3


def test_queries_that_choose_an_object_share_nothing(tmp_path: Path, faulty: FaultyServer) -> None:
    options = RemoteOptions.create(tmp_path)
    for data in (b"a", b"b"):
        faulty.objects["get"] = Object(data * 5000, None)
        url = f"{faulty.url}/get?id={data.decode()}"
        assert open_file(url, options)[:3].tobytes() == data * 3


@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        ("s3", "AWS_ENDPOINT"),
        ("s3", "AWS_ENDPOINT_URL"),
        ("s3", "AWS_ENDPOINT_URL_S3"),
        ("az", "AZURE_STORAGE_ENDPOINT"),
        ("az", "AZURE_ENDPOINT"),
        ("az", "AZURE_STORAGE_ACCOUNT_NAME"),
        ("az", "AZURE_STORAGE_USE_EMULATOR"),
        ("gs", "GOOGLE_BASE_URL"),
    ],
)
def test_variables_that_say_where_a_store_is(
    scheme: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{scheme}://bucket/x"
    without = of_store(url)
    monkeypatch.setenv(name, "one")
    one = of_store(url)
    monkeypatch.setenv(name, "two")
    assert len({without, one, of_store(url)}) == 3
    assert of_store("hdfs://bucket/x") == of_store("hdfs://bucket/x", user="me")


def test_options_come_before_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    there = of_store("s3://bucket/x", endpoint="http://there")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://there/")
    assert of_store("s3://bucket/x") == there
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere")
    assert of_store("s3://bucket/x", aws_endpoint_url="http://there") == there


def test_an_account_is_the_same_wherever_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And options come before the URL, as for the client."""
    named = of_store("az://c@one/x")
    assert of_store("az://c@one.dfs.core.windows.net/x") == named
    assert of_store("az://c/x", account_name="one") == named != of_store("az://c/x")
    assert of_store("az://c@two/x", azure_storage_account_name="one") == named
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "one")
    assert of_store("az://c/x") == named
    assert len({named, of_store("az://c@two/x"), of_store("az://d@one/x")}) == 3


def test_nested_options() -> None:
    one, other = (
        of_store("oss://b/x", client_kwargs={"endpoint_url": where}) for where in ("a", "b")
    )
    assert one != other


def test_who_asks_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    public = of_store("s3://bucket/x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    assert of_store("s3://bucket/x", secret_access_key="secret", region="x") == public


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x?X-Amz-Date=1&X-Amz-Signature=1", "x?X-Amz-Date=2&X-Amz-Signature=2", True),
        ("x?versionId=1&X-Amz-Signature=1", "x?versionId=2&X-Amz-Signature=1", False),
        ("x?sv=1&sig=a%2F", "x?sv=1&sig=b", True),
        ("x?sig=1", "x", True),
        ("x?id=1", "x?id=2", False),
        ("x?st=1", "x?st=2", False),
        ("x?id=1", "x%3Fid=1", False),
        ("a%2Fb", "a/b", False),
        ("a//b", "a/b", False),
    ],
)
def test_objects_of_web_servers(one: str, other: str, same: bool) -> None:
    found = {object_identity(parse_url(f"http://h/{each}")) for each in (one, other)}
    assert len(found) == (1 if same else 2)


def test_keys_of_other_stores() -> None:
    assert object_identity(parse_url("s3://b/a?id=1#%20")) == "a?id=1#%20"
