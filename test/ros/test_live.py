"""What can be changed while the node runs: parameters, the model, ~/enable, and who listens."""

import shutil

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from builtin_interfaces.msg import Time
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters
from ros_helpers import DetectorPeer, colored_images, make_image_model
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from tiny_model import TinyPlate, encode, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_refiner, name_refiner

from nanodet_kp_core.runtime.models.session import usable_cores
from nanodet_kp_core.synthetic.clip import clip_frames
from nanodet_kp_ros.images import to_image
from nanodet_kp_ros.parameters import settings_of
from nanodet_kp_ros.settings import NodeSettings

IMAGE = colored_images(1)[0]
OTHER_PLATE = TinyPlate("N_5", 0.8, [[30, 30], [31, 45], [60, 46], [59, 31]])


def image(number):
    return to_image(IMAGE, Header(stamp=Time(sec=1000 + number), frame_id="optical"))


def labels(peer, number):
    return [armor.label for armor in peer.ask(image(number)).armors]


def test_thresholds_are_live_and_a_rejected_value_says_the_range(start, peer, image_model):
    start("detector_node", "-p", f"model:={image_model}")
    peer.wait_for_detector()

    def set_one(name, value):
        (result,) = peer.set_parameters(**{name: value})
        return result

    assert labels(peer, 0) == ["B_3", "R_Bb"]
    assert set_one("score_threshold", 0.8).successful
    assert labels(peer, 1) == ["B_3"]
    assert set_one("score_threshold", 1).successful  # an integer for a number
    assert labels(peer, 2) == []
    request = GetParameters.Request(names=["score_threshold"])
    (value,) = peer.call(GetParameters, "detector_node/get_parameters", request).values
    assert (value.type, value.double_value) == (ParameterType.PARAMETER_DOUBLE, 1.0)
    for name, value, reason in [
        ("score_threshold", 2, "expected a number from 0 to 1, got 2"),
        ("score_threshold", 1.5, "Max: 1.0"),
        ("score_threshold", "high", "expected a number from 0 to 1, got 'high'"),
        ("max_detections", 0, "Min: 1"),
        ("keep", "R_7", "expected names out of B R N P B_G"),
        ("image_qos", "reliable", "read-only"),
    ]:
        result = set_one(name, value)
        assert not result.successful
        assert reason in result.reason
    assert labels(peer, 3) == []  # a rejected value changes nothing
    assert set_one("score_threshold", 0.5).successful
    assert set_one("max_detections", 1).successful
    assert labels(peer, 4) == ["B_3"]
    assert set_one("keep", "R").successful
    assert labels(peer, 5) == ["R_Bb"], "the best of the wanted, not the wanted of the best"
    assert set_one("keep", "").successful
    assert set_one("threads", usable_cores()).successful
    assert set_one("spin", True).successful
    assert "threads: expected at most" in set_one("threads", 64).reason
    assert labels(peer, 6) == ["B_3"]


def test_the_number_threshold_is_live(start, peer, image_model, tmp_path):
    """The second stage says R_3 of both plates, with a number score of 1 / (1 + 8 exp(-2)) = 0.480."""
    model = name_refiner(shutil.copy(image_model, tmp_path / "m.onnx"), "refiner.onnx")
    make_tiny_refiner(tmp_path / "refiner.onnx", "R_3", number_logit=2.0)
    start("detector_node", "-p", f"model:={model}", "-p", "scout:=false", "-p", "number_threshold:=0.4")
    peer.wait_for_detector()
    assert labels(peer, 0) == ["R_3", "R_3"]
    assert peer.set_parameters(number_threshold=0.5)[0].successful
    armors = peer.ask(image(1)).armors
    assert [(armor.label, armor.number, armor.color) for armor in armors] == [("R", "", armors[0].COLOR_RED)] * 2
    assert [armor.number_score for armor in armors] == pytest.approx([0.48015] * 2, abs=1e-5)
    assert peer.set_parameters(keep="R_3")[0].successful
    assert labels(peer, 2) == []
    assert peer.set_parameters(keep="R")[0].successful
    assert labels(peer, 3) == ["R", "R"]
    assert "expected a number from 0 to 1, got 2" in peer.set_parameters(number_threshold=2)[0].reason
    assert peer.set_parameters(number_threshold=0)[0].successful  # an integer for a number
    assert labels(peer, 4) == ["R_3", "R_3"]


