"""docs/first_robot.md: its Python code over real DDS, and the names and warnings that it quotes."""

import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

import cv2
from ros_helpers import ROOT, Peer

from nanodet_kp_ros.msg import Armor, ArmorArray
from nanodet_kp_ros.parameters import settings_of
from nanodet_kp_ros.settings import NodeSettings

PAGE = (ROOT / "docs/first_robot.md").read_text(encoding="utf-8")
CONSUMER, OWN_PNP = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def plate(label: str, position: tuple[float, float, float] | None) -> Armor:
    armor = Armor(label=label, has_pose=position is not None)
    if position is not None:
        armor.pose.position.x, armor.pose.position.y, armor.pose.position.z = position
    return armor


def test_the_consumer_has_15_lines():
    assert len([line for line in CONSUMER.splitlines() if line]) <= 15


def test_the_consumer_says_where_the_nearest_plate_is():
    armors = [plate("B_1", None), plate("B_2", (0.0, 0.0, 5.0)), plate("B_3", (2.0, -1.0, 2.0))]
    peer = Peer()
    process = subprocess.Popen([sys.executable, "-c", CONSUMER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        publisher = peer.node.create_publisher(ArmorArray, "armors", 10)
        assert peer.spin_until(lambda: publisher.get_subscription_count() > 0)
        publisher.publish(ArmorArray(armors=armors[:1]))
        publisher.publish(ArmorArray(armors=armors))
        assert process.stdout is not None
        assert process.stdout.readline() == "B_3: 2.00 m, yaw +45.0, pitch +19.5\n"
    finally:
        process.kill()
        process.communicate()
        peer.close()


@pytest.mark.parametrize("size", ["SMALL", "LARGE"])
def test_own_pnp_finds_the_pose_of_the_corners(size):
    names: dict = {}
    exec(OWN_PNP, names)
    matrix = np.array([[800.0, 0.0, 320.0], [0.0, 800.0, 240.0], [0.0, 0.0, 1.0]])
    turn, position = np.array([0.2, 0.5, 0.0]), np.array([0.3, -0.2, 2.5])
    points, _ = cv2.projectPoints(names[size], turn, position, matrix, None)
    armor = Armor()
    for corner, (x, y) in zip(armor.corners, points.reshape(4, 2)):
        corner.x, corner.y = float(x), float(y)
    rotation, found = names["solve"](armor, names[size], matrix, None)
    np.testing.assert_allclose(found, position, atol=1e-3)
    np.testing.assert_allclose(rotation, cv2.Rodrigues(turn)[0], atol=1e-2)


def test_the_launch_arguments_exist():
    launch = "".join(path.read_text() for path in sorted((ROOT / "launch").glob("*.launch.py")))
    used = set(re.findall(r"\b([a-z_]+):=", PAGE))
    assert len(used) >= 8
    assert not [name for name in used if f'"{name}"' not in launch]


def test_the_parameters_exist():
    used = set(re.findall(r"ros2 param [sg]et /detector_node (\w+)", PAGE))
    assert used >= {"camera_pitch", "score_threshold", "keep"}
    assert used <= {setting.name for setting in settings_of(NodeSettings)}


def test_the_warnings_are_those_of_the_code():
    files = [path for room in ("nanodet_kp_ros", "nanodet_kp_core/runtime") for path in (ROOT / room).rglob("*.py")]
    code = re.sub(r'"\s*\n\s*f?"', "", "".join(path.read_text(encoding="utf-8") for path in files))
    table = PAGE.split("| the log says |")[1].split("\n\n")[0]
    quoted = [text for row in table.splitlines()[2:] for text in re.findall(r"`(.*?)`", row.split("|")[1])]
    parts = [part for text in quoted for part in re.split(r"\.\.\.| for 3 s", text) if part.strip()]
    assert len(parts) >= 9
    assert not [part for part in parts if part.strip() not in code]
