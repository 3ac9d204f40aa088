"""Where the ROS tests live: a domain that nobody else on this machine tests in, and no processes of other machines."""

import fcntl
import os

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from ros_helpers import Peer, domain_lock


def test_the_domain_is_taken():
    with open(domain_lock(int(os.environ["ROS_DOMAIN_ID"])), "a") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_only_this_machine_is_asked_and_its_processes_are_found(start, image_model):
    assert "LOCALHOST" in os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "") or os.environ["ROS_LOCALHOST_ONLY"] == "1"
    start("detector_node", "-p", f"model:={image_model}")
    peer = Peer()
    try:
        assert peer.spin_until(lambda: ("detector_node", "/") in peer.node.get_node_names_and_namespaces())
    finally:
        peer.close()
