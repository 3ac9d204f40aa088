"""What pyproject.toml cannot say: the version of package.xml, and where the bundled models and configurations go.

`pip install .` for the detector without ROS, `pip install '.[train]'` for training. With ROS the package is built by
colcon, from package.xml and CMakeLists.txt.
"""

import sys
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # a build in isolation starts elsewhere

from nanodet_kp_core.share import NAME, version  # noqa: E402


def files(folder: str) -> list:
    return sorted(str(path.relative_to(HERE)) for path in (HERE / folder).iterdir() if path.is_file())


setup(
    version=version(),
    data_files=[
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/models", files("models")),
        (f"share/{NAME}/config", files("config")),
    ],
)
