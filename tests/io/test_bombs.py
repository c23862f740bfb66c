"""Images that would cost far more than their bytes: bad records like any other, everywhere."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.decoding.limits import VARIABLE
from gpuio.errors import ArgumentError, DecodeError
from gpuio.tools.cli import main
from tests.decoding.bombs import claiming, with_scans
from tests.decoding.samples import encoded
from tests.io.records import EXECUTORS, RUNS, jpeg, open_iter, write_records
from tests.io.test_dali_processes import run_process

# By the reason that is given.
BOMBS = {
    "claims 16384 x 16384 pixels in": claiming("JPEG", 16384, 16384),
    "65535 x 65535 pixels is over the limit": claiming("JPEG", 65535, 65535),
    "claims 16000 x 16000 pixels in": claiming("PNG", 16000, 16000),
    "has more than 100 scans": with_scans(3000, progressive=True),
    "16768000 x 256 pixels is over the limit": encoded(
        np.zeros((1, 65500, 3), np.uint8), "JPEG"
    ).tobytes(),
}


@pytest.fixture
def bombs(tmp_path: Path) -> dict[str, Path]:
    """A good image, the bombs, and another good one."""
    return write_records(tmp_path / "bombs", [jpeg(0), *BOMBS.values(), jpeg(1)])


def reasons(iterator: Any) -> None:
    found = [bad.reason for bad in iterator.bad_records]
    assert len(found) == len(BOMBS)
    for said, reason in zip(BOMBS, found, strict=True):
        assert said in reason


@pytest.mark.parametrize("executor", EXECUTORS)
def test_bombs_are_bad_records(bombs: dict[str, Path], executor: str, tmp_path: Path) -> None:
    options = dict(batch_size=7, resize=256, data_shape=(3, 24, 28), **RUNS[executor])
    with open_iter(**bombs, on_error="skip", **options) as iterator:
        for _ in range(2):  # the headers of the second epoch are those of the first
            batch = iterator.next()
            assert batch.index.tolist()[:2] == [0, 60] and batch.padding == 5
            iterator.reset()
        reasons(iterator)
        assert iterator.write_quarantine(tmp_path / "bad.tsv") == len(BOMBS)
    with open_iter(
        **bombs, **{**options, "batch_size": 2}, quarantine=tmp_path / "bad.tsv"
    ) as good:
        assert good.next().index.tolist() == [0, 60]
    with (
        open_iter(**bombs, **options) as iterator,
        pytest.raises(DecodeError, match=r"bombs\.rec, key 10.*claims 16384"),
    ):
        iterator.next()


class Own:
    """An augmenter that cannot be planned."""

    def __call__(self, image: Any) -> Any:
        return image


@pytest.mark.parametrize("own", [False, True])
def test_image_iter(bombs: dict[str, Path], own: bool) -> None:
    augmenters = mx.image.CreateAugmenter((3, 24, 28), resize=256)
    iterator = mx.image.ImageIter(
        7, (3, 24, 28), path_imgrec=bombs["path_imgrec"], path_imgidx=bombs["path_imgidx"],
        aug_list=[*augmenters, Own()] if own else augmenters, on_error="skip",
    )  # fmt: skip
    with iterator:
        assert iterator.next().padding == 5
        reasons(iterator)


def test_detection(tmp_path: Path) -> None:
    boxes = [[2, 5, 0, 0.1, 0.1, 0.9, 0.9]] * 7
    files = write_records(tmp_path / "x", [jpeg(0), *BOMBS.values(), jpeg(1)], boxes)
    with mx.io.ImageDetRecordIter(
        **files, data_shape=(3, 24, 28), batch_size=7, resize=256, on_error="skip"
    ) as iterator:
        assert iterator.next().padding == 5
        reasons(iterator)


def test_the_limit_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an argument, or in the environment; it counts for intermediate sizes as well."""
    files = write_records(tmp_path / "x", [jpeg(0), jpeg(1, 90, 80)])
    options = dict(data_shape=(3, 24, 28), batch_size=2, on_error="skip")
    for limit, bad in ((90 * 80, 0), (90 * 80 - 1, 1)):
        with mx.io.ImageRecordIter(**files, **options, max_pixels=limit) as iterator:
            iterator.next()
            assert len(iterator.bad_records) == bad
    with mx.io.ImageRecordIter(**files, **options, resize=100, max_pixels=100 * 115) as iterator:
        iterator.next()
        assert [bad.key for bad in iterator.bad_records] == [0]  # 60 x 50 becomes 120 x 100
    monkeypatch.setenv(VARIABLE, "5000")
    with mx.io.ImageRecordIter(**files, **options) as iterator:
        iterator.next()
        assert "over the limit of 5000 pixels" in iterator.bad_records[0].reason
    with pytest.raises(DecodeError, match="over the limit of 5000 pixels"):
        mx.image.imdecode(jpeg(1, 90, 80))
    dataset = mx.gluon.data.vision.ImageRecordDataset(files["path_imgrec"])
    assert dataset[0][0].shape == (50, 60, 3)
    with pytest.raises(DecodeError, match=r"x\.rec, key 10.*over the limit of 5000"):
        dataset[1]


