"""The nodes' scripts in the build folder, to which `colcon build --symlink-install` links."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is missing")
def test_a_written_script_can_be_executed_where_it_lies(tmp_path):
    script = tmp_path / "bin" / "own node"
    text = "#!/bin/sh\necho it runs\n"
    steps = tmp_path / "steps.cmake"
    steps.write_text(f'include("{ROOT}/cmake/write_script.cmake")\nwrite_script("{script}" "{text}")\n')
    for _ in range(2):  # built again
        subprocess.run(["cmake", "-P", str(steps)], check=True, capture_output=True)
        assert os.stat(script).st_mode & 0o777 == 0o755
        assert subprocess.run([script], capture_output=True, text=True, check=True).stdout == "it runs\n"


def test_every_script_of_a_node_is_written_so():
    text = (ROOT / "CMakeLists.txt").read_text()
    assert "write_script(${CMAKE_CURRENT_BINARY_DIR}/bin/${node}" in text
    assert "file(WRITE" not in text
