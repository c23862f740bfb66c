"""Files that are written: replaced as a whole or not at all, and no other file instead."""

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuio.errors import RecordError, RecordFileNotFoundError
from gpuio.storage.locked_file import open_exclusive
from gpuio.storage.output_file import create
from gpuio.storage.writing import (
    NAME_MAX,
    remove_abandoned,
    replacing,
    replacing_in,
    unfinished,
    write_file,
)

ROOT = Path(__file__).parents[2]

TEMPORARY = re.compile(r"(.+)\.[0-9a-f]{16}\.part")

# Writes files as a user who is neither root nor the owner of any file.
AS_ANOTHER_USER = """
import os, sys
from gpuio.storage.writing import write_file
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        write_file(path, b"new")
    except Exception as error:
        print(type(error).__name__, error)
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def python(code: str, *arguments: object, limit: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run Python code, with a limit of bytes in a file."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    if limit:
        command = ["prlimit", f"--fsize={limit}", *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_old_content_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new" * 9999)
        (temporary,) = set(names(tmp_path)) - {"x"}
        found = TEMPORARY.fullmatch(temporary)
        assert found is not None and found[1] == "x"
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" * 9999 and names(tmp_path) == ["x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_alone(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as file:
        file.write(b"new" * 9999)
        raise error
    assert path.read_bytes() == b"old" and names(tmp_path) == ["x"]


def test_temporary_names_differ(tmp_path: Path) -> None:
    found = set()
    for _ in range(20):
        with replacing(tmp_path / "x"):
            found.update(name for name in names(tmp_path) if name != "x")
    assert len(found) == 20


def test_permissions_are_those_that_the_file_should_have(tmp_path: Path) -> None:
    path = tmp_path / "x"
    umask = os.umask(0o027)
    try:
        write_file(path, b"")
        assert mode_of(path) == 0o640
        path.chmod(0o604)
        write_file(path, b"")
        assert mode_of(path) == 0o604
        path.chmod(0o600)
        with replacing(path):  # nor can others read it meanwhile
            assert {mode_of(each) for each in tmp_path.iterdir()} == {0o600}
    finally:
        os.umask(umask)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("data/real")
    (tmp_path / "new").symlink_to("data/missing")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("link", "new"):
        write_file(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "data" / "real").read_bytes() == b"new"
    assert (tmp_path / "data" / "missing").read_bytes() == b"new"
    with pytest.raises(RecordError, match="loop cannot be written: Too many levels"):
        write_file(tmp_path / "loop", b"")
    assert names(tmp_path) == ["data", "link", "loop", "new"]


def test_devices_and_pipes_are_written_directly(tmp_path: Path) -> None:
    write_file("/dev/null", b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_file(pipe, b"through")
        assert os.read(end, 99) == b"through"
    finally:
        os.close(end)
    assert names(tmp_path) == ["pipe"]


def test_standard_output_is_written_directly(tmp_path: Path) -> None:
    """Where it is a file, what was there before stays."""
    code = "import sys; from gpuio.storage.writing import write_file\n"
    code += "print('first', flush=True); write_file('/dev/stdout', b'second\\n')"
    with open(tmp_path / "out", "ab") as out:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=out, check=True, timeout=60)
    assert (tmp_path / "out").read_bytes().endswith(b"second\n")
    assert python(code).stdout == "first\nsecond\n"


@pytest.mark.parametrize("name", ["n" * NAME_MAX, "ü" * 127, os.fsdecode(b"\xff" * NAME_MAX)])
def test_the_longest_names(name: str, tmp_path: Path) -> None:
    write_file(tmp_path / name, b"new")
    assert names(tmp_path) == [name]
    with open_exclusive(unfinished(tmp_path / name)) as file:
        file.write(b"part")
    with open_exclusive(unfinished(tmp_path / name)) as file:
        file.seek(0)
        assert file.read() == b"part"
    assert unfinished(tmp_path / name, ".part.json") != unfinished(tmp_path / name)


WRONG: dict[str, Callable[[Path], Path]] = {
    "a longer name": lambda folder: folder / ("n" * 256),
    "a directory": lambda folder: folder,
    "below a file": lambda folder: folder / "file" / "x",
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("write", [write_file, lambda path, _: create(str(path), "wb")])
def test_errors_name_the_file(
    name: str, write: Callable[[Path, bytes], object], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    path = WRONG[name](tmp_path)
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))} cannot be written: .+;"):
        write(path, b"")
    assert names(tmp_path) == ["file"]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match="its directory does not exist; create it"):
        write_file(tmp_path / "none" / "x", b"")


def test_paths_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_file("x", b"new")
    write_file("file://x", b"newer")
    assert names(tmp_path) == ["x"] and Path("x").read_bytes() == b"newer"


def test_a_full_disk(tmp_path: Path) -> None:
    """Whenever the buffer is flushed: while writing, at the end, or when the file is closed."""
    path = tmp_path / "x"
    path.write_bytes(b"old")
    code = """
import sys
from gpuio.errors import RecordError
from gpuio.storage.output_file import create
from gpuio.storage.writing import write_file
for size in (5000, 9000, 99999):
    for write in (write_file, lambda path, data: create(path + ".direct", "wb").write(data)):
        try:
            write(sys.argv[1], bytes(size))
        except RecordError as error:
            print(error)
"""
    done = python(code, path, limit=4096)
    lines = done.stdout.splitlines()
    reason = "cannot be written: File too large; make room, or choose another location"
    assert lines.count(f"{path} {reason}") == 3 and f"{path}.direct {reason}" in lines
    assert path.read_bytes() == b"old" and names(tmp_path) == ["x", "x.direct"]


def test_what_killed_processes_leave_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    code = """
import os, signal, sys
from gpuio.storage.writing import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"new")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    for name in ("x", "y"):
        assert python(code, tmp_path / name).returncode == -signal.SIGKILL
    (tmp_path / "x.not-abandoned.part").touch()
    left = names(tmp_path)
    assert len(left) == 3
    with replacing(path):  # another run's file is not abandoned
        write_file(path, b"")
        assert len([name for name in names(tmp_path) if TEMPORARY.fullmatch(name)]) == 2
    assert len(set(left) - set(names(tmp_path))) == 1
    remove_abandoned(str(tmp_path))
    assert names(tmp_path) == ["x", "x.not-abandoned.part"]


def test_files_in_an_open_folder(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("victim")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for name in ("link", "new"):
            with replacing_in(folder, name, name) as file:
                file.write(b"new")
    finally:
        os.close(folder)
    assert not (tmp_path / "link").is_symlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "victim": b"precious",
        "link": b"new",
        "new": b"new",
    }


@as_root
def test_files_that_may_not_be_written(public_path: Path) -> None:
    path = public_path / "x"
    path.write_bytes(b"old")
    new = public_path / "new"
    denied = "RecordError {} cannot be written: Permission denied; choose a location with write "
    # Neither the file nor the folder; then the folder only.
    for mode, paths in ((0o755, (path, new)), (0o777, (path,))):
        public_path.chmod(mode)
        lines = python(AS_ANOTHER_USER, *paths).stdout.splitlines()
        for each, line in zip(paths, lines, strict=True):
            assert line.startswith(denied.format(each))
        assert path.read_bytes() == b"old"
    public_path.chmod(0o755)
    path.chmod(0o666)  # the file, but not its folder
    assert python(AS_ANOTHER_USER, path).stdout == ""
    assert path.read_bytes() == b"new" and names(public_path) == ["x"]


@as_root
def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    os.chown(path, 65534, 65534)
    write_file(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
