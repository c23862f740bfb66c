"""``python -m gpuio.tools.im2rec``: the command ``gpuio im2rec``, for scripts that run MXNet's
im2rec.py.

This is the only module named like a public function, since ``-m`` needs a file of that name.
It refuses to be imported, so that `gpuio.tools.im2rec` is always the function.
"""

import sys

if __name__ != "__main__":
    raise ImportError(
        "gpuio.tools.im2rec is a function, and a module only for 'python -m gpuio.tools.im2rec'; "
        "use 'from gpuio.tools import im2rec'"
    )

from gpuio.tools.cli import main

raise SystemExit(main(["im2rec", *sys.argv[1:]]))
