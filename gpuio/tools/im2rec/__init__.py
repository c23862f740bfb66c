"""im2rec: folders of images to lists, and lists to record files."""

from gpuio.tools.im2rec.command import add_command, im2rec
from gpuio.tools.im2rec.lists import (
    EXTENSIONS,
    BadImage,
    ListItem,
    list_image,
    make_list,
    read_list,
    write_list,
)
from gpuio.tools.im2rec.packing import Packed, cpu_count, write_records

__all__ = [
    "EXTENSIONS",
    "BadImage",
    "ListItem",
    "Packed",
    "add_command",
    "cpu_count",
    "im2rec",
    "list_image",
    "make_list",
    "read_list",
    "write_list",
    "write_records",
]