def test_parameters_are_described_with_their_ranges(start, peer, image_model):
    start("detector_node", "-p", f"model:={image_model}")
    names = [setting.name for setting in settings_of(NodeSettings)]
    request = DescribeParameters.Request(names=names)
    descriptors = peer.call(DescribeParameters, "detector_node/describe_parameters", request).descriptors
    for setting, descriptor in zip(settings_of(NodeSettings), descriptors, strict=True):
        assert descriptor.name == setting.name
        assert descriptor.description == setting.description
        assert setting.expected() in descriptor.additional_constraints
        assert descriptor.read_only != setting.live
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        assert [(r.from_value, r.to_value) for r in ranges] == (
            [] if setting.low is None else [(setting.low, setting.high)]
        )


def test_the_model_is_exchanged_without_a_gap(start, peer, image_model, tmp_path):
    """Images go on while the other model is loaded; a file that is no model is refused and the old one goes on."""
    other = make_image_model(tmp_path / "other.onnx", [OTHER_PLATE])
    node = start("detector_node", "-p", f"model:={image_model}")
    peer.wait_for_detector()
    assert labels(peer, 0) == ["B_3", "R_Bb"]
    for made, reason in [
        (tmp_path / "none.onnx", "no such file"),
        (garbage(tmp_path / "garbage.onnx"), "expected an ONNX model"),
        (make_tiny_model(tmp_path / "plain.onnx", with_entry=False), "'nanodet_kp' metadata"),
        (misfit(tmp_path / "misfit.onnx"), "output does not fit its metadata"),
    ]:
        (result,) = peer.set_parameters(model=str(made))
        assert not result.successful
        assert reason in result.reason
        assert labels(peer, 1) == ["B_3", "R_Bb"]
    assert peer.set_parameters(model=str(other))[0].successful
    assert labels(peer, 2) == ["N_5"]
    request = GetParameters.Request(names=["model"])
    assert peer.call(GetParameters, "detector_node/get_parameters", request).values[0].string_value == str(other)
    figures = peer.figures()
    assert figures["model"] == str(other)
    assert "misfit.onnx" in figures["last error"]
    assert "Traceback" not in node.output


