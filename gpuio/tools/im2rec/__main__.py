"""``python -m gpuio.tools.im2rec`` is ``gpuio im2rec``, for scripts that call MXNet's im2rec.py."""

import sys

from gpuio.tools.cli import main

raise SystemExit(main(["im2rec", *sys.argv[1:]]))
