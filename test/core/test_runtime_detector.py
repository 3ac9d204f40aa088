from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_model import TinyPlate, encode, make_tiny_model, tiny_metadata

from nanodet_kp_core import share
from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError, ImageError, ModelError
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.detection.draw import CORNER_COLOR, draw
from nanodet_kp_core.runtime.detection.options import DetectOptions, class_ids_of

LEFT = [[10, 10], [11, 20], [30, 22], [29, 12]]
RIGHT = [[40, 40], [40, 50], [58, 51], [59, 41]]
PLATES = [TinyPlate("B_3", 0.6, LEFT), TinyPlate("R_1", 0.9, RIGHT)]
GREY = np.full((64, 64, 3), 90, np.uint8)


@pytest.fixture
def model(tmp_path):
    return make_tiny_model(tmp_path / "m.onnx", PLATES)


def test_plates_come_best_first_with_their_types(model):
    found = Detector(model, threads=1)(GREY)
    assert found.labels == ["R_1", "B_3"]
    assert len(found) == 2
    np.testing.assert_allclose(found.scores, [0.9, 0.6], atol=1e-5)
    np.testing.assert_allclose(found.corners, [RIGHT, LEFT], atol=1e-3)
    np.testing.assert_allclose(found.boxes, [[40, 40, 59, 51], [10, 10, 30, 22]], atol=1e-3)
    types = [array.dtype for array in (found.scores, found.class_ids, found.boxes, found.corners)]
    assert types == [np.float32, np.int64, np.float32, np.float32]
    assert found.number_scores.tolist() == [1, 1]  # nothing in this model tells number from class
    assert found.number_scores.dtype == np.float32


def test_results_are_in_pixels_of_the_image(model):
    # 256x128 -> 64x32, 16 pixels of gray above: x' = (x + 0.5) / 4 - 0.5, y' = the same + 16.
    found = Detector(model, threads=1)(np.zeros((128, 256, 3), np.uint8))
    wanted = (np.array(RIGHT) - [0, 16] + 0.5) * 4 - 0.5
    np.testing.assert_allclose(found.corners[0], wanted, atol=4e-3)
    np.testing.assert_allclose(found.boxes[0], [*wanted.min(axis=0), *wanted.max(axis=0)], atol=4e-3)


def test_a_stretched_input_has_two_factors(tmp_path):
    model = make_tiny_model(tmp_path / "m.onnx", PLATES, tiny_metadata(resize="stretch"))
    found = Detector(model, threads=1)(np.zeros((128, 256, 3), np.uint8))
    np.testing.assert_allclose(found.corners[0], (np.array(RIGHT) + 0.5) * [4, 2] - 0.5, atol=4e-3)


def test_corners_outside_the_image_are_kept(tmp_path):
    outside = [[-9, 5], [-8, 20], [20, 22], [21, 7]]
    found = Detector(make_tiny_model(tmp_path / "m.onnx", [TinyPlate("B_3", 0.9, outside)]), threads=1)(GREY)
    np.testing.assert_allclose(found.corners, [outside], atol=1e-3)
    assert found.boxes[0, 0] < -8.9


def test_one_plate_has_one_label(tmp_path):
    # The same place as two classes: per-class suppression would keep both.
    twice = [TinyPlate("B_3", 0.7, LEFT), TinyPlate("B_4", 0.8, LEFT)]
    detector = Detector(make_tiny_model(tmp_path / "m.onnx", twice), threads=1)
    assert detector(GREY).labels == ["B_4"]
    assert detector(GREY, DetectOptions(nms_threshold=1.0)).labels == ["B_4", "B_3"]


def test_corners_are_merged_down_to_half_of_the_threshold(tmp_path):
    moved = np.array(LEFT) + 2
    plates = [TinyPlate("B_3", 0.9, LEFT), TinyPlate("B_3", 0.3, moved), TinyPlate("B_3", 0.2, np.array(LEFT) - 2)]
    detector = Detector(make_tiny_model(tmp_path / "m.onnx", plates), threads=1, score_threshold=0.5)
    merged = detector(GREY)
    wanted = (np.array(LEFT) * 0.81 + moved * 0.09) / 0.9
    np.testing.assert_allclose(merged.corners, [wanted], atol=1e-3)
    alone = detector(GREY, DetectOptions(merge_corners=False))
    np.testing.assert_allclose(alone.corners, [LEFT], atol=1e-3)
    np.testing.assert_array_equal(merged.boxes, alone.boxes)
    np.testing.assert_array_equal(merged.scores, alone.scores)


