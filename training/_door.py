"""What the scripts of this folder share: they run from a checkout, and a user error is one line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.errors import NanodetKpError


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 640x480, got {text!r}") from None
    if not (32 <= width <= 8192 and 32 <= height <= 8192):
        raise argparse.ArgumentTypeError(f"expected 32 to 8192 pixels a side, got {text!r}")
    return width, height


def open_door(main: Callable[[], int]) -> None:
    """Run `main` and exit with its code; 2 with one line for a user error, 130 for Ctrl-C."""
    try:
        code = main()
    except NanodetKpError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    sys.exit(code)
