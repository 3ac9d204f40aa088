"""Messages that the middleware itself cannot read, as a broken writer or another version of a type sends them."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from ros_helpers import DEADLINE_S, colored_images
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from nanodet_kp_core.runtime.models.bundled import bundled_model
from nanodet_kp_ros.images import to_image

CUT_OFF = 40  # bytes: within the header


def image(number):
    message = to_image(colored_images(1)[0], Header(frame_id="optical"))
    message.header.stamp.sec = 10 + number
    return message


def test_the_next_good_one_is_answered(start, peer, image_model):
    node = start("detector_node", "-p", f"model:={image_model}")
    infos = peer.node.create_publisher(CameraInfo, "camera_info", 1)
    peer.wait_for_detector()
    assert peer.spin_until(lambda: infos.get_subscription_count() > 0)
    for number in range(20):
        peer.publisher.publish(serialize_message(image(0))[:CUT_OFF])
        infos.publish(serialize_message(CameraInfo())[:CUT_OFF])
        assert len(peer.ask(image(number)).armors) == 2
    assert node.running
    assert "Traceback" not in node.output


def test_a_model_that_is_loaded_meanwhile_is_taken_over(start, peer, image_model):
    """The node takes images while it loads: what one of them makes fail has nothing to do with the model."""
    node = start("detector_node", "-p", f"model:={image_model}")
    peer.wait_for_detector()
    assert len(peer.ask(image(0)).armors) == 2
    client = peer.node.create_client(SetParameters, "detector_node/set_parameters")
    assert peer.spin_until(client.service_is_ready)
    cut_off = serialize_message(image(1))[:CUT_OFF]
    for path in [bundled_model(), image_model] * 3:
        request = SetParameters.Request(parameters=[Parameter("model", value=str(path)).to_parameter_msg()])
        future = client.call_async(request)

        def answered(future=future):
            peer.publisher.publish(cut_off)
            return future.done()

        assert peer.spin_until(answered, DEADLINE_S), node.output
        (result,) = future.result().results
        assert result.successful, result.reason
    assert len(peer.ask(image(2)).armors) == 2
    assert "Traceback" not in node.output
