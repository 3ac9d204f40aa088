"""Workers of a killed process end with it."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import multiprocessing, os, signal
from concurrent.futures import ProcessPoolExecutor
from nanodet_kp_core.workers import end_with_parent
pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_with_parent)
print(pool.submit(os.getpid).result(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def runs(process):
    """Whether the process is there and no zombie that waits to be collected."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_worker_does_not_outlive_its_parent(tmp_path):
    out = tmp_path / "pid"
    with out.open("w") as file:
        done = subprocess.run([sys.executable, "-c", PARENT], stdout=file, cwd=ROOT, env=os.environ)
    worker = int(out.read_text())
    assert done.returncode == -9
    deadline = time.monotonic() + 30
    while runs(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not runs(worker)
