import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import TinyPlate, encode, make_tiny_model, tiny_metadata

from nanodet_kp_core.errors import ConfigError, ImageError
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.detection.options import DetectOptions
from nanodet_kp_core.runtime.detection.roi import RoiDetector, region_around

PLATE = TinyPlate("B_3", 0.9, [[10, 10], [11, 20], [30, 22], [29, 12]])


class _Camera:
    """A network that finds a plate in the middle of the image's bright spot, and nothing on a dark image."""

    path = None
    metadata = tiny_metadata(256, 256)

    def run(self, blob):
        spots = np.argwhere(blob[0, 0] > 160)
        if not len(spots):
            return encode(self.metadata, [])[None]
        y, x = spots.mean(axis=0)
        corners = [[x, y], [x, y + 12], [x + 16, y + 12], [x + 16, y]]
        return encode(self.metadata, [TinyPlate("B_3", 0.9, corners)])[None]


def _image(x, y, width=1024, height=768):
    image = np.zeros((height, width, 3), np.uint8)
    image[y - 6 : y + 7, x - 6 : x + 7] = 255  # still bright when the image is reduced to a quarter
    return image


def test_the_second_image_is_looked_at_around_the_plate():
    detector = RoiDetector(Detector(session=_Camera()), every=3)
    regions = []
    for x in (400, 404, 408, 412):
        found = detector(_image(x, 360))
        regions.append(detector.region)
        # Whole images are reduced to a quarter, and so are their corners; parts are not.
        np.testing.assert_allclose(found.corners[0, 0], [x, 360], atol=3 if detector.region is None else 1e-3)
        np.testing.assert_allclose(found.boxes[0, :2], found.corners[0, 0], atol=1e-3)
    assert [region is None for region in regions] == [True, False, False, True]
    for region in regions[1:3]:
        x_min, y_min, x_max, y_max = region
        assert (x_max - x_min, y_max - y_min) == (256, 256)  # the input's size: one pixel is one pixel
        assert 0 <= x_min < 400 < x_max <= 1024
        assert 0 <= y_min < 360 < y_max <= 768


def test_without_plates_and_after_a_change_of_size_all_is_looked_at():
    detector = RoiDetector(Detector(session=_Camera()), every=10)
    detector(_image(400, 360))
    detector(_image(400, 360, 1100, 800))
    assert detector.region is None
    detector(_image(400, 360, 1100, 800))
    assert detector.region is not None
    assert len(detector(_image(1000, 60, 1100, 800))) == 0  # it jumped out of the part
    assert len(detector(_image(1000, 60, 1100, 800))) == 1
    assert detector.region is None


def test_cameras_that_share_a_detector_do_not_disturb_each_other():
    """Each follows its own video; what the shared detector does beside them moves no region."""
    detector = Detector(session=_Camera())
    left, right = RoiDetector(detector, every=4), RoiDetector(detector, every=4)
    for number in range(3):
        images = [_image(200 + 4 * number, 300), _image(800, 500 + 4 * number)]
        for camera, image, spot in zip((left, right), images, ((200 + 4 * number, 300), (800, 500 + 4 * number))):
            np.testing.assert_allclose(camera(image).corners[0, 0], spot, atol=1e-3 if number else 3)
            assert (camera.region is None) == (number == 0)
        before = (left.region, right.region)
        found = detector.detect_all([*images, _image(500, 100)])
        assert [len(one) for one in found] == [1, 1, 1]
        assert (left.region, right.region) == before


def test_unwanted_plates_are_followed_and_not_reported():
    detector, wanted = RoiDetector(Detector(session=_Camera()), every=3), DetectOptions(class_ids=frozenset({0}))
    for x in (400, 404):
        assert len(detector(_image(x, 360), wanted)) == 0
    assert detector.region is not None
    assert detector(_image(408, 360)).labels == ["B_3"]


def test_every_image_whole_is_the_detector_itself():
    detector = RoiDetector(Detector(session=_Camera()), every=1)
    for _ in range(3):
        detector(_image(400, 360))
        assert detector.region is None


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_wrong_every(every):
    with pytest.raises(ConfigError, match="every: expected a whole number of at least 1"):
        RoiDetector(Detector(session=_Camera()), every=every)


def test_other_arguments_and_a_bad_image(tmp_path):
    detector = RoiDetector(Detector(make_tiny_model(tmp_path / "m.onnx", [PLATE]), score_threshold=0.95), every=2)
    assert len(detector(np.zeros((64, 64, 3), np.uint8))) == 0
    lower = DetectOptions(score_threshold=0.5)
    assert detector(np.zeros((64, 64), np.uint8), lower, "mono").labels == ["B_3"]
    for bad in (None, np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError):
            detector(bad)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 5),
    image=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    least=st.tuples(st.integers(32, 640), st.integers(32, 640)),
)
def test_a_region_lies_in_the_image_and_holds_the_plates(seed, count, image, least):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, image, (count, 2)) * 0.95
    boxes = np.concatenate([low, np.minimum(low + rng.uniform(1, 200, (count, 2)), image)], axis=1).astype(np.float32)
    region = region_around(boxes, image, least)
    if region is None:
        return
    x_min, y_min, x_max, y_max = region
    assert 0 <= x_min < x_max <= image[0]
    assert 0 <= y_min < y_max <= image[1]
    assert min(image[0], least[0]) <= x_max - x_min
    assert min(image[1], least[1]) <= y_max - y_min
    assert (boxes[:, :2] >= [x_min - 0.51, y_min - 0.51]).all()
    assert (boxes[:, 2:] <= [x_max + 0.51, y_max + 0.51]).all()
    assert x_max - x_min <= 0.7 * image[0] + 1 or y_max - y_min <= 0.7 * image[1] + 1


def test_plates_all_over_the_image_leave_no_part():
    boxes = np.array([[10, 10, 40, 20], [1200, 900, 1260, 930]], np.float32)
    assert region_around(boxes, (1280, 1024), (512, 384)) is None
