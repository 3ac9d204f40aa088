"""Corner errors, sizes, curves, confusion and pose errors on plates whose errors are known."""

import json

import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ConfigError, DataError
from nanodet_kp_core.evaluate.cameras import label_cameras
from nanodet_kp_core.evaluate.metrics import Prediction, match, score_predictions
from nanodet_kp_core.evaluate.pose_error import pose_errors, pose_rows, pose_score
from nanodet_kp_core.evaluate.tables import confusion, corner_errors, curve, plate_widths, size_rows
from nanodet_kp_core.plate import BAR_LENGTH, SMALL_WIDTH, corner_points
from nanodet_kp_core.runtime.poses.calibration import read_calibration
from nanodet_kp_core.runtime.poses.pose import Camera
from nanodet_kp_core.synthetic.geometry import plate_pose

MATRIX = [[600.0, 0, 200], [0, 600, 150], [0, 0, 1]]


def test_corner_errors_name_the_corner_and_its_bias(make_record, plate):
    true = plate(100, 100, 40, 30)
    off = np.zeros((4, 2))
    off[1] = (3, 4)
    found = {"a.png": [Prediction("B_3", 0.9, true + off)]}
    rows = {row.name: row for row in corner_errors(match([make_record([true], ["B_3"])], found).hits)}
    assert list(rows) == ["left-top", "left-bottom", "right-bottom", "right-top", "all"]
    worst = rows["left-bottom"]
    assert (worst.mean_px, worst.p95_px, worst.bias_x, worst.bias_y) == pytest.approx((5, 5, 3, 4))
    assert worst.mean_diagonal == pytest.approx(5 / 50)
    assert rows["left-top"].mean_px == 0
    assert rows["all"].mean_px == pytest.approx(5 / 4)
    assert rows["all"].p95_diagonal == pytest.approx(np.percentile([0.1, 0, 0, 0], 95))
    assert all(np.isnan(row.mean_px) for row in corner_errors([]))


def test_plates_are_sorted_into_rows_by_width(make_record, plate):
    plates = [plate(0, 0, 10, 5), plate(50, 0, 20, 10), plate(100, 0, 20, 10), plate(150, 0, 200, 80)]
    shifted = [Prediction("B_3", 0.9, plates[1] + (0, 1)), Prediction("B_3", 0.8, plates[3] + (2, 0))]
    rows = size_rows(match([make_record(plates, ["B_3"] * 4)], {"a.png": shifted}))
    assert [(row.low, row.plates, row.recall) for row in rows] == [(0, 1, 0), (16, 2, 0.5), (160, 1, 1)]
    assert np.isnan(rows[0].err_px)
    assert rows[1].err_px == pytest.approx(1)
    assert rows[2].err == pytest.approx(2 / np.hypot(200, 80))
    assert plate_widths(np.array([[[0, 0], [0, 5], [30, 45], [30, 40]]], float)) == pytest.approx([50])


def test_the_curve_agrees_with_scoring_at_each_threshold(make_record, plate):
    rng = np.random.default_rng(1)
    plates = [plate(90 * k, 0, 50, 30) for k in range(4)]
    record = make_record(plates, ["B_3", "B_4", "R_1", "R_2"], number_known=np.array([True, True, True, False]))
    found = [
        Prediction(ARMOR_CLASSES[rng.integers(36)] if k % 2 else "B_3", s, plates[k % 4] + 40 * (k > 5))
        for k, s in enumerate(rng.uniform(0, 1, 8))
    ]
    points = curve(match([record], {"a.png": found}, 0.1), ARMOR_CLASSES)
    assert points[0].threshold == 0.1
    for point in points:
        score = score_predictions([record], {"a.png": found}, ARMOR_CLASSES, point.threshold)
        assert point.recall == pytest.approx(score.recall)
        if score.hits + score.false_alarms:
            assert (point.precision, point.f1) == pytest.approx((score.precision, score.f1))
        assert point.class_recall <= point.recall
    assert points[-1].class_precision <= points[-1].precision


