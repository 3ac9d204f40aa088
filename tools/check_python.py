"""Says in one sentence what this machine lacks to build the venv. Runs on Python 3.6 too, with nothing installed."""

import argparse
import os
import platform
import shutil
import sys
import sysconfig

OLDEST, NEWEST = (3, 10), (3, 13)


def problem(venv, chosen):
    """The sentence, or None. venv: where the venv is or will be; chosen: whether the user named the interpreter."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST or platform.python_implementation() != "CPython":
        return "expected CPython {}.{} to {}.{}, got {} {} ({}): choose another with make PYTHON=python3.11".format(
            *OLDEST + NEWEST, platform.python_implementation(), platform.python_version(), sys.executable
        )
    if sys.platform != "linux" or platform.machine() != "x86_64":
        machine = f"{platform.machine()} {sys.platform}"
        return f"the ROS 2 wheels exist for x86-64 Linux, this is {machine}: use colcon on a ROS installation"
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        return "the C headers of {} are missing: install python{}.{}-dev".format(sys.executable, *version)
    try:
        import ensurepip  # noqa: F401
        import venv as _  # noqa: F401
    except ImportError:
        return "{} cannot make a venv: install python{}.{}-venv".format(sys.executable, *version)
    compiler = os.environ.get("CXX", "c++").split()[0]
    if shutil.which(compiler) is None:
        return f"no C++ compiler ({compiler}) found: install g++, or name yours in CXX"
    built = version_of(venv)
    if chosen and built is not None and built != version:
        return "{} was built with Python {}.{}, PYTHON is {}.{}: run 'make clean' first".format(venv, *built + version)
    return None


def version_of(venv):
    """(major, minor) of the venv's Python, or None where there is no venv."""
    try:
        with open(os.path.join(venv, "pyvenv.cfg"), encoding="utf-8") as lines:
            values = dict(line.strip().split(" = ", 1) for line in lines if " = " in line)
    except OSError:
        return None
    return tuple(int(part) for part in values["version"].split(".")[:2])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", required=True)
    parser.add_argument("--chosen", action="store_true", help="the user named the interpreter")
    arguments = parser.parse_args()
    sentence = problem(arguments.venv, arguments.chosen)
    if sentence is None:
        return 0
    sys.stderr.write(f"make: {sentence}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
