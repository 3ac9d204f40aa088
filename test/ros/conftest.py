"""Every test has a DDS domain of its own, so that parallel runs and a robot nearby do not disturb it."""

from __future__ import annotations

import fcntl
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ros_helpers import DetectorPeer, NodeProcess, domain_lock, make_image_model

from nanodet_kp_ros.transports import choose_transports

LOCAL = (("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"), ("ROS_LOCALHOST_ONLY", "1"))
"""What limits discovery to this machine, on distributions since Iron and on Humble."""


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A domain that no other test on this machine uses now, and shared memory for full-size images.

    Processes of other machines are not seen: a robot on the same network may use the same domain.
    """
    name, value = LOCAL[os.environ.get("ROS_DISTRO") == "humble"]
    monkeypatch.setenv(name, value)
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)
    chosen = {key: os.environ[key] for key in ("ROS_DISTRO", "AMENT_PREFIX_PATH") if key in os.environ}
    choose_transports(chosen)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    for number in random.SystemRandom().sample(range(1, 101), 100):
        with open(domain_lock(number), "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
            yield
            return
    pytest.fail("all hundred DDS domains are in use by test runs on this machine")


@pytest.fixture
def start() -> Iterator[Callable[..., NodeProcess]]:
    """Starts nodes as processes and ends them after the test."""
    started: list[NodeProcess] = []

    def start_node(name: str, *ros_arguments: str, **constants: float) -> NodeProcess:
        started.append(NodeProcess(name, *ros_arguments, **constants))
        return started[-1]

    yield start_node
    for process in started:
        process.stop()


@pytest.fixture
def peer() -> Iterator[DetectorPeer]:
    """Sends raw images and receives the plates."""
    from sensor_msgs.msg import Image

    peer = DetectorPeer(Image)
    yield peer
    peer.close()


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, slower than any camera: 0.1 to 0.2 s an image on one core of a recent processor."""
    return make_image_model(tmp_path_factory.mktemp("model") / "slow_model.onnx", layers=6)


@pytest.fixture(scope="session")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model whose answer depends on the image."""
    return make_image_model(tmp_path_factory.mktemp("model") / "image_model.onnx")