def test_the_right_class_asks_for_no_number_that_nobody_could_read(make_record, plate):
    record = make_record([plate(0, 0, 50, 30)], ["B_G"], number_known=np.array([False]))
    for label, right in (("B_5", 1.0), ("R_G", 0.0)):
        point = curve(match([record], {"a.png": [Prediction(label, 0.9, plate(0, 0, 50, 30))]}), ARMOR_CLASSES)[0]
        assert (point.recall, point.class_recall) == (1.0, right)


def test_confusion_counts_hits_misses_and_false_alarms(make_record, plate):
    plates = [plate(90 * k, 0, 50, 30) for k in range(4)]
    record = make_record(plates, ["B_3", "R_3", "R_1", "P_G"], number_known=np.array([True, True, True, False]))
    found = [
        Prediction("B_4", 0.9, plates[0]), Prediction("R_3", 0.9, plates[1]), Prediction("N_2", 0.9, plates[3]),
        Prediction("R_O", 0.9, plates[3] + 200),
    ]  # fmt: skip
    classes, colors, numbers = confusion(match([record], {"a.png": found}), ARMOR_CLASSES)
    place = {name: k for k, name in enumerate(classes.names)}
    assert classes.counts[place["B_3"], place["B_4"]] == 1
    assert classes.counts[place["R_1"], place["background"]] == 1
    assert classes.counts[place["background"], place["R_O"]] == 1
    assert classes.counts.sum() == 4  # the plate of unknown number is in none of its cells
    assert colors.counts.sum() == 5
    assert colors.counts[3, 2] == 1  # P taken for N
    assert np.diag(colors.counts).tolist() == [1, 1, 0, 0, 0]
    assert numbers.counts.sum() == 4
    assert len(confusion(match([], {}), ["armor"])) == 1


def test_a_prediction_without_a_number_counts_for_its_color(make_record, plate):
    plates = [plate(90 * k, 0, 50, 30) for k in range(2)]
    record = make_record(plates, ["B_3", "R_3"])
    found = [Prediction("B", 0.9, plates[0]), Prediction("R_3", 0.9, plates[1]), Prediction("P", 0.9, plates[1] + 200)]
    classes, colors, numbers = confusion(match([record], {"a.png": found}), ARMOR_CLASSES)
    assert (classes.counts.sum(), numbers.counts.sum()) == (1, 1)
    assert np.diag(colors.counts).tolist() == [1, 1, 0, 0, 0]
    assert colors.counts[-1, 3] == 1


def project(yaw, shift=0.0, far=1.0):
    pose = plate_pose(np.array([0.1, 0.0, 1.5]) * (1, 1, far), yaw, 0.0, np.radians(15))
    points = pose.points(corner_points(SMALL_WIDTH, BAR_LENGTH)) + (0, 0, shift)
    return points[:, :2] / points[:, 2:] * 600 + (200, 150)


def pose_of(record, prediction, cameras):
    hits = match([record], {"a.png": [prediction]}).hits
    return pose_score(pose_errors(hits, cameras, ARMOR_CLASSES))


def test_pose_errors_against_the_labeled_plate(make_record):
    record = make_record([project(0.5)], ["B_3"])
    cameras = {"a.png": Camera(MATRIX, [])}
    same = pose_of(record, Prediction("B_3", 0.9, project(0.5)), cameras)
    assert same.plates == 1
    assert same.distance_mean == pytest.approx(0, abs=1e-4)
    assert same.yaw_mean == pytest.approx(0, abs=0.05)
    moved = pose_of(record, Prediction("B_3", 0.9, project(0.6, shift=0.03)), cameras)
    assert moved.distance_mean == pytest.approx(0.03, abs=2e-3)
    assert moved.relative_median == pytest.approx(0.02, abs=2e-3)
    assert moved.yaw_mean == pytest.approx(np.degrees(0.1), abs=0.5)
    assert moved.yaw_nearest_median <= moved.yaw_median
    large = pose_of(record, Prediction("B_1", 0.9, project(0.5)), cameras)
    assert large.wrong_size == 1
    assert large.yaw_mean > 10


