"""Where a run comes from: run.json beside the checkpoints."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from nanodet_kp_core.files import write_atomically

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Revision:
    """Git commit of this code, "unknown" outside a checkout; dirty: the code differs from it."""

    commit: str
    dirty: bool

    def __str__(self) -> str:
        return f"{self.commit}-dirty" if self.dirty else self.commit


def git_revision(package: Path = PACKAGE) -> Revision:
    """Revision of the checkout that holds `package`; "unknown" for an installed copy, even one inside a checkout."""
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return Revision("unknown", False)
    commit = _git(package, "rev-parse", "HEAD")
    if commit is None:
        return Revision("unknown", False)
    return Revision(commit, bool(_git(package, "status", "--porcelain", "--", ".", "../training")))


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command, or None where it fails or there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def write_run(path: Path, run_id: str, revision: Revision, values: dict[str, Any]) -> None:
    """Add a start, with `values`, to run.json: {"run_id", "starts": [{time, revision, dirty, versions, ...}]}."""
    starts: list[dict[str, Any]] = []
    if path.is_file():
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            old = {}
        starts = old.get("starts", []) if old.get("run_id") == run_id else []
    starts.append(
        {
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "revision": revision.commit,
            "dirty": revision.dirty,
            **values,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        }
    )
    write_atomically(path, (json.dumps({"run_id": run_id, "starts": starts}, indent=2) + "\n").encode())
