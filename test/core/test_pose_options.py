"""Poses of the command line: what is written, and what is refused."""

import argparse
import json

import cv2
import numpy as np
import pytest
from tiny_model import TinyPlate, make_tiny_model

from nanodet_kp_core import detect
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.pose_options import FramePoses, add_pose_arguments, to_pose_entry
from nanodet_kp_core.runtime.detection.detections import Detections
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.images.frame_sources import Frame, open_source
from nanodet_kp_core.runtime.poses.calibration import read_calibration
from nanodet_kp_core.runtime.poses.plate_poses import PlatePoses
from nanodet_kp_core.runtime.poses.pose import Pose

PLATE = TinyPlate("B_3", 0.9, [[10, 10], [11, 20], [30, 22], [29, 12]])
CROSSED = TinyPlate("R_1", 0.8, [[40, 40], [58, 51], [40, 50], [59, 41]])


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text("matrix: [[200, 0, 70], [0, 200, 50], [0, 0, 1]]\ndistortion: []\n")
    return str(path)


@pytest.fixture
def model(tmp_path):
    return make_tiny_model(tmp_path / "m.onnx", [PLATE, CROSSED])


@pytest.fixture
def image(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((100, 140, 3), 60, np.uint8))
    return tmp_path / "a.png"


def run(tmp_path, *arguments):
    out = tmp_path / "out.json"
    assert detect.main([str(argument) for argument in (*arguments, "--json", out)]) == 0
    (entries,) = json.loads(out.read_text()).values()
    return entries


def arguments(*given):
    parser = argparse.ArgumentParser()
    add_pose_arguments(parser)
    return parser.parse_args(given)


def test_the_json_has_both_poses(tmp_path, model, image, calibration):
    plate, crossed = run(tmp_path, image, "--model", model, "--camera", calibration)
    assert crossed["pose"] is None
    found = Detector(model)(next(iter(open_source(str(image)))).image)
    camera = read_calibration(calibration).fitted((140, 100), "")
    wanted = PlatePoses().solve(found, camera, 0.0)[0]
    pose = plate["pose"]
    assert list(pose) == ["position", "rotation", "reprojection_error", "large", "other"]
    assert list(pose["other"]) == ["position", "rotation", "reprojection_error"]
    assert pose["large"] is False
    for entry, one in ((pose, wanted), (pose["other"], wanted.other)):
        np.testing.assert_allclose(entry["position"], one.position, atol=1e-5)
        np.testing.assert_allclose(entry["rotation"], one.rotation, atol=1e-5)
        assert entry["reprojection_error"] == pytest.approx(one.reprojection_error, abs=1e-4)
    assert not np.allclose(pose["rotation"], pose["other"]["rotation"], atol=0.05)


def test_without_a_calibration_there_is_no_pose(tmp_path, model, image):
    assert all("pose" not in entry for entry in run(tmp_path, image, "--model", model))


def test_sizes_and_mounts_reach_the_poses(tmp_path, model, image, calibration):
    common = (image, "--model", model, "--camera", calibration)
    usual, large, down = (
        run(tmp_path, *common, *more)[0]["pose"]
        for more in ((), ("--large-plates", "3"), ("--plate-lean", "-15", "--camera-pitch", "-20"))
    )
    assert (usual["large"], large["large"]) == (False, True)
    assert large["position"] != usual["position"]
    assert down["rotation"] == usual["other"]["rotation"]
    assert down["other"]["rotation"] == usual["rotation"]


def test_one_pose_alone():
    pose = Pose(np.array([0, 0, 1.0]), np.eye(3), 0.25, True)
    assert to_pose_entry(pose) == {
        "position": [0, 0, 1],
        "rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "reprojection_error": 0.25,
        "large": True,
        "other": None,
    }
    assert to_pose_entry(None) is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--camera", "none.yaml"], "none.yaml"),
        (["--large-plates", "1 giant"], "--large-plates: expected stickers or classes out of G 1 2"),
    ],
)
def test_refused(given, reason):
    with pytest.raises(ConfigError, match=reason):
        FramePoses(arguments(*given), ARMOR_CLASSES)


@pytest.mark.parametrize("value", ["91", "nan", "steep"])
@pytest.mark.parametrize("option", ["--plate-lean", "--camera-pitch"])
def test_no_angles(capsys, option, value):
    with pytest.raises(SystemExit) as raised:
        arguments(option, value)
    assert raised.value.code == 2
    assert f"expected degrees from -90 to 90, got '{value}'" in capsys.readouterr().err


def test_an_image_of_another_shape(calibration, tmp_path):
    path = tmp_path / "sized.yaml"
    path.write_text(
        "image_width: 640\nimage_height: 480\ncamera_matrix: {data: [600, 0, 320, 0, 600, 240, 0, 0, 1]}\n"
        "distortion_coefficients: {data: []}\n"
    )
    poses = FramePoses(arguments("--camera", str(path)), ARMOR_CLASSES)
    with pytest.raises(ConfigError, match="expected the calibration of a 140x100 image"):
        poses.solve(Frame("a.png", np.zeros((100, 140, 3), np.uint8)), none(), live=False)


def none():
    return Detections(np.zeros(0), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros((0, 4, 2)), ARMOR_CLASSES)


@pytest.mark.parametrize(("times", "live", "followed"), [((0.0, 0.02), False, True), ((None, None), False, False),
                                                        ((None, None), True, True)])  # fmt: skip
def test_frames_of_a_video_or_camera_are_followed_images_are_not(monkeypatch, calibration, times, live, followed):
    stamps = []
    poses = FramePoses(arguments("--camera", calibration), ARMOR_CLASSES)
    monkeypatch.setattr(poses._poses, "solve", lambda _found, _camera, stamp_s, _mounting: stamps.append(stamp_s) or [])
    for time_s in times:
        poses.solve(Frame("a", np.zeros((100, 140, 3), np.uint8), time_s), none(), live)
    assert (0 <= stamps[1] - stamps[0] < 0.25) == followed
