"""Ctrl-C before a node is there: while its modules load there is nothing to end but the process."""

from __future__ import annotations

import os
import signal


def end_quietly() -> None:
    """Lets SIGINT end this process with exit code 0, until `runner.run` takes it over. To be called before the other
    imports of a program: half a second, in which Python would answer with a traceback."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
