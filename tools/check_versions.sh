#!/bin/sh
# Runs the tests that need neither torch nor ROS with another interpreter and another numpy, in a venv of its own:
#
#     tools/check_versions.sh python3.10 'numpy==1.26.*' 'onnxruntime==1.16.3'
#     tools/check_versions.sh python3.12 'numpy>=2'
#
# Further words are further requirements. PIP_ARGS goes to pip, VENV is where the venv is made (default: a folder that
# is deleted at the end), PYTEST_ARGS goes to pytest. With VENV, what is there is used again.
set -eu
if [ $# -lt 2 ]; then
    echo "check_versions.sh: expected an interpreter and a requirement of numpy, got $# arguments" >&2
    exit 2
fi
interpreter=$1
shift
command -v "$interpreter" >/dev/null || { echo "check_versions.sh: no interpreter '$interpreter'" >&2; exit 2; }
cd "$(dirname "$0")/.."
if [ -z "${VENV:-}" ]; then
    VENV=$(mktemp -d)
    trap 'rm -rf "$VENV"' EXIT
fi
if [ ! -x "$VENV/bin/python" ]; then
    "$interpreter" -m venv "$VENV"
    # OpenCV without windows: these tests open none, and it needs no library of a desktop.
    sed 's/^opencv-python/opencv-python-headless/' requirements/runtime.txt >"$VENV/runtime.txt"
    # shellcheck disable=SC2086  # PIP_ARGS are several words
    "$VENV/bin/pip" install -qq --disable-pip-version-check ${PIP_ARGS:-} -r "$VENV/runtime.txt" -r requirements/bags.txt \
        'pytest>=8,<10' 'hypothesis>=6.100,<7' 'onnx>=1.15,<2' 'pydantic>=2.5,<3' 'tqdm>=4.60,<5' "$@"
fi
"$VENV/bin/python" -c 'import sys, numpy, cv2, onnxruntime
print("python", sys.version.split()[0], "numpy", numpy.__version__, "OpenCV", cv2.__version__,
      "onnxruntime", onnxruntime.__version__)'
# shellcheck disable=SC2086
"$VENV/bin/python" -m pytest -q test/core test/fuzz test/test_promises.py ${PYTEST_ARGS:-}
