"""What the cache holds."""

import os
import time
from pathlib import Path

from gpuio.storage.remote.inventory import remove, versions
from tests.storage.remote.stores import SEGMENT, BytesStore, open_file, random_bytes, small_cache

CONTENT = random_bytes(5 * SEGMENT)


def test_versions_of_objects(tmp_path: Path) -> None:
    store = BytesStore({"b": CONTENT, "a": CONTENT[:100]})
    cache = small_cache(tmp_path)
    assert versions(cache.root) == []
    open_file(store, cache, "b")[SEGMENT : 3 * SEGMENT]
    open_file(store, cache, "a")[:]
    store.objects["a"] = b"other"
    open_file(store, cache, "a")[:]
    found = versions(cache.root)
    assert [each.url for each in found] == ["memory://a", "memory://a", "memory://b"]
    assert {each.size for each in found[:2]} == {100, 5}
    assert found[2].segments == (1, 2) and found[2].etag == store.info("b").etag
    assert all(each.on_disk > 0 and abs(each.used - time.time()) < 100 for each in found)
    for each in found[:2]:
        remove(each)
        assert not os.path.exists(each.folder)
    assert versions(cache.root) == found[2:]


def test_what_cannot_be_told(tmp_path: Path) -> None:
    cache = small_cache(tmp_path)
    open_file(BytesStore({"x.rec": CONTENT}), cache)[:]
    (one,) = versions(cache.root)
    Path(one.folder, "object.json").write_text("{")
    (one,) = versions(cache.root)
    assert (one.url, one.size) == ("?", 0)
    remove(one)
    assert versions(cache.root) == []
