"""The commands of `nanodet_kp_core.commands` as scripts of a checkout, without an installation."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def run(name: str) -> None:
    """Run the command of that name and exit with its code."""
    from nanodet_kp_core.__main__ import run_command
    from nanodet_kp_core.command import open_door

    # Loaded inside, for seconds with torch: Ctrl-C then ends it like any other time.
    open_door(lambda: run_command(name.replace("_", "-")))
