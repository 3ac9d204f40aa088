"""A script in a process of its own that has its modules already: a fork of the test's process.

`python training/export.py` needs two seconds of a processor to load torch, before it does anything. Which modules a
script loads by itself, and from where, is tested with whole processes (test_script_paths.py, core/test_nanodet_kp.py).
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

TIMEOUT_S = 300


def run_forked(
    words: Sequence[object], cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `python WORDS...` leaves and says in the folder `cwd`; words: a script or `-m` and a module, and arguments.

    environment: variables besides those of this process. Raises subprocess.TimeoutExpired.
    """
    command = [str(word) for word in words]
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        arguments = command, cwd, environment or {}, stdout.fileno(), stderr.fileno()
        process = multiprocessing.get_context("fork").Process(target=_run, args=arguments)
        process.start()
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, TIMEOUT_S)
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read())
    return subprocess.CompletedProcess(command, process.exitcode, *said)


def _run(command: list[str], cwd: Path, environment: Mapping[str, str], stdout: int, stderr: int) -> None:
    """The rest of the forked process, without what pytest has put around the test."""
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    sys.stdin = open(os.devnull)  # noqa: SIM115  these three stay open as long as the process
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    logging.root.handlers.clear()
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("nanodet_kp_core").setLevel(logging.NOTSET)
    cv2.setNumThreads(0)  # threads do not survive a fork
    os.environ.update(environment)
    os.chdir(cwd)
    if command[0] == "-m":
        sys.argv = command[1:]
        sys.path.insert(0, str(cwd))
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        sys.path.insert(0, str(Path(command[0]).resolve().parent))
        runpy.run_path(command[0], run_name="__main__")
