"""Builds this package with CMake and installs it into the venv whose Python runs this script."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "nanodet_kp_ros"


def run(command: list[str]) -> None:
    """Runs the command; its output is shown only if it fails. Raises SystemExit with its exit code."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    if result.returncode == 0:
        return
    sys.stderr.write(result.stdout[-8000:])
    sys.stderr.write(f"\nbuild_package: failed: {' '.join(command)}\n")
    raise SystemExit(result.returncode)


def main() -> int:
    prefix, purelib = Path(sys.prefix), Path(sysconfig.get_path("purelib"))
    build = prefix / "build"
    run(
        [
            "cmake",
            *("-S", str(ROOT), "-B", str(build)),
            f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DPython3_EXECUTABLE={sys.executable}",
            "-DBUILD_TESTING=OFF",  # else the generators look for linters that are no wheels
        ]
    )
    run(["cmake", "--build", str(build), "--parallel"])
    # Not over the last one: a file that is gone from the source tree must be gone here too.
    for old in (purelib / "nanodet_kp_core", purelib / NAME, prefix / "share" / NAME):
        shutil.rmtree(old, ignore_errors=True)
    run(["cmake", "--install", str(build)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