@pytest.mark.parametrize("lower", [0.3, 0.1, 0.0])
def test_a_lower_threshold_with_the_old_floor_leaves_the_corners(tmp_path, lower):
    near = [TinyPlate("B_3", 0.9, LEFT), TinyPlate("B_3", 0.3, np.array(LEFT) + 2)]
    below = [TinyPlate("B_3", score, np.array(LEFT) - 2) for score in (0.2, 0.12)]
    weak = TinyPlate("R_1", 0.15, RIGHT)
    detector = Detector(make_tiny_model(tmp_path / "m.onnx", [*near, *below, weak]), score_threshold=0.5)
    wanted = detector(GREY).corners
    found = detector(GREY, DetectOptions(score_threshold=lower))
    assert np.abs(found.corners[0] - wanted[0]).max() > 0.01
    lowered = detector.options.lowered(0.5 - lower)
    assert lowered.score_threshold == pytest.approx(lower) and lowered.lowest_merged == 0.25
    found = detector(GREY, lowered)
    np.testing.assert_allclose(found.corners[0], wanted[0], atol=1e-4)
    if lower < 0.15:  # below the floor itself, it is reported as it is
        np.testing.assert_allclose(found.corners[found.labels.index("R_1")], RIGHT, atol=1e-3)


def test_a_part_of_the_detections_and_the_same_elsewhere(model):
    found = replace(
        Detector(model, threads=1)(GREY), number_scores=np.array([0.4, 0.8], np.float32), number_threshold=0.5
    )
    assert found.labels == ["R", "B_3"]
    assert found.class_labels == ["R_1", "B_3"]
    assert found.number_known.tolist() == [False, True]
    swapped = found[np.array([1, 0])]
    assert swapped.labels == ["B_3", "R"]
    for name in ("scores", "class_ids", "boxes", "corners", "number_scores"):
        np.testing.assert_array_equal(getattr(swapped, name), getattr(found, name)[::-1])
    assert len(found[np.array([], int)]) == 0
    assert found[found.number_known].labels == found[1:].labels == ["B_3"]
    moved = found.shifted(3, -4)
    np.testing.assert_allclose(moved.corners, found.corners + [3, -4])
    np.testing.assert_allclose(moved.boxes, found.boxes + [3, -4, 3, -4])
    assert moved.labels == found.labels and moved.corners.dtype == np.float32
    assert swapped.joined(found).labels == ["B_3", "R", "R", "B_3"]


def test_only_class_names_with_a_number_are_cut():
    corners = np.zeros((1, 4, 2), np.float32)
    boxes, scores = np.zeros((1, 4), np.float32), np.array([0.2], np.float32)
    assert Detections(scores, np.array([0]), boxes, corners, ("rune",), scores, 0.5).labels == ["rune"]


def test_options_come_with_the_image(model):
    detector = Detector(model, threads=1, score_threshold=0.95)
    empty = detector(GREY)
    assert (len(empty), empty.labels, empty.boxes.shape, empty.corners.shape) == (0, [], (0, 4), (0, 4, 2))
    assert len(detector(GREY, DetectOptions())) == 2
    assert detector(GREY, DetectOptions(max_detections=1)).labels == ["R_1"]
    assert len(detector(GREY)) == 0  # the options of a call hold for that call
    detector.options = DetectOptions()
    assert len(detector(GREY)) == 2


def test_the_best_of_the_wanted_classes(model):
    ids = class_ids_of(["B"], ARMOR_CLASSES)
    assert Detector(model)(GREY, DetectOptions(max_detections=1, class_ids=ids)).labels == ["B_3"]


def test_times_of_the_last_call(model):
    detector = Detector(model, threads=1)
    assert detector.times == {}
    detector.clock = iter([1.0, 1.25, 1.5, 2.0, 3.0, 3.25, 3.25]).__next__
    detector(GREY)
    assert detector.times == {"preprocess": 250, "network": 500, "decode": 1000, "scout": 500, "refiner": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"score_threshold": 1.1},
        {"score_threshold": float("nan")},
        {"nms_threshold": -0.1},
        {"number_threshold": 1.1},
        {"max_detections": 0},
        {"threads": 0},
    ],
)
def test_wrong_arguments_are_named(model, wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"{name}: expected"):
        Detector(model, **{"threads": 1, **wrong})


def test_a_wrong_image_is_refused_and_the_next_one_works(model):
    detector = Detector(model, threads=1)
    with pytest.raises(ImageError):
        detector(np.zeros((0, 0, 3), np.uint8))
    assert len(detector(GREY)) == 2


class _Fake:
    """A network that is no ONNX file, as evaluation uses one."""

    path = Path("fake")
    metadata = tiny_metadata()

    def run(self, blob):
        assert blob.shape == (1, 3, 64, 64)
        return encode(self.metadata, PLATES)[None]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("rows", [0, 4])
