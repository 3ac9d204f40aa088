"""How a command line of this project ends, and what it can print."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from nanodet_kp_core.errors import NanodetKpError
from nanodet_kp_core.paths import brief

PIPE_CLOSED = 141
"""Exit code when the program that reads our pipe has ended; the shell gives it to a program that SIGPIPE ends."""


def open_door(main: Callable[[], int]) -> None:
    """Run `main` as the whole program: exit with its code, 2 with one line for a user error, 130 for Ctrl-C."""
    sys.exit(guarded(main, "error", "stopped"))


def guarded(main: Callable[[], int], name: str, interrupted: str) -> int:
    """The exit code of `main`. name: begins the line of an error; interrupted: the line for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot print becomes an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main()
        sys.stdout.flush()
    except NanodetKpError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        code = 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
        code = PIPE_CLOSED
    except OSError as error:  # a full disk, a folder that may not be entered
        where = brief(str(error.filename)) if error.filename is not None else "a file"
        print(f"{name}: {where}: expected to read or write here, got: {error.strerror or error}", file=sys.stderr)
        code = 2
    return code
