"""``python -m gpuio`` runs the command ``gpuio``."""

import signal
import sys


def main() -> int:
    """Run the command line, and handle an interrupt during its imports like any other."""
    try:
        from gpuio.tools.cli import main as run
    except KeyboardInterrupt:
        print("gpuio: interrupted", file=sys.stderr)
        return 130
    status = run()
    # One more Ctrl-C ends the process at once, instead of showing where Python was about to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
