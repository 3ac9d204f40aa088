"""Bad input at a high rate: benchmark/flood.py, whose two minutes stand in docs/hardening.md, and parameters alone."""

import sys
import time

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_helpers import ROOT, colored_images, run_group
from std_msgs.msg import Header

from nanodet_kp_ros.images import to_image

MEMORY_MB = 100  # in the first seconds the node sees new models and sizes; the long run shows that it stays
RATE = 30.0
COUNT = 90
AT_ONCE = 8  # a service's queue holds ten


def test_a_short_flood():
    """Four seconds for each transport; the rest of its time is the calm before, amid and after."""
    command = [sys.executable, str(ROOT / "benchmark" / "flood.py"), "--seconds", "8", "--calm", "20"]
    code, output = run_group([*command, "--growth", str(MEMORY_MB)], timeout_s=600)
    assert code == 0, output
    assert "all as promised" in output


def test_rubbish_for_parameters_at_thirty_a_second_and_no_image_is_unanswered(start, peer, image_model, tmp_path):
    """Each image is sent once, when it is due and the one before is answered: on a slow machine later, never twice."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    rubbish = [
        ("model", "z" * 5000), ("model", f"{closed}/a.onnx"), ("model", str(closed)), ("model", "/dev/null/a"),
        ("keep", "R" * 5000), ("score_threshold", "high"), ("score_threshold", 7.5), ("threads", [1, 2]),
        ("large_plates", "giant"), ("n" * 5000, 1),
    ]  # fmt: skip
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "image_qos:=reliable")
    peer.wait_for_detector()
    client = peer.node.create_client(SetParameters, "detector_node/set_parameters")
    assert peer.spin_until(client.service_is_ready)
    futures, stamps, began = [], [], time.monotonic()
    picture = colored_images(1)[0]

    def due(done):
        return done < COUNT and done <= (time.monotonic() - began) * RATE

    def turn():
        while due(len(futures)) and sum(not future.done() for future in futures) < AT_ONCE:
            name, value = rubbish[len(futures) % len(rubbish)]
            request = SetParameters.Request(parameters=[Parameter("any", value=value).to_parameter_msg()])
            request.parameters[0].name = name
            futures.append(client.call_async(request))
        if due(len(stamps)) and len(peer.answers) == len(stamps):
            stamps.append((1000 + len(stamps), 0))
            peer.publisher.publish(to_image(picture, Header(stamp=Time(sec=stamps[-1][0]))))
        return len(peer.answers) == COUNT == len(futures) and all(future.done() for future in futures)

    assert peer.spin_until(turn), f"{len(peer.answers)} of {len(stamps)} images answered:\n{node.output}"
    assert sorted(peer.answers) == stamps
    assert all(len(answer.armors) == 2 for answer in peer.answers.values())
    assert peer.arrays == COUNT
    assert not any(result.successful for future in futures for result in future.result().results)
    assert "Traceback" not in node.output
