"""StorageOptions: what a pickle and `repr` leave out."""

import pickle
from copy import copy as shallow
from copy import deepcopy

import pytest

from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.storage_options import StorageOptions

GIVEN = {
    "endpoint": "http://127.0.0.1:9",
    "secret_access_key": "very-secret",
    "client_options": {"default_headers": {"authorization": "very-secret"}, "timeout": "3s"},
}
NAMES = ("secret_access_key", "client_options.default_headers")


def test_they_are_the_mapping_that_was_given() -> None:
    options = StorageOptions(GIVEN)
    assert dict(options) == GIVEN and len(options) == 3 and options == GIVEN
    with pytest.raises(TypeError):
        options["region"] = "eu"  # type: ignore[index]


def test_a_pickle_has_the_names_of_secrets_only() -> None:
    data = pickle.dumps(StorageOptions(GIVEN))
    assert b"very-secret" not in data
    copy = pickle.loads(pickle.dumps(pickle.loads(data)))
    assert dict(copy) == {"endpoint": GIVEN["endpoint"], "client_options": {"timeout": "3s"}}
    assert copy.withheld == NAMES


def test_copies_within_a_process_keep_the_secrets() -> None:
    options = StorageOptions(GIVEN)
    assert shallow(options) == GIVEN
    assert deepcopy({"storage_options": options}) == {"storage_options": GIVEN}


def test_repr_hides_secrets() -> None:
    shown = repr(StorageOptions(GIVEN))
    assert "very-secret" not in shown and "127.0.0.1:9" in shown and "secret_access_key" in shown


def test_remote_options_know_what_was_left_out() -> None:
    options = RemoteOptions.create(storage_options=GIVEN, retries=3, readahead="1MB")
    assert RemoteOptions.create(**options.arguments()) == options
    copy = RemoteOptions.create(**pickle.loads(pickle.dumps(options.arguments())))
    assert copy == pickle.loads(pickle.dumps(options)) and copy.withheld == NAMES
