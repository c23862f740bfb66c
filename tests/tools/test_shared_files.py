"""Files that tasks on other machines open."""

from dataclasses import replace
from pathlib import Path

import pytest

from gpuio.errors import Error, RecordFileNotFoundError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.commands.copying import Inputs
from gpuio.tools.shared_files import for_workers, open_shared
from tests.io.records import jpeg, write_records


def test_files_are_told_by_their_size(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    assert len(open_shared(str(path), 10, None)) == 10
    with pytest.raises(Error, match=r"has 10 bytes on the machine .*, expected 11"):
        open_shared(str(path), 11, None)
    with pytest.raises(RecordFileNotFoundError):
        open_shared(str(tmp_path / "b"), 10, None)


def test_records_are_opened_with_the_index_of_the_driver(tmp_path: Path) -> None:
    files = write_records(tmp_path / "a", [jpeg(number) for number in range(4)])
    with Inputs([files["path_imgrec"]], None) as inputs:
        shared = inputs.shared()
        files["path_imgidx"].unlink()
        with shared.open() as records:
            assert records.keys.tolist() == [0, 10, 20, 30]
            assert records.starts.tolist() == inputs.records.starts.tolist()
    with pytest.raises(Error, match="expected 3"):
        replace(shared, nbytes=3).open()


def test_each_machine_has_its_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path))
    assert for_workers(None) is None
    usual = for_workers(RemoteOptions.create(retries=3))
    assert usual is not None
    assert (usual.cache_dir, usual.retries) == (None, 3)
    given = RemoteOptions.create(cache_dir=tmp_path / "other")
    assert for_workers(given) is given
