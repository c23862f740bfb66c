"""``python -m gpuio`` runs the command ``gpuio``."""

import sys


def main() -> int:
    """Run the command line, and handle an interrupt during its imports like any other."""
    try:
        from gpuio.tools.cli import main as run
    except KeyboardInterrupt:
        print("gpuio: interrupted", file=sys.stderr)
        return 130
    return run()


if __name__ == "__main__":
    raise SystemExit(main())
