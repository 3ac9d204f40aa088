"""How a command line of this project ends."""

from __future__ import annotations

import sys
from collections.abc import Callable

from nanodet_kp_core.errors import NanodetKpError


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
