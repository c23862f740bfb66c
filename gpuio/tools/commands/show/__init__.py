"""Show records or augmented batches on a contact sheet or an HTML page."""

from gpuio.tools.commands.show.command import Shown, add_command, show

__all__ = ["Shown", "add_command", "show"]
