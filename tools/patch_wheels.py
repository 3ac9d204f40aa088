"""Makes the ROS 2 wheels in a venv usable. Run it with the venv's Python; safe to repeat.

Their CMake files were exported on an image whose Python lay under /opt/python, and CMake refuses include directories
that do not exist: they are pointed at this interpreter. And ROS looks for its parts along AMENT_PREFIX_PATH: a start-up
line of the venv adds the venv to it, so that its Python needs no environment script.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy

NUMPY_HEADERS = re.compile(r"/opt/python/[^;\"\s]*/numpy/(?:_core|core)/include")
PYTHON_HEADERS = re.compile(r"/opt/python/[^;\"\s]*/include/python3\.\d+")
START_UP = (
    "import os, sys; "
    "paths = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep); "
    "os.environ['AMENT_PREFIX_PATH'] = os.pathsep.join([p for p in paths if p and p != sys.prefix] + [sys.prefix])\n"
)


def patch(text: str) -> str:
    """The text of a CMake file with the build image's header directories replaced by those of this interpreter."""
    text = NUMPY_HEADERS.sub(lambda _: numpy.get_include(), text)
    return PYTHON_HEADERS.sub(lambda _: sysconfig.get_path("include"), text)


def main() -> int:
    changed = 0
    for path in sorted(Path(sys.prefix, "share").rglob("*.cmake")):
        old = path.read_text(encoding="utf-8")
        new = patch(old)
        if new != old:
            path.write_text(new, encoding="utf-8")
            changed += 1
    # Sorts before the wheels' own start-up file, which starts Python anew with the environment of then.
    Path(sysconfig.get_path("purelib"), "nanodet_kp_ros.pth").write_text(START_UP, encoding="utf-8")
    print(f"pointed {changed} CMake files of the wheels at {sys.executable}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
