"""Text files as blocks: names, headers, parts, positions."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from gpuio.errors import DataFileError, DataFileNotFoundError, UnsupportedError
from gpuio.io.text.files import TextFiles

LINES = [f"line {number}\n".encode() for number in range(20)]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuio.io.text.files.BLOCK", 16)


def text_of(files: TextFiles) -> bytes:
    return b"".join(block.text for block in files.blocks(*files.start))


def test_blocks_are_whole_lines_and_tell_where_they_begin(
    tmp_path: Path, small_blocks: None
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"".join(LINES))
    files = TextFiles(path, "data")
    blocks = list(files.blocks(*files.start))
    assert len(blocks) > 5 and b"".join(block.text for block in blocks) == b"".join(LINES)
    for block in blocks:
        assert block.text.endswith(b"\n") and block.file == 0
        assert next(files.blocks(0, block.offset)) == block
        number = LINES.index(block.text.splitlines(keepends=True)[0])
        assert files.locate(block, 0) == f"{path}, line {number + 1}"


def test_several_files_a_list_and_a_directory(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "folder").mkdir()
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert text_of(TextFiles(f"{b};{a};", "data")) == b"b\na\n"
    assert text_of(TextFiles([tmp_path / "b", f"file://{a}"], "data")) == b"b\na\n"
    assert text_of(TextFiles(tmp_path, "data")) == b"a\nb\nc\n"
    with pytest.raises(TypeError, match="string or a path"):
        TextFiles(a.encode(), "data")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sequence"):
        TextFiles(5, "data")  # type: ignore[arg-type]
    with pytest.raises(DataFileNotFoundError, match=r"data: .*none does not exist"):
        TextFiles(tmp_path / "none", "data")


@pytest.mark.parametrize(
    ("ending", "pack"),
    [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_headers_byte_order_marks_and_compression(ending: str, pack, tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    path.write_bytes(pack(b"\xef\xbb\xbf" + b"".join(LINES)))
    assert text_of(TextFiles(path, "data")) == b"".join(LINES)
    files = TextFiles(path, "data", skip_header=2)
    assert text_of(files) == b"".join(LINES[2:])
    (block,) = files.blocks(*files.start)
    assert files.locate(block, 0) == f"{path}, line 3"
    if ending:
        with pytest.raises(UnsupportedError, match="decompress it first"):
            TextFiles(path, "data", part=0, parts=2)
        path.write_bytes(pack(b"".join(LINES))[:-9])
        with pytest.raises(DataFileError, match="cannot be read"):
            text_of(TextFiles(path, "data"))


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
def test_parts_divide_the_lines(parts: int, tmp_path: Path, small_blocks: None) -> None:
    (tmp_path / "a").write_bytes(b"".join(LINES[:7]))
    (tmp_path / "b").write_bytes(b"# comment\n\n" + b"".join(LINES[7:]))
    whole, before = b"", 0
    for part in range(parts):
        files = TextFiles(tmp_path, "data", 0, part, parts)
        text = text_of(files)
        assert files.lines_before() == before
        before += sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))
        whole += text
    assert whole == text_of(TextFiles(tmp_path, "data")) and before == 20


def test_a_fingerprint_depends_on_the_contents_and_the_part(tmp_path: Path) -> None:
    path = tmp_path / "x"
    prints = []
    for content in (b"1\n2\n", b"1\n3\n", b"1\n2\n3\n"):
        path.write_bytes(content)
        prints.append(TextFiles(path, "data").fingerprint())
    prints.append(TextFiles(path, "data", part=0, parts=2).fingerprint())
    prints.append(TextFiles(path, "data", skip_header=1).fingerprint())
    assert len(set(prints)) == 5
    assert TextFiles(path, "data").fingerprint() == prints[2]


def test_a_file_without_line_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None
) -> None:
    monkeypatch.setattr("gpuio.io.text.files.LONGEST_LINE", 1 << 20)
    path = tmp_path / "x"
    path.write_bytes(bytes(3 << 20))
    with pytest.raises(DataFileError, match="no line end in 1 MiB; is it a text file"):
        text_of(TextFiles(path, "data"))
