"""`pip install .` for the runtime without ROS, `pip install .[train]` for training.

With ROS the package is built by colcon, from package.xml and CMakeLists.txt.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
NAME = "nanodet_kp_ros"


def requirements(name: str) -> list:
    lines = (HERE / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def package_xml(tag: str) -> str:
    return re.search(f"<{tag}>(.*?)</{tag}>", (HERE / "package.xml").read_text(encoding="utf-8")).group(1)


setup(
    name=NAME,
    version=package_xml("version"),
    description=package_xml("description"),
    license=package_xml("license"),
    packages=find_packages(include=["nanodet_kp_core*", "nanodet_kp_ros*"]),
    python_requires=">=3.10",
    install_requires=requirements("runtime"),
    extras_require={"train": requirements("train"), "bags": requirements("bags")},
    data_files=[(f"share/{NAME}/models", sorted(f"models/{path.name}" for path in (HERE / "models").iterdir()))],
)