def test_a_file_that_turns_to_garbage_changes_nothing_until_it_is_a_model_again(start, peer, image_model, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(image_model, path)
    start("detector_node", "-p", f"model:={path}")
    peer.wait_for_detector()
    assert labels(peer, 0) == ["B_3", "R_Bb"]
    garbage(path)
    assert labels(peer, 1) == ["B_3", "R_Bb"]
    assert "expected an ONNX model" in peer.set_parameters(model=str(path))[0].reason
    assert labels(peer, 2) == ["B_3", "R_Bb"]
    make_image_model(path, [OTHER_PLATE])
    assert peer.set_parameters(model=str(path))[0].successful
    assert labels(peer, 3) == ["N_5"]


def test_what_is_kept_must_fit_the_new_model(start, peer, image_model, tmp_path):
    rune = make_tiny_model(tmp_path / "rune.onnx", metadata=tiny_metadata(class_names=("rune", "plate")))
    start("detector_node", "-p", f"model:={image_model}", "-p", "keep:=R")
    peer.wait_for_detector()
    assert labels(peer, 0) == ["R_Bb"]
    assert "expected names out of rune plate" in peer.set_parameters(model=str(rune))[0].reason
    assert labels(peer, 1) == ["R_Bb"]


def garbage(path):
    path.write_bytes(b"\x08\x07garbage" * 100)
    return path


def misfit(path):
    return make_tiny_model(path, metadata=tiny_metadata(class_names=("B_1", "R_1")), output=encode(tiny_metadata(), []))


def test_enable(start, peer, image_model):
    """Disabled, it does not even receive."""
    start("detector_node", "-p", f"model:={image_model}")
    peer.wait_for_detector()
    assert labels(peer, 0) == ["B_3", "R_Bb"]
    off = peer.call(SetBool, "detector_node/enable", SetBool.Request(data=False))
    assert (off.success, off.message) == (True, "disabled")
    assert peer.spin_until(lambda: peer.publisher.get_subscription_count() == 0)
    assert peer.figures()["state"] == "off"
    on = peer.call(SetBool, "detector_node/enable", SetBool.Request(data=True))
    assert (on.success, on.message) == (True, "enabled")
    assert labels(peer, 1) == ["B_3", "R_Bb"]


def test_lazy_receives_only_for_a_listener(start, image_model):
    node = start("detector_node", "-p", f"model:={image_model}", "-p", "lazy:=true", "-p", "image_timeout:=1.0")
    camera, listener = DetectorPeer(Image, listens=False), None
    try:
        assert camera.spin_until(lambda: len(camera.diagnostics) >= 3)
        assert camera.publisher.get_subscription_count() == 0
        assert camera.figures()["state"] == "idle"
        assert "no image" not in node.output, "it does not want one"
        listener = DetectorPeer(Image)
        assert labels(listener, 0) == ["B_3", "R_Bb"]
        listener.close()
        assert camera.spin_until(lambda: camera.publisher.get_subscription_count() == 0)
        listener = None
        assert camera.set_parameters(lazy=False)[0].successful
        assert camera.spin_until(lambda: camera.publisher.get_subscription_count() == 1)
    finally:
        camera.close()
        if listener is not None:
            listener.close()


def test_parts_around_the_plates_are_looked_at_in_between(start, peer):
    """With the bundled model: one of three images is whole, and the plates stay in the whole image's pixels."""
    start("detector_node", "-p", "threads:=1")
    peer.wait_for_detector()
    picture = next(clip_frames(1.0, 1, 30, (1280, 1024)))
    whole = peer.ask(to_image(picture, Header(stamp=Time(sec=1))))
    assert whole.armors, "the image shows plates"
    assert peer.set_parameters(roi_every=3)[0].successful
    for number in range(2, 8):
        answer = peer.ask(to_image(picture, Header(stamp=Time(sec=number))))
        assert answer.armors
        assert nearest(answer.armors, whole.armors[0]) < 10
        assert (answer.image_width, answer.image_height) == (1280, 1024)


def nearest(armors, wanted):
    """Pixels from the wanted plate's first corner to the nearest of them."""
    return min(abs(a.corners[0].x - wanted.corners[0].x) + abs(a.corners[0].y - wanted.corners[0].y) for a in armors)


def test_debug_logs_each_image(start, peer, image_model):
    node = start("detector_node", "-p", f"model:={image_model}")
    peer.wait_for_detector()
    labels(peer, 0)
    assert peer.set_parameters(debug=True)[0].successful
    labels(peer, 1)
    output = node.wait_for("image 1001.000: B_3 0.90 R_Bb 0.75; ms: ")
    assert "image 1000.000" not in output
    assert "network" in output


def test_quality_of_service_by_the_usual_overrides(start, peer, image_model):
    name = "qos_overrides./image_raw.subscription.reliability"
    start("detector_node", "-p", f"model:={image_model}", "-p", f"{name}:=reliable")
    peer.wait_for_detector()
    (info,) = peer.node.get_subscriptions_info_by_topic("/image_raw")
    assert info.qos_profile.reliability == rclpy.qos.ReliabilityPolicy.RELIABLE
    assert labels(peer, 0) == ["B_3", "R_Bb"]