HUGE = {
    "resize": dict(resize=10**9),
    "pad": dict(pad=10**6),
    "data_shape": dict(data_shape=(3, 20_000, 20_000)),
    "are too large": dict(batch_size=10**8, data_shape=(3, 224, 224), round_batch=False),
    "with labels": dict(label_width=10**12),
    "preprocess_threads must be at most": dict(preprocess_threads=10**7),
    "prefetch_buffer must be at most": dict(prefetch_buffer=10**6),
    "are too many": dict(prefetch_buffer=60_000, data_shape=(3, 2048, 2048)),
    "max_pixels must be": dict(max_pixels=0),
}


@pytest.mark.parametrize("said", HUGE)
def test_what_cannot_work_is_an_error_of_the_arguments(said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        open_iter(**HUGE[said])


COST = """
import sys
import gpuio as mx

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("VmHWM"))

options = dict(data_shape=(3, 24, 28), batch_size=7, on_error="skip", preprocess_threads=1)
with mx.io.ImageRecordIter(path_imgrec=sys.argv[1], resize=30, **options) as iterator:
    iterator.next()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = peak()
for resize in (256, -1):
    with mx.io.ImageRecordIter(path_imgrec=sys.argv[2], resize=resize, **options) as iterator:
        iterator.next()
        found = {bad.offset: bad.reason for bad in iterator.bad_records}
for payload in sys.argv[3:]:
    with open(payload, "rb") as file:
        try:
            mx.image.imdecode(file.read())
        except mx.base.MXNetError:
            pass
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_bombs_cost_little(bombs: dict[str, Path], tmp_path: Path) -> None:
    good = write_records(tmp_path / "good", [jpeg(0)] * 7)
    paths = [tmp_path / f"{number}.img" for number in range(len(BOMBS))]
    for path, payload in zip(paths, BOMBS.values(), strict=True):
        path.write_bytes(payload)
    megabytes = int(run_process(COST, good["path_imgrec"], bombs["path_imgrec"], *paths))
    # Up to 2**26 pixels, the strip of 65500 x 1 is scaled as a whole.
    assert megabytes < 300


def test_datasets(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x.jpg").write_bytes(jpeg(0))
    files = write_records(tmp_path / "x", [jpeg(0)])
    vision = mx.gluon.data.vision
    for make in (
        lambda limit: vision.ImageRecordDataset(files["path_imgrec"], max_pixels=limit),
        lambda limit: vision.ImageFolderDataset(folder, max_pixels=limit),
        lambda limit: vision.ImageListDataset(folder, [[0, "a/x.jpg"]], max_pixels=limit),
    ):
        assert make(60 * 50)[0][0].shape == (50, 60, 3)
        with pytest.raises(DecodeError, match="over the limit of 2999 pixels"):
            make(60 * 50 - 1)[0]
    torch = pytest.importorskip("gpuio.torch")
    assert len(torch.RecordDataset(**files, max_pixels=60 * 50)[0][0]) == 3
    with pytest.raises(DecodeError, match="over the limit of 2999 pixels"):
        torch.RecordDataset(**files, max_pixels=60 * 50 - 1)[0]


def test_tools_say_it_in_a_line(
    bombs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rec = str(bombs["path_imgrec"])
    strip = "16768000 x 256"  # is as good as any, unless it is resized
    limited = len(BOMBS) - 1
    assert main(["verify", rec, "--deep"]) == 1
    assert f"findings: {limited} limit\n" in capsys.readouterr().out
    assert main(["verify", rec, "--max-pixels", "1"]) == 1
    assert f"findings: {len(BOMBS) + 2} limit\n" in capsys.readouterr().out
    assert main(["info", rec]) == 0
    assert f"over the limit: {limited}; list them with: gpuio verify" in capsys.readouterr().out
    assert main(["info", rec, "--max-pixels", "1"]) == 0
    assert f"gpuio verify {rec} --max-pixels 1\n" in capsys.readouterr().out
    assert main(["stats", rec, "--sample", "0", "--threads", "1"]) == 0
    assert f"{len(BOMBS)} could not be read" in capsys.readouterr().out
    assert main(["show", rec, "--out", str(tmp_path / "x.html")]) == 0
    page = (tmp_path / "x.html").read_text()
    assert page.count("pixels is over the limit") == 1 and strip not in page
    assert page.count("than jpeg can express") == 1


def test_im2rec_leaves_them_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images").mkdir()
    for number, payload in enumerate([jpeg(0), *BOMBS.values()]):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(payload)
    arguments = ["im2rec", str(tmp_path / "x"), str(tmp_path / "images"), "--resize", "256"]
    assert main([*arguments, "--num-thread", "1"]) == 1
    captured = capsys.readouterr()
    assert ": 1 record," in captured.out
    for said in BOMBS:
        assert said in captured.err
