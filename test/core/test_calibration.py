"""Calibration files: as ROS writes them, for other sizes, and broken in every way."""

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.poses.calibration import MAX_BYTES, Calibration, read_calibration
from nanodet_kp_core.runtime.poses.pose import Camera

# What camera_calibration's cameracalibrator writes.
WRITTEN = """\
image_width: 1280
image_height: 1024
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [1736.51, 0., 640.2, 0., 1735.9, 511.8, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.08, 0.11, 0.0004, -0.0002, 0.]
rectification_matrix: {rows: 3, cols: 3, data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]}
projection_matrix: {rows: 3, cols: 4, data: [1700., 0., 640., 0., 0., 1700., 511., 0., 0., 0., 1., 0.]}
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "camera.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_file_of_camera_calibration(written):
    calibration = read_calibration(written(WRITTEN))
    assert calibration.size == (1280, 1024)
    assert calibration.camera.matrix.tolist() == [[1736.51, 0, 640.2], [0, 1735.9, 511.8], [0, 0, 1]]
    assert calibration.camera.distortion.tolist() == [-0.08, 0.11, 0.0004, -0.0002, 0]
    assert not calibration.camera.fisheye
    assert calibration.fitted((1280, 1024), "x") is calibration.camera


def test_a_fisheye_file(written):
    text = WRITTEN.replace("plumb_bob", "equidistant").replace(", 0.]\nrect", "]\nrect").replace("cols: 5", "cols: 4")
    camera = read_calibration(written(text)).camera
    assert camera.fisheye
    assert len(camera.distortion) == 4


def test_an_image_of_half_the_size(written):
    camera = read_calibration(written(WRITTEN)).fitted((640, 512), "x")
    # The middles of the corner pixels: -0.5 and 1279.5 of the whole image are -0.5 and 639.5 of the half one.
    np.testing.assert_allclose(camera.matrix, [[868.255, 0, 319.85], [0, 867.95, 255.65], [0, 0, 1]])


def test_an_image_of_another_shape_has_no_camera(written):
    with pytest.raises(ConfigError, match=r"^front: expected the calibration of a 640x480 .* got 1280x1024;"):
        read_calibration(written(WRITTEN)).fitted((640, 480), "front")


def test_a_file_without_a_size_is_taken_for_every_size():
    calibration = Calibration(Camera([[700, 0, 320], [0, 700, 240], [0, 0, 1]], []), None)
    assert calibration.fitted((640, 480), "x") is calibration.camera


@pytest.mark.parametrize("matrix", [np.eye(3), np.diag([1e5, 1e5, 1]), [[30, 0, 320], [0, 30, 240], [0, 0, 1]]])
def test_a_file_without_a_size_fits_no_image_that_no_lens_makes(matrix):
    with pytest.raises(ConfigError, match=r"^front: expected focal lengths of 64 to 64000 pixels"):
        Calibration(Camera(matrix, []), None).fitted((640, 480), "front")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1736.51", ".nan", "nine finite numbers, got \\[nan"),
        ("1736.51", "0.", "focal lengths"),
        ("1736.51", "-3", "focal lengths"),
        ("1736.51, 0., 640.2, 0., 1735.9", "1., 0., 640.2, 0., 1.", "128 to 128000 pixels .* got 1 and 1, which"),
        ("1736.51", "900", "focal lengths of square pixels, got 900 and 1735.9"),
        ("640.2", "2000", r"optical center inside 1280x1024, got \(2000, 511.8\)"),
        ("1736.51, 0.,", "1736.51,", "nine finite numbers"),
        ("[1736.51, 0., 640.2, 0., 1735.9, 511.8, 0., 0., 1.]", "maybe", "nine finite numbers, got 'maybe'"),
        ("-0.08,", "high,", "finite distortion coefficients, got a list of 5"),
        ("plumb_bob", "omnidirectional", "distortion model of plumb_bob, .* got 'omnidirectional'"),
        ("1280", "0", "image_width and image_height"),
        ("1280", "1280.5", "image_width and image_height"),
        ("camera_matrix:", "camera_matrix: [", "expected YAML"),
        ("camera_matrix:", "matrices:", "expected camera_matrix"),
        ("camera_name: narrow_stereo", "when: 2001-13-45", "expected YAML"),
    ],
)
def test_one_sentence_for_a_wrong_file(written, old, new, message):
    assert old in WRITTEN
    path = written(WRITTEN.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as caught:
        read_calibration(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


BOMB = "a0: &a0 [1, 1]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 64))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * MAX_BYTES, "expected YAML"),
        ("x" * (MAX_BYTES + 1), "larger file"),
        (b"\xff\xfe\x00", "bytes that are no text"),
        ("", "got None; write camera_matrix"),
        ("- 1\n", r"got \[1\]"),
        ("matrix: [[1, 2, 3], [4, 5, 6], [7, 8, 9]]", "expected \\[\\[fx"),
        ("matrix: [[1, 2], [4, 5, 6], [7, 8, 9]]", "nine finite numbers"),
        ("matrix: 1e400", "nine finite numbers"),
        (f"matrix: 1{'0' * 5000}", "nine finite|expected YAML"),
    ],
)
def test_files_that_are_no_calibration(written, text, message):
    with pytest.raises(ConfigError, match=message):
        read_calibration(written(text))


@pytest.mark.parametrize("text", [BOMB + "matrix: *a63\n", MERGES], ids=["lists", "merges"])
def test_aliases_that_explode(written, text):
    path = written(text)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="alias"):
            read_calibration(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_file_without_an_end():
    if not os.path.exists("/dev/zero"):
        pytest.skip("needs /dev/zero")
    with pytest.raises(ConfigError, match="larger file"):
        read_calibration("/dev/zero")


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_calibration(tmp_path / "camera.yaml")
    with pytest.raises(ConfigError, match="got a folder"):
        read_calibration(tmp_path)


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, len(WRITTEN)), at=st.integers(0, len(WRITTEN)), put=st.binary(max_size=6))
def test_damage_gives_a_camera_or_a_sentence(tmp_path_factory, cut, at, put):
    data = WRITTEN.encode()[:cut]
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    path.write_bytes(data[:at] + put + data[at:])
    said = str(path)
    try:
        calibration = read_calibration(path)
        assert np.isfinite(calibration.camera.matrix).all()
    except ConfigError as error:
        said = str(error)
    assert said.startswith(str(path))
