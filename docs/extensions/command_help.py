"""The directive ``gpuio-help``: what a command of gpuio prints with ``--help``."""

from __future__ import annotations

import contextlib
import io
import os
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from gpuio.tools.cli import main


def help_of(command: str) -> str:
    """The help of a command, as a terminal of 80 columns shows it."""
    os.environ["COLUMNS"] = "80"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*command.split(), "--help"])
    return printed.getvalue()


class HelpDirective(Directive):
    """A literal block with the help of the command in its argument."""

    required_arguments: ClassVar[int] = 1
    final_argument_whitespace: ClassVar[bool] = True

    def run(self) -> list[nodes.Node]:
        """The block."""
        text = help_of(self.arguments[0])
        return [nodes.literal_block(text, text, language="none")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("gpuio-help", HelpDirective)
    return {"parallel_read_safe": True}
