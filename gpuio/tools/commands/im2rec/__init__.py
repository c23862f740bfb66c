"""im2rec: from folders of images to lists, and from lists to record files."""

from gpuio.tools.commands.im2rec.command import add_command, im2rec
from gpuio.tools.commands.im2rec.lists import (
    BadImage,
    list_image,
    make_list,
    read_list,
    write_list,
)
from gpuio.tools.commands.im2rec.packing import Packed, write_records

__all__ = [
    "BadImage",
    "Packed",
    "add_command",
    "im2rec",
    "list_image",
    "make_list",
    "read_list",
    "write_list",
    "write_records",
]
