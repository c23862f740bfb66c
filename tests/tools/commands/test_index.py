"""gpuio index: the index rebuilt from the records."""

from collections.abc import Sequence
from pathlib import Path

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records
from tests.tools.process import failure

DATA = Path(__file__).parents[2] / "golden" / "data"


def test_the_index_equals_the_one_the_writer_wrote(tmp_path: Path) -> None:
    rec = tmp_path / "magic.rec"
    rec.write_bytes((DATA / "magic.rec").read_bytes())
    assert mx.tools.index(rec) == (str(tmp_path / "magic.idx"), 6)
    assert (tmp_path / "magic.idx").read_bytes() == (DATA / "magic.idx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["magic.idx", "magic.rec"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    idx = tmp_path / "other.idx"
    assert main(["index", str(DATA / "img.rec"), "--idx", str(idx)]) == 0
    assert capsys.readouterr().out == f"{idx}: 12 records\n"
    with mx.recordio.MXIndexedRecordIO(idx, DATA / "img.rec", "r") as reader:
        assert reader.keys == list(range(12))
    assert main(["index", str(tmp_path / "none.rec")]) == 2
    assert "none.rec does not exist" in capsys.readouterr().err


def test_an_index_given_as_record_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    idx = write_records(tmp_path / "x", [jpeg(0), jpeg(1)])["path_imgidx"]
    assert failure(capsys, "index", idx).startswith(f"gpuio: {idx} is an index, not a record file")
    for command in (["info"], ["verify"], ["stats"], ["repair"], ["show", "--out", "y.png"]):
        line = failure(capsys, *command, idx)
        assert line.startswith(f"gpuio: {idx} is an index, not a record file")


def test_a_damaged_file_leaves_the_old_index(tmp_path: Path) -> None:
    rec, idx = tmp_path / "x.rec", tmp_path / "x.idx"
    rec.write_bytes((DATA / "img.rec").read_bytes()[:-8])
    idx.write_text("0\t0\n")
    with pytest.raises(RecordError, match="cut off"):
        mx.tools.index(rec)
    assert idx.read_text() == "0\t0\n"


def pack_list(path: Path, lines: list[tuple[int, str]], *, left_out: Sequence[int] = ()) -> Path:
    """A list of images, and the record file that im2rec makes of it."""
    listing = path.with_suffix(".lst")
    for number, (_, name) in enumerate(lines):
        (path.parent / name).write_bytes(b"" if number in left_out else jpeg(number))
    listing.write_text("".join(f"{key}\t{key % 3}\t{name}\n" for key, name in lines))
    packed = mx.tools.write_records(listing, path.parent)
    assert len(packed.bad) == len(left_out)
    return Path(packed.rec)


@pytest.mark.parametrize("left_out", [(), (0,), (1, 3)])
def test_the_keys_of_a_list(
    left_out: tuple[int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [(key, f"{key}.jpg") for key in (7, 3, 40, 2**62, 5)]
    rec = pack_list(tmp_path / "x", lines, left_out=left_out)
    idx, listing = rec.with_suffix(".idx"), rec.with_suffix(".lst")
    packed = idx.read_bytes()
    idx.unlink()
    assert main(["index", str(rec), "--list", str(listing)]) == 0
    assert idx.read_bytes() == packed
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{idx}: {5 - len(left_out)} records"
    assert out[1:] == (
        [f"{len(left_out)} lines of {listing} have no record, as images that im2rec left out"]
        if left_out
        else []
    )


def test_the_keys_of_a_list_in_another_order(tmp_path: Path) -> None:
    """A file that was shuffled after it was packed."""
    rec = pack_list(tmp_path / "x", [(key, f"{key}.jpg") for key in (7, 3, 40, 5)])
    mixed = mx.tools.shuffle(rec, tmp_path / "mixed.rec")
    written = Path(mixed.idx).read_bytes()
    mx.tools.index(mixed.rec, tmp_path / "new.idx", lst=tmp_path / "x.lst")
    assert (tmp_path / "new.idx").read_bytes() == written


def test_records_whose_ids_say_nothing_are_matched_in_order(tmp_path: Path) -> None:
    rec, listing = tmp_path / "x.rec", tmp_path / "x.lst"
    with mx.recordio.MXRecordIO(rec, "w") as writer:
        for number in range(3):
            header = mx.recordio.IRHeader(0, number, 0, 0)
            writer.write(mx.recordio.pack(header, jpeg(number)))
    listing.write_text("7\t0\ta.jpg\n3\t1\tb.jpg\n4\t2\tc.jpg\n")
    mx.tools.index(rec, lst=listing)
    assert mx.recordio.Index.load(tmp_path / "x.idx").keys.tolist() == [7, 3, 4]
    listing.write_text("7\t0\ta.jpg\n3\t1\tb.jpg\n")
    with pytest.raises(ArgumentError, match=r"only their order .* has 2 lines, .* has 3 records"):
        mx.tools.index(rec, lst=listing, force=True)


def test_the_list_of_another_file_is_refused(tmp_path: Path) -> None:
    rec = pack_list(tmp_path / "x", [(key, f"{key}.jpg") for key in (7, 3, 40)])
    before = rec.with_suffix(".idx").read_bytes()
    listing = tmp_path / "other.lst"
    for text, message in (
        ("7\t0\ta\n3\t0\tb\n", r"no line for record 2, which has the id 40 .*2 lines.*3 records"),
        ("1\t0\ta\n2\t0\tb\n3\t0\tc\n", "no line for record 0, which has the id 7"),
        ("7\t0\n", r"other\.lst, line 1: expected a key"),
    ):
        listing.write_text(text)
        with pytest.raises(ArgumentError, match=message):
            mx.tools.index(rec, lst=listing, force=True)
    with mx.recordio.MXRecordIO(tmp_path / "y.rec", "w") as writer:
        for number in (1, 2, 2):
            writer.write(mx.recordio.pack(mx.recordio.IRHeader(0, 0, number, 0), jpeg(0)))
    listing.write_text("1\t0\ta\n2\t0\tb\n3\t0\tc\n")
    with pytest.raises(ArgumentError, match="2 records have the id 2, for which it has fewer"):
        mx.tools.index(tmp_path / "y.rec", lst=listing)
    with pytest.raises(ArgumentError, match=r"none\.lst cannot be read"):
        mx.tools.index(rec, lst=tmp_path / "none.lst")
    with mx.recordio.MXRecordIO(tmp_path / "z.rec", "w") as writer:
        writer.write(b"short")
    with pytest.raises(RecordError, match=r"z\.rec, record 0 at byte 0: the record has 5 bytes"):
        mx.tools.index(tmp_path / "z.rec", lst=listing)
    assert rec.with_suffix(".idx").read_bytes() == before
    assert not (tmp_path / "y.idx").exists() and not list(tmp_path.glob("*.part"))


def test_the_list_of_faces_lacks_the_records_without_images(tmp_path: Path) -> None:
    files = tmp_path / "x.idx", tmp_path / "x.rec"
    labels = [[4.0, 6.0], 0.0, 0.0, 1.0, [1.0, 3.0], [3.0, 4.0]]
    with mx.recordio.MXIndexedRecordIO(*files, "w") as writer:
        for key, label in enumerate(labels):
            header = mx.recordio.IRHeader(0, label, key, 0)
            writer.write_idx(key, mx.recordio.pack(header, jpeg(key) if 1 <= key <= 3 else b""))
    listing = tmp_path / "x.lst"
    listing.write_text("".join(f"{key}\t0\t{key}.jpg\n" for key in (1, 2, 3)))
    mx.tools.index(files[1], tmp_path / "new.idx", lst=listing)
    assert (tmp_path / "new.idx").read_bytes() == files[0].read_bytes()


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("7\t0\n3\t{1}\n", "is another index: record 0 has the key 7, not 0"),
        ("0\t0\n", "is another index: records do not begin, or not all, where it says"),
        ("0\t0\n1\t4\n", "is another index: records do not begin, or not all, where it says"),
        ("something else", "exists, and is not an index that can be read"),
        ("0\t00\n1\t{1}\n", "is another index: its lines are written differently"),
    ],
)
def test_another_index_is_not_replaced_without_force(
    old: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rec = write_records(tmp_path / "x", [jpeg(0), jpeg(1)])["path_imgrec"]
    idx = rec.with_suffix(".idx")
    offsets = mx.recordio.Index.load(idx).offsets.tolist()
    idx.write_text(old.format(*offsets))
    before = idx.read_bytes()
    line = failure(capsys, "index", rec)
    assert line == (
        f"gpuio: {idx} {message}; --force replaces it, --list FILE writes the keys of a list, "
        "--idx FILE writes another file"
    )
    assert idx.read_bytes() == before and not list(tmp_path.glob("*.part"))
    assert main(["index", str(rec), "--force"]) == 0
    assert mx.recordio.Index.load(idx).keys.tolist() == [0, 1]
    assert main(["index", str(rec)]) == 0  # which changes nothing