def test_every_kind_of_model_gives_the_same_plates(model, tmp_path, dtype, rows):
    other = make_tiny_model(tmp_path / "other.onnx", PLATES, tiny_metadata(dtype=dtype, rows=rows))
    image = np.zeros((128, 256, 3), np.uint8)
    wanted, found = Detector(model, threads=1)(image), Detector(other, threads=1)(image)
    assert found.labels == wanted.labels == ["R_1", "B_3"]
    np.testing.assert_array_equal(found.corners, wanted.corners)
    np.testing.assert_array_equal(found.boxes, wanted.boxes)


def test_images_of_other_orders(model):
    detector = Detector(model, threads=1)
    assert detector(GREY, channel_order="rgb").labels == detector(GREY[..., 0], None, "mono").labels == ["R_1", "B_3"]
    with pytest.raises(ImageError, match=r"uint8 \[height, width\]"):
        detector(GREY, channel_order="mono")
    with pytest.raises(ConfigError, match="channel_order"):
        detector(GREY, channel_order="hsv")


@pytest.mark.parametrize("batch", [1, 2])
def test_images_of_several_cameras(tmp_path, batch):
    model = make_tiny_model(tmp_path / "m.onnx", PLATES, tiny_metadata(dtype="uint8", batch=batch))
    detector = Detector(model, threads=1)
    for count in (0, 1, 2, 3):
        found = detector.detect_all([GREY] * count)
        assert [one.labels for one in found] == [["R_1", "B_3"]] * count
    assert detector(GREY).labels == ["R_1", "B_3"]  # a single image as well


def test_a_session_takes_the_place_of_a_file():
    detector = Detector(session=_Fake())
    assert detector(GREY).labels == ["R_1", "B_3"]
    assert (detector.model_path, detector.metadata) == (_Fake.path, _Fake.metadata)


def test_none_takes_the_bundled_model(model, tmp_path, monkeypatch):
    monkeypatch.setattr(share, "PACKAGE", tmp_path / "nanodet_kp_core")
    with pytest.raises(ModelError, match=r"bundled model armor_s\.onnx: .*install the package again"):
        Detector(threads=1)
    (tmp_path / "package.xml").touch()
    with pytest.raises(ModelError, match=f"expected it in {tmp_path / 'models'}, got no such file"):
        Detector(threads=1)
    (tmp_path / "models").mkdir()
    model.rename(tmp_path / "models" / "armor_s.onnx")
    assert Detector(threads=1).model_path == tmp_path / "models" / "armor_s.onnx"


def _detections(corners, label="B_3"):
    corners = np.asarray([corners], np.float32)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Detections(np.array([0.9], np.float32), np.array([0]), boxes, corners, (label,))


def test_draw_marks_the_corner_order_and_leaves_the_image_alone():
    image = np.zeros((480, 640, 3), np.uint8)
    corners = [[100, 200], [110, 300], [300, 310], [290, 210]]
    drawn = draw(image, _detections(corners))
    assert not image.any()
    dots = [int((drawn[y - 6 : y + 7, x - 6 : x + 7] == CORNER_COLOR).all(axis=2).sum()) for x, y in corners]
    assert dots[0] > 1.5 * dots[1] > 0  # large at left-top, small at left-bottom
    assert dots[2:] == [0, 0]
    for first, second in zip(corners, corners[1:] + corners[:1], strict=True):
        x, y = (np.array(first) + second) // 2
        assert drawn[y - 1 : y + 2, x - 1 : x + 2, 1].max() > 200  # green half-way along every side


def test_draw_thickness_grows_with_the_image():
    quad = np.array([[100, 100], [100, 300], [300, 300], [300, 100]])
    counts = []
    for width in (640, 2560):
        drawn = draw(np.zeros((width * 3 // 4, width, 3), np.uint8), _detections(quad))
        counts.append(int((drawn[200, 90:110].max(axis=1) > 100).sum()))  # across the left side
    assert counts[1] > 2 * counts[0] > 0


@pytest.mark.parametrize("shift", [-1e12, -150, 500, 1e12])
def test_draw_far_outside(shift):
    image = np.zeros((40, 50, 3), np.uint8)
    quad = np.array([[10, 10], [10, 20], [30, 20], [30, 10]]) + shift
    assert draw(image, _detections(quad)).shape == image.shape


def test_draw_nothing():
    found = Detections(np.zeros(0), np.zeros(0, int), np.zeros((0, 4)), np.zeros((0, 4, 2)), ("a",))
    np.testing.assert_array_equal(draw(GREY, found), GREY)
