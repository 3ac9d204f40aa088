"""Both nodes set the profile for large images by themselves, and leave what the user has set."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from pathlib import Path

from ros_helpers import DetectorPeer
from sensor_msgs.msg import Image

from nanodet_kp_ros.transports import choose_transports

NAMES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


@pytest.mark.parametrize(("distribution", "name"), [("humble", 1), ("jazzy", 1), ("kilted", 0), ("rolling", 0)])
def test_the_profile_is_named_where_nothing_is_set(distribution, name):
    environment = {"ROS_DISTRO": distribution}
    choose_transports(environment)
    assert Path(environment[NAMES[name]]).name == "fastdds_images.xml"
    assert NAMES[1 - name] not in environment


@pytest.mark.parametrize(("package", "name"), [("fastrtps", 1), ("fastdds", 0)])
def test_where_nothing_says_the_distribution_its_packages_do(monkeypatch, tmp_path, package, name):
    """As with wheels. Fast DDS 3 warns where the other name is set."""
    (tmp_path / "share" / package).mkdir(parents=True)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "none"))
    environment = {"AMENT_PREFIX_PATH": f"/none:{tmp_path}"}
    choose_transports(environment)
    assert Path(environment[NAMES[name]]).name == "fastdds_images.xml"
    assert NAMES[1 - name] not in environment


@pytest.mark.parametrize("name", [*NAMES, "FASTDDS_BUILTIN_TRANSPORTS"])
def test_what_the_user_has_set_stays(name):
    environment = {name: "own"}
    choose_transports(environment)
    assert environment == {name: "own"}


@pytest.mark.parametrize("node", ["detector_node", "player_node"])
def test_a_node_started_by_hand_has_it(start, monkeypatch, image_model, tmp_path, node):
    import cv2
    import numpy as np

    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    argument = f"model:={image_model}" if node == "detector_node" else f"source:={tmp_path}"
    process = start(node, "-p", argument)
    process.wait_for("image_raw")
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    peer = DetectorPeer(Image)
    peer.close()
    # The segment of 16 MiB that the profile asks for; by default it has half a megabyte.
    assert any(_size(line) > 16_000_000 for line in maps.splitlines() if "fastrtps" in line or "fastdds" in line)


def _size(line):
    start, end = (int(part, 16) for part in line.split()[0].split("-"))
    return end - start
