"""The benchmark of remote files runs: a tiny one, whose times mean nothing."""

import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.benchmarks.remote import __main__ as remote
from tests.benchmarks.remote.server import Counts, serving


def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    remote.main(["--records", "150", "--rounds", "1", "--delays", "0"])
    rows = {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("| ") and not line.startswith(("| |", "| ---")):
            name, *cells = line.strip("| ").split(" | ")
            rows[name] = [float(re.sub(r" \[.*|,", "", cell)) for cell in cells]
    assert len(rows) >= 7
    for per_second, cpu_ms, first_ms, _, _ in rows.values():
        assert per_second > 0 and cpu_ms > 0 and first_ms >= 0
    requests = {name: cells[3] for name, cells in rows.items()}
    assert 0 < requests["gpuio, shuffle=True"] <= 150 + 2
    for name in (
        "gpuio, shuffle=True, second epoch", 'gpuio, shuffle="blocks", second epoch',
        "gpuio, a local file", "ImageRecordIter, from the cache",
    ):  # fmt: skip
        assert requests[name] == 0


def test_the_server_sends_ranges_and_counts(tmp_path: Path) -> None:
    (tmp_path / "a.rec").write_bytes(bytes(range(100)))
    with serving(tmp_path, "bucket", 0.001) as server:
        url = f"{server.url}/bucket/a.rec"

        def get(begin_to_end: str | None, method: str = "GET") -> tuple[int, bytes, str | None]:
            headers = {} if begin_to_end is None else {"Range": f"bytes={begin_to_end}"}
            request = urllib.request.Request(url, headers=headers, method=method)
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read(), answer.headers["Content-Range"]

        assert get("5-9") == (206, bytes(range(5, 10)), "bytes 5-9/100")
        assert get("90-200")[1:] == (bytes(range(90, 100)), "bytes 90-99/100")
        assert get("98-") == (206, bytes([98, 99]), "bytes 98-99/100")
        assert get(None) == (200, bytes(range(100)), None)
        assert get(None, "HEAD") == (200, b"", None)
        assert server.counts() == Counts(4, 5 + 10 + 2 + 100)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{server.url}/bucket/b.rec")
        assert server.counts() - Counts(1, 5) == Counts(3, 112)
