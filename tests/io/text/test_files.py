"""Text files as blocks: names, headers, parts, positions."""

import bz2
import gzip
import lzma
import re
from pathlib import Path

import pytest

from gpuio.errors import DataFileError, DataFileNotFoundError, UnsupportedError
from gpuio.io.text.files import BLOCK, FIELD_BYTES, LINE_BYTES, TextFiles

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


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("before", [0, 1, 5])
def test_a_line_longer_than_its_fields_can_be_is_named(
    before: int, ending: str, tmp_path: Path
) -> None:
    """The length of a line bounds what its parser takes, however few fields it should have."""
    path = tmp_path / f"x{ending}"
    longest = LINE_BYTES + 3 * FIELD_BYTES
    lines = [b"1,2,3\n"] * before
    several_blocks = bytes(BLOCK + 2 * longest)
    for text in (b",".join([b"1"] * (longest // 2 + 2)), several_blocks, b"1\r" * longest):
        for last in (text, text + b"\n", text + b"\n4,5,6\n"):
            content = b"".join([*lines, last])
            path.write_bytes(gzip.compress(content, 1) if ending else content)
            files = TextFiles(path, "data", fields=3)
            said = f"line {before + 1}: the line has more than {longest} bytes, expected at most 3"
            with pytest.raises(DataFileError, match=re.escape(said)):
                text_of(files)
    content = b"".join([*lines, bytes(longest), b"\n", *lines])
    path.write_bytes(gzip.compress(content, 1) if ending else content)
    assert text_of(TextFiles(path, "data", fields=3)) == content


def test_a_long_line_in_the_header_or_before_a_part_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(5 << 20) + b"\n1\n")
    assert text_of(TextFiles(path, "data", skip_header=1, fields=1)) == b"1\n"
    assert text_of(TextFiles(path, "data", 0, 1, 2, fields=1)) == b"1\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"PK\x03\x04", "a zip archive"),
        (gzip.compress(b"1\n2\n", mtime=0), "a gzip archive"),
        ("1\n2\n".encode("utf-16"), "text in UTF-16"),
    ],
)
def test_other_files_are_named(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=rf"x\.csv is {name}, not text in ASCII or UTF-8"):
        TextFiles(path, "data")
    # These begin like an image and an archive.
    for text in (b"GIF8,BZh\n", b"PAR1\n"):
        path.write_bytes(text)
        assert text_of(TextFiles(path, "data")) == text
