"""Tools around record files: each a plain function, with the command ``gpuio`` over all."""

from gpuio.tools.bench import bench
from gpuio.tools.demo import demo
from gpuio.tools.doctor import doctor
from gpuio.tools.extract import extract
from gpuio.tools.im2rec import im2rec, make_list, write_records
from gpuio.tools.index import index
from gpuio.tools.info import info
from gpuio.tools.rearrange import filter_records, merge, shuffle, split
from gpuio.tools.repair import repair
from gpuio.tools.samples import make_samples
from gpuio.tools.sheet import contact_sheet, denormalise
from gpuio.tools.show import show
from gpuio.tools.stats import stats
from gpuio.tools.verify import quarantine, verify

__all__ = [
    "bench",
    "contact_sheet",
    "demo",
    "denormalise",
    "doctor",
    "extract",
    "filter_records",
    "im2rec",
    "index",
    "info",
    "make_list",
    "make_samples",
    "merge",
    "quarantine",
    "repair",
    "show",
    "shuffle",
    "split",
    "stats",
    "verify",
    "write_records",
]