def test_a_flipped_solution_is_counted(make_record):
    """A far plate whose predicted corners are those of its mirror image, as noise makes them."""
    camera = Camera(MATRIX, [])
    true, mirrored = (project(yaw, far=6.0) for yaw in (0.5, -0.5))
    record = make_record([true], ["B_3"])
    nearly = Prediction("B_3", 0.9, 0.4 * true + 0.6 * mirrored)
    score = pose_score(pose_errors(match([record], {"a.png": [nearly]}).hits, {"a.png": camera}, ARMOR_CLASSES))
    assert (score.plates, score.flipped) == (1, 1)
    assert score.yaw_median > 40
    assert score.yaw_nearest_median < 20


def test_pose_needs_camera_corners_and_a_known_size(make_record):
    record = make_record([project(0.5)], ["B_3"])
    cameras = {"a.png": Camera(MATRIX, [])}
    found = Prediction("B_3", 0.9, project(0.5))
    assert pose_of(record, found, {}).plates == 0
    assert pose_of(record, found, {"b.png": cameras["a.png"]}).plates == 0
    unread = make_record([project(0.5)], ["B_3"], number_known=np.array([False]))
    assert pose_of(unread, found, cameras).plates == 0
    hidden = make_record([project(0.5)], ["B_3"], visible=np.array([[2, 2, 2, 0]], np.int8))
    none = pose_of(hidden, found, cameras)
    assert none.plates == 0
    assert np.isnan(none.yaw_median)


def test_pose_errors_by_distance(make_record):
    cameras, errors = {"a.png": Camera(MATRIX, [])}, []
    for far, shift in ((1.0, 0.03), (2.0, 0.1), (2.1, 0.2), (7.0, 0.3)):  # 1.5, 3, 3.15 and 10.5 m
        record = make_record([project(0.5, far=far)], ["B_3"])
        found = {"a.png": [Prediction("B_3", 0.9, project(0.5, shift, far))]}
        errors += pose_errors(match([record], found).hits, cameras, ARMOR_CLASSES)
    rows = pose_rows(errors)
    assert [row.plates for row in rows] == [0, 1, 0, 2, 0, 0, 0, 0, 1]
    assert rows[1].distance_median == pytest.approx(0.03, abs=2e-3)
    assert rows[3].distance_median == pytest.approx(0.15, abs=5e-3)
    assert (rows[3].low, rows[3].high, rows[8].high) == (3, 4, np.inf)
    assert np.isnan(rows[0].distance_median)


def test_cameras_of_a_label_file(tmp_path):
    own = [[500.0, 0, 1], [0, 500, 1], [0, 0, 1]]
    images = [{"file_name": "a.png"}, {"file_name": "b.png", "camera": {"matrix": own, "distortion": None}}]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "camera": {"matrix": MATRIX, "distortion": [0.1, 0, 0, 0]}}))
    cameras = label_cameras(path)
    assert cameras["a.png"].matrix[0, 0] == 600
    assert cameras["a.png"].distortion[0] == 0.1
    assert cameras["b.png"].matrix[0, 0] == 500
    assert cameras["b.png"].distortion.size == 0
    path.write_text(json.dumps({"images": images[:1]}))
    assert label_cameras(path) == {}
    assert label_cameras(tmp_path) == {}
    path.write_text(json.dumps({"images": [{"file_name": "a.png", "camera": {"matrix": [1]}}]}))
    with pytest.raises(DataError, match=r"labels.json: camera of a.png: camera matrix: expected three rows"):
        label_cameras(path)
    path.write_text(json.dumps({"images": [{"file_name": "a.png", "camera": 3}]}))
    with pytest.raises(DataError, match="expected a mapping with `matrix`"):
        label_cameras(path)


def test_calibration_files(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(
        "camera_matrix: {rows: 3, cols: 3, data: [900.0, 0, 320, 0, 910, 240, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [-0.1, 0.02, 0, 0, 0]}\n"
    )
    camera = read_calibration(path).camera
    assert camera.matrix.tolist() == [[900, 0, 320], [0, 910, 240], [0, 0, 1]]
    assert camera.distortion.tolist() == [-0.1, 0.02, 0, 0, 0]
    path.write_text(f"matrix: {MATRIX}\n")
    assert read_calibration(path).camera.matrix[1, 1] == 600
    for text, message in (("a: [", "expected YAML"), ("a: 1", "camera_matrix"), ("matrix: [1]", "nine finite")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_calibration(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_calibration(tmp_path / "none.yaml")
