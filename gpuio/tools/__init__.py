"""Tools for record files: plain functions, which the command ``gpuio`` runs."""

from gpuio.recordio.lists import ListItem
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.commands.bench import Bench, Stage, bench
from gpuio.tools.commands.demo import demo
from gpuio.tools.commands.doctor import doctor
from gpuio.tools.commands.extract import extract
from gpuio.tools.commands.im2rec import (
    BadImage,
    Packed,
    im2rec,
    list_image,
    make_list,
    read_list,
    write_list,
    write_records,
)
from gpuio.tools.commands.index import index
from gpuio.tools.commands.info import info
from gpuio.tools.commands.rearrange import filter_records, merge, shuffle, split
from gpuio.tools.commands.repair import repair
from gpuio.tools.commands.show import Shown, show
from gpuio.tools.commands.stats import stats
from gpuio.tools.commands.verify import quarantine, verify
from gpuio.tools.ray_cluster import RayCluster
from gpuio.tools.samples import make_samples
from gpuio.tools.sheet import contact_sheet, denormalize

__all__ = [
    "BadImage",
    "Bench",
    "ListItem",
    "Packed",
    "RayCluster",
    "RemoteOptions",
    "Shown",
    "Stage",
    "bench",
    "contact_sheet",
    "demo",
    "denormalize",
    "doctor",
    "extract",
    "filter_records",
    "im2rec",
    "index",
    "info",
    "list_image",
    "make_list",
    "make_samples",
    "merge",
    "quarantine",
    "read_list",
    "repair",
    "show",
    "shuffle",
    "split",
    "stats",
    "verify",
    "write_list",
    "write_records",
]
