"""The code of the documentation's pages, of those that need no more than gpuio's own packages.

Pages about remote files run with an S3 server, pages about GPUs on a simulated one.
"""

import ast
import contextlib
import re
from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.registry import open_store
from tests.io.records import jpeg
from tests.pages import PAGES, ROOT, Page, missing, pages
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.remote.conformance import write

OWN = [page for page in pages() if not page.needs]

# Blocks of commands (sh) that are shown and not run: how many, and why.
NOT_RUN = {
    "install.md": (2, "they install packages, of this system or of another one"),
    "tutorial.md": (1, "it installs packages; the code below needs them"),
    "howto/ray.md": (3, "they install Ray, need a cluster, or the command line of AWS"),
    "howto/distributed.md": (2, "they need a cluster, or several machines"),
}

# A key of the form that Azure has, in the variable of an example.
SAS = "?sv=1&sig=x"


@pytest.fixture
def bucket(s3_server: SeaweedFS, tmp_path: Path) -> dict[str, str]:
    """The variables with which ``s3://bucket`` has record files and a folder of images."""
    pytest.importorskip("obstore")
    options: Any = {"storage_options": s3_server.options}
    image = jpeg(0, 60, 50)
    for name, label in (("train", 0), ("objects", [2, 5, 0, 0.2, 0.2, 0.8, 0.8])):
        url = f"s3://bucket/{name}"
        with mx.recordio.MXIndexedRecordIO(f"{url}.idx", f"{url}.rec", "w", **options) as records:
            for key in range(130):
                header = mx.recordio.IRHeader(0, label, key, 0)
                records.write_idx(key, mx.recordio.pack(header, image))
    for number in range(16):
        url = f"s3://bucket/photos/{'cat' if number % 2 else 'dog'}/{number}.jpg"
        store, key = open_store(url, RemoteOptions.create(**options))
        write(store, key, image)
    return {
        **{
            f"AWS_{name.upper()}": str(value)
            for name, value in s3_server.options.items()
            if name != "allow_http"
        },
        "GPUIO_CACHE_DIR": str(tmp_path / "own-cache"),
        "SAS": SAS,
    }


@pytest.mark.parametrize("page", OWN, ids=lambda page: page.path.stem)
def test_page(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if page.device:
        pytest.importorskip("nvidia.dali")
    page.run(tmp_path, request.getfixturevalue("bucket") if page.server else None)


def test_what_is_not_run_is_listed() -> None:
    found = {}
    for path in PAGES:
        fences = re.findall(r"^ *```(.*)$", path.read_text(), re.M)
        blocks = [each for each in fences[::2] if not each.startswith("{")]
        assert set(blocks) <= {"python", "console", "sh", "text"}, path
        if blocks.count("sh"):
            found[str(path.relative_to(ROOT / "docs"))] = blocks.count("sh")
    assert found == {page: count for page, (count, _) in NOT_RUN.items()}


def test_storage_options_of_the_guide() -> None:
    """Each example's names are known to its client; other tests send requests with them."""
    pytest.importorskip("obstore")
    text = (ROOT / "docs" / "howto" / "remote.md").read_text()
    (block,) = re.findall(r"```python\n(import os\n.*?)```", text, re.S)
    urls = ["s3://b/k", "s3://b/k", "s3://b/k", "az://c/k", "https://h/k"]
    block = block.replace('os.environ["SAS"]', repr(SAS))
    examples = [node.value for node in ast.parse(block).body if isinstance(node, ast.Assign)]
    for url, example in zip(urls, examples, strict=True):
        options = ast.literal_eval(example)
        open_store(url, RemoteOptions.create(storage_options=options))
        with pytest.raises(mx.Error, match="nothing"):
            open_store(url, RemoteOptions.create(storage_options={**options, "nothing": "x"}))


def test_comments_of_a_page_and_of_a_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- needs: json -->\n\n```python\nprint(1)\n```\n"
        "<!-- needs: json no_such_package -->\n```python\nprint(2)\n```\n"
        "<!-- needs: json -->\n```python\nprint(3)\n```\n"
    )
    assert Page(page).needs_of_blocks() == {"json", "no_such_package"}
    assert Page(page).run(tmp_path) == "1\n3\n"
    assert missing(["json", "no_such_package"]) == ["no_such_package"]


def test_a_page_is_run_in_its_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\ntext\n```python\nprint(x)\n```\n"
        "```python\n# two.py\nprint('two')\n```\n"
        "```console\n$ python two.py\ntwo\n$ echo three\n```\n"
        "```python\nprint('four')\n```\n"
    )
    assert Page(page).run(tmp_path) == "1\ntwo\nthree\nfour\n"


@pytest.mark.parametrize(
    ("shown", "passes"),
    [
        ("a: 120 images\nb  1\n", True),
        ("a: 7 images\n...\n", True),
        ("a: 120 images\n", False),
        ("...\nc 1\n", False),
    ],
)
def test_commands_print_what_is_shown(shown: str, passes: bool, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```console\n$ echo 'a: 1,300 images'; echo 'b 2.5'\n{shown}```\n")
    with contextlib.nullcontext() if passes else pytest.raises(AssertionError, match="1,300"):
        Page(page).run(tmp_path)


def test_an_error_names_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\nx = 1\n```\n\n```python\n\nraise OSError(x)\n```\n")
    with pytest.raises(AssertionError, match="line 9"):
        Page(page).run(tmp_path)
