"""Records and augmented batches to look at: on a contact sheet, or on a page for a browser."""

from gpuio.tools.show.command import Shown, add_command, show

__all__ = ["Shown", "add_command", "show"]
