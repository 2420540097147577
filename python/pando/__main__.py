"""`python -m pando ...` is the tool `pando ...`."""

from __future__ import annotations

import os
import sys

from .tool import TOOL


def main() -> None:
    """Becomes the tool: its output, signals and exit status are then its own."""
    try:
        os.execv(TOOL, ["pando", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"pando: error: {TOOL}: {error.strerror}; install the wheel that 'make wheel' builds")


if __name__ == "__main__":
    main()
