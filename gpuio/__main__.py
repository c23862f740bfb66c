"""``python -m gpuio`` is the command ``gpuio``."""

from gpuio.tools.cli import main

raise SystemExit(main())
