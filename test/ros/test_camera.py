"""CameraInfo messages: calibrated, not calibrated, broken, binned and cut."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2: make setup, or source an installation")

from sensor_msgs.msg import CameraInfo, RegionOfInterest

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_ros.camera_info import camera_from_info, is_rectified

K = [1200.0, 0.0, 640.0, 0.0, 1190.0, 512.0, 0.0, 0.0, 1.0]
D = [-0.1, 0.02, 0.001, -0.001, 0.0]


def info(**fields):
    return CameraInfo(**{"width": 1280, "height": 1024, "k": K, "d": D, "distortion_model": "plumb_bob", **fields})


def test_a_calibrated_camera():
    camera = camera_from_info(info(), (1280, 1024))
    assert camera.matrix.ravel().tolist() == K
    assert camera.distortion.tolist() == D
    assert not camera.fisheye
    assert camera_from_info(info()).matrix.ravel().tolist() == K


@pytest.mark.parametrize(
    ("model", "lens", "fisheye"),
    [
        ("plumb_bob", [0.0] * 4, False),
        ("plumb_bob", [], False),
        ("", [], False),
        ("rational_polynomial", [0.1] * 8, False),
        ("rational_polynomial", [0.1] * 14, False),
        ("equidistant", [0.1] * 4, True),
        ("fisheye", [0.1] * 4, True),
    ],
)
def test_distortion_models(model, lens, fisheye):
    camera = camera_from_info(info(distortion_model=model, d=lens))
    assert (camera.fisheye, camera.distortion.tolist()) == (fisheye, lens)


def test_pains_an_uncalibrated_camera_publishes_zeros():
    with pytest.raises(ConfigError, match="matrix k of zeros, which says that the camera is not calibrated"):
        camera_from_info(CameraInfo(width=1280, height=1024))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": [math.nan] * 9}, "nine finite numbers, got \\[nan"),
        ({"k": [math.inf, *K[1:]]}, "nine finite numbers"),
        ({"k": [0.0, *K[1:]]}, "focal lengths"),
        ({"k": [-1200.0, *K[1:]]}, "focal lengths"),
        ({"k": [600.0, *K[1:]]}, "focal lengths of square pixels"),
        ({"k": [*K[:2], 5000.0, *K[3:]]}, "optical center inside 1280x1024"),
        ({"k": [*K[:8], 2.0]}, "expected \\[\\[fx"),
        ({"width": 0}, "width and a height of 1 to 65536 pixels, got 0x1024"),
        ({"height": 4_000_000_000}, "got 1280x4000000000"),
        ({"d": [math.nan] * 5}, "finite distortion coefficients"),
        ({"d": [0.1] * 1000}, "finite distortion coefficients, got a list of 1000"),
        ({"d": [0.1] * 3}, "expected 0, 4, 5"),
        ({"d": [0.1] * 5, "distortion_model": "equidistant"}, "expected 4 numbers"),
        ({"distortion_model": "thin_prism_fisheye"}, "distortion model of plumb_bob"),
        ({"distortion_model": "x" * 9999}, "distortion model of plumb_bob"),
    ],
)
def test_one_sentence_for_each_fault(fields, message):
    with pytest.raises(ConfigError, match=message) as caught:
        camera_from_info(info(**fields), (1280, 1024))
    assert str(caught.value).startswith("camera_info: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_binned_part_of_the_sensor():
    region = RegionOfInterest(x_offset=200, y_offset=100, width=800, height=600)
    message = info(binning_x=2, binning_y=2, roi=region)
    camera = camera_from_info(message, (400, 300))
    # Pixel (u, v) of the sensor is ((u - offset + 0.5) / 2 - 0.5) of the image.
    np.testing.assert_allclose(camera.matrix, [[600, 0, 219.75], [0, 595, 205.75], [0, 0, 1]])
    assert camera.distortion.tolist() == D
    # A driver that says so and sends the whole sensor all the same.
    assert camera_from_info(message, (1280, 1024)).matrix.ravel().tolist() == K
    assert camera_from_info(message).matrix.tolist() == camera.matrix.tolist()


def test_an_image_that_was_scaled_afterwards():
    camera = camera_from_info(info(), (640, 512))
    np.testing.assert_allclose(camera.matrix, [[600, 0, 319.75], [0, 595, 255.75], [0, 0, 1]])


def test_an_image_of_another_shape():
    with pytest.raises(ConfigError, match=r"expected the calibration of a 640x480 image .* got 1280x1024"):
        camera_from_info(info(), (640, 480))


@pytest.mark.parametrize(
    "fields",
    [
        {"binning_x": 4_000_000_000},
        {"roi": RegionOfInterest(x_offset=1000, width=800, height=600)},
        {"roi": RegionOfInterest(y_offset=4_000_000_000, width=800, height=600)},
        {"roi": RegionOfInterest(width=1, height=1), "binning_x": 2, "binning_y": 2},
    ],
)
def test_a_region_that_is_none(fields):
    with pytest.raises(ConfigError, match="expected a region of interest inside 1280x1024"):
        camera_from_info(info(**fields), (400, 300))


numbers = st.floats() | st.sampled_from([0.0, 1.0, 1200.0, 640.0])
sides = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2, 640, 1024, 1280])


@settings(max_examples=400, deadline=None)
@given(
    k=st.lists(numbers, min_size=9, max_size=9), d=st.lists(numbers, max_size=20), model=st.text(max_size=20),
    values=st.lists(sides, min_size=8, max_size=8), size=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    known=st.booleans(),
)  # fmt: skip
def test_any_message_gives_a_camera_or_a_sentence(k, d, model, values, size, known):
    width, height, x, y, columns, rows, across, down = values
    message = CameraInfo(
        width=width, height=height, k=K if known else k, d=d, distortion_model="plumb_bob" if known else model,
        binning_x=across, binning_y=down,
        roi=RegionOfInterest(x_offset=x, y_offset=y, width=columns, height=rows),
    )  # fmt: skip
    said = "camera_info: "
    try:
        assert np.isfinite(camera_from_info(message, size).matrix).all()
    except ConfigError as error:
        said = str(error)
    assert said.startswith("camera_info: ")


P = [1100.0, 0.0, 630.0, 0.0, 0.0, 1110.0, 500.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def test_a_rectified_image_has_the_projection_matrix_and_no_distortion():
    camera = camera_from_info(info(p=P), (1280, 1024), rectified=True)
    assert camera.matrix.tolist() == [[1100, 0, 630], [0, 1110, 500], [0, 0, 1]]
    assert camera.distortion.tolist() == []
    half = camera_from_info(info(p=P, binning_x=2, binning_y=2), (640, 512), rectified=True)
    np.testing.assert_allclose(half.matrix, [[550, 0, 314.75], [0, 555, 249.75], [0, 0, 1]])


def test_a_rectified_image_without_its_projection_matrix_has_no_camera():
    with pytest.raises(ConfigError, match="expected the projection matrix p, which rectified images are made with"):
        camera_from_info(info(), rectified=True)
    assert camera_from_info(info(d=[0.0] * 5), rectified=True).matrix.ravel().tolist() == K


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/cam/image_rect", True),
        ("/cam/image_rect_color", True),
        ("/zed/left/color/rect/image", True),
        ("/cam/rectified/image", True),
        ("/cam/image_undistorted", True),
        ("/cam/image_raw", False),
        ("/rectangle/image_raw", False),
        ("/direct/image", False),
    ],
)
def test_rectified_topics_by_their_names(topic, rectified):
    assert is_rectified(topic) == rectified


@pytest.mark.parametrize(
    ("fields", "lens"),
    [
        ({"distortion_model": "none", "d": []}, []),
        ({"distortion_model": "none", "d": [0.0] * 5}, []),
        ({"distortion_model": "equidistant", "d": [0.1, 0.2, 0.3, 0.4, 0.0]}, [0.1, 0.2, 0.3, 0.4]),
        ({"distortion_model": "PLUMB_BOB"}, D),
    ],
)
def test_models_of_simulators_and_of_drivers(fields, lens):
    assert camera_from_info(info(**fields)).distortion.tolist() == lens


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"k": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]}, "which no lens has"),
        ({"k": [0.9, 0.0, 0.5, 0.0, 0.9, 0.5, 0.0, 0.0, 1.0]}, "which no lens has"),
        ({"k": [4e5, 0.0, 640.0, 0.0, 4e5, 512.0, 0.0, 0.0, 1.0]}, "which no lens has"),
        ({"distortion_model": "none"}, "expected no coefficients for distortion model 'none'"),
        ({"distortion_model": "equidistant", "d": [0.1] * 5}, "camera distortion: expected 4 numbers"),
    ],
)
def test_numbers_that_no_lens_has(fields, words):
    with pytest.raises(ConfigError, match=words):
        camera_from_info(info(**fields))
