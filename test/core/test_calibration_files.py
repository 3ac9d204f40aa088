"""Calibrations as people have them: each form is read as a whole, or refused with what it is and what to write."""

import cv2
import numpy as np
import pytest

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.poses.calibration import MAX_BYTES, read_calibration

K = [[1450.5, 0.0, 719.25], [0.0, 1448.0, 541.5], [0.0, 0.0, 1.0]]
D = [-0.21, 0.09, 5e-05, -0.0003, 0.0125]
FLAT_K = [value for row in K for value in row]
SPREAD = str(FLAT_K).replace(", ", ",\n")
SIZE = "image_width: 1440\nimage_height: 1080\n"
LENS = f"distortion_coefficients: {{rows: 1, cols: 5, data: {D}}}\n"
ROS = f"{SIZE}camera_matrix: {{rows: 3, cols: 3, data: {FLAT_K}}}\n"


@pytest.fixture
def read(tmp_path):
    def read_text(content, **options):
        path = tmp_path / "own.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_calibration(path, **options)

    return read_text


FORMS = {
    "camera_calibration": f"{ROS}distortion_model: plumb_bob\n{LENS}",
    "Data": f"{ROS}distortion_coefficients: {{rows: 1, cols: 5, Data: {D}}}\n",
    "capitals": f"{SIZE}Camera_Matrix: {{Rows: 3, Cols: 3, Data: {FLAT_K}}}\nDistortion_Coefficients: {{data: {D}}}\n",
    "another name": f"{ROS}distort_coeffs: {{rows: 1, cols: 5, data: {D}}}\n",
    "flat lists": f"camera_matrix: {FLAT_K}\ndist_coeffs: {D}\n",
    "nested lists": f"camera_matrix: {K}\ndistortion: [{D}]\n",
    "a row below the other": f"cameraMatrix: {FLAT_K}\ndistCoeffs: {[[value] for value in D]}\n",
    "own keys": f"matrix: {K}\ndistortion: {D}\n",
    "Python's exponents": f"camera_matrix: {FLAT_K}\ndistortion_coefficients: [-0.21, 9e-2, 5e-05, -3E-4, 1.25e-2]\n",
    "lists over lines": f"K: {SPREAD}\nD:\n" + "".join(f"- {value}\n" for value in D),
    "ros2 topic echo": "header:\n  stamp: {sec: 1, nanosec: 2}\n  frame_id: cam\nheight: 1080\nwidth: 1440\n"
    f"distortion_model: plumb_bob\nd: {D}\nk: {FLAT_K}\nr: [1.0]\np: [1.0]\n"
    "binning_x: 0\nbinning_y: 0\n"
    "roi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}\n---\nheight: 1080\n",
    "OpenCV": f"%YAML:1.0\n---\n{SIZE}camera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n"
    f"   data: {FLAT_K}\n"
    f"distortion_coefficients: !!opencv-matrix\n   rows: 5\n   cols: 1\n   dt: d\n   data: {D}\n",
    "a whole configuration": f"gain: 3\ngain: 4\n{ROS}{LENS}port: 1\nport: 2\n",
    "below other keys": "detector:\n  ros__parameters:\n    threshold: 7\n"
    f"    camera_matrix: {FLAT_K}\n    distortion_coefficients: {D}\n",
    "single names": "Camera.fx: 1450.5\nCamera.fy: 1448.0\nCamera.cx: 719.25\nCamera.cy: 541.5\nCamera.k1: -0.21\n"
    "Camera.k2: 0.09\nCamera.p1: 5e-05\nCamera.p2: -0.0003\nCamera.k3: 0.0125\nCamera.width: 1440\n"
    "Camera.height: 1080\n",
    "JSON": f'{{"camera_matrix": {FLAT_K}, "dist": {D}, "image_size": [1440, 1080]}}',
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("change", [str, lambda text: "\ufeff" + text.replace("\n", "\r\n")], ids=["", "BOM, CRLF"])
def test_a_form_is_read_as_a_whole(read, name, change):
    calibration = read(change(FORMS[name]))
    np.testing.assert_allclose(calibration.camera.matrix, K)
    np.testing.assert_allclose(calibration.camera.distortion, D)
    assert calibration.size in ((1440, 1080), None)
    assert calibration.size or "width" not in FORMS[name]


@pytest.mark.parametrize("extension", ["yml", "xml", "json"])
def test_what_opencv_writes(tmp_path, extension):
    path = tmp_path / f"camera.{extension}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("calibration_Time", "Sat 28 Nov")
    storage.write("image_Width", 1440)
    storage.write("image_Height", 1080)
    storage.write("Camera_Matrix", np.array(K))
    storage.write("Distortion_Coefficients", np.array(D)[:, None])
    storage.write("Image_points", np.zeros((200, 54, 2), np.float32))
    storage.release()
    assert path.stat().st_size > MAX_BYTES
    calibration = read_calibration(path)
    np.testing.assert_allclose(calibration.camera.matrix, K)
    np.testing.assert_allclose(calibration.camera.distortion, D)
    assert calibration.size == (1440, 1080)


KALIBR = (
    "cam0:\n  camera_model: pinhole\n  distortion_coeffs: [-0.2, 0.1, 0.001, -0.002]\n  distortion_model: {}\n"
    "  intrinsics: [1450.5, 1448.0, 719.25, 541.5]\n  resolution: [1440, 1080]\n  rostopic: /cam0/image_raw\n"
)


@pytest.mark.parametrize(("model", "fisheye"), [("radtan", False), ("equidistant", True)])
def test_kalibr(read, model, fisheye):
    calibration = read(KALIBR.format(model))
    np.testing.assert_allclose(calibration.camera.matrix, K)
    assert calibration.camera.distortion.tolist() == [-0.2, 0.1, 0.001, -0.002]
    assert (calibration.camera.fisheye, calibration.size) == (fisheye, (1440, 1080))


def test_comments_in_gbk(read):
    assert read(("# 相机标定\n" + FORMS["camera_calibration"]).encode("gbk")).size == (1440, 1080)


@pytest.mark.parametrize(
    "ending",
    ["distortion_coefficients: []", "distortion_coefficients: {rows: 1, cols: 0, data: []}", "distortion_model: none"],
)
def test_a_lens_without_distortion_says_so(read, ending):
    assert read(f"{ROS}{ending}\n").camera.distortion.tolist() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ROS, "expected distortion_coefficients, got none; write camera_matrix: "),
        (f"{ROS}distortion_model: plumb_bob\n", "expected distortion_coefficients, got none"),
        (f"{ROS}distortion_coefficients: {{rows: 1, cols: 5, values: {D}}}\n", "with `data`, got rows, cols, values"),
        (
            f"{ROS}distortion_coefficients: {{rows: 1, cols: 5, data: [1, 2, 3, 4]}}\n",
            "as rows times cols, got 1 x 5 and 4",
        ),
        (f"{ROS}distortion_coefficients: {{rows: 1, cols: 5, data: []}}\n", "as rows times cols"),
        (f"{ROS}distortion_coefficients:\n", "at most 14 finite distortion coefficients, got None"),
        (f"{ROS}distortion_coefficients: [0.1, -]\n", "."),
        (f"{ROS}distortion_coefficients: [0.1, 0.2, high, 0, 0]\n", "finite distortion coefficients"),
        (
            f"{ROS}radial_distortion: [0.1, 0.2]\ntangential_distortion: [0, 0]\n",
            "under one key, got radialdistortion and tang",
        ),
        (f"{ROS}d: {D}\ndistortion_coefficients: {D}\n", "under one key"),
        (
            "fx: 900\nfy: 900\ncx: 700\ncy: 500\nk1: 0.1\nk2: 0\nk4: 3\n",
            "expected k1, k2, p1, p2 and k3, got k1, k2, k4",
        ),
        ("fx: 900\nfy: 900\ncx: 700\ncy: 500\n", "expected distortion_coefficients, got none"),
        (KALIBR.format("radtan") + KALIBR.format("radtan").replace("cam0", "cam1"), "got 2: cam0, cam1; leave one"),
        (KALIBR.format("radtan").replace("pinhole", "omni"), "expected camera_model pinhole, got 'omni'"),
        (KALIBR.format("fov"), "expected a distortion model of plumb_bob, .* got 'fov'"),
        (
            f"{FORMS['ros2 topic echo']}".replace("binning_x: 0", "binning_x: 2"),
            "region of interest or binning; let the node",
        ),
        (f"{FORMS['ros2 topic echo']}".replace("y_offset: 0", "y_offset: 8"), "region of interest or binning"),
        (
            "# oST version 5.0 parameters\n[image]\nwidth\n640\n",
            "got the INI form of camera_calibration; take its ost.yaml",
        ),
        (b"PK\x03\x04 and more", "got an archive"),
        (b"\x80\x04\x95", "got a pickle of Python; write its numbers as YAML"),
        ("<?xml version='1.0'?><robot><k>1</k></robot>", r"the XML of OpenCV \(<opencv_storage>\), got <robot>"),
        ("<?xml version='1.0'?><!DOCTYPE a><opencv_storage/>", "got a <!DOCTYPE>"),
        ("<opencv_storage><a>", "expected XML, got"),
        ("<opencv_storage>" + "<a>" * 50, "deep"),
        ("<opencv_storage><k>1</k><k>2</k></opencv_storage>", "each element once, got <k> a second time"),
    ],
)
def test_what_is_refused_says_what_it_is(read, text, words):
    with pytest.raises(ConfigError, match=words) as raised:
        read(text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


P = "projection_matrix: {rows: 3, cols: 4, data: [1400, 0, 700, 0, 0, 1401, 540, 0, 0, 0, 1, 0]}\n"


def test_a_rectified_image_has_the_projection_matrix(read):
    camera = read(FORMS["camera_calibration"] + P, rectified=True).camera
    assert camera.matrix.tolist() == [[1400, 0, 700], [0, 1401, 540], [0, 0, 1]]
    assert camera.distortion.tolist() == []
    for text in (FORMS["camera_calibration"], FORMS["camera_calibration"] + P.replace("0, 0, 1, 0]", "1]")):
        with pytest.raises(ConfigError, match=r"projection_?matrix"):
            read(text, rectified=True)
