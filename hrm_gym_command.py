"""The entry point of `hrm-gym`, outside the package, so that Ctrl-C while the package is imported ends in one line."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Import the command line and run it; see `hrm_gym.cli.main`."""
    try:
        from hrm_gym.cli import main as run
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return run(argv)
