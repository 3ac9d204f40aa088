"""The report as a page and as JSON: complete, well-formed, self-contained."""

import base64
import json
import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.evaluate.gallery import make_gallery
from nanodet_kp_core.evaluate.html_report import number, write_report
from nanodet_kp_core.evaluate.metrics import Prediction, match
from nanodet_kp_core.evaluate.report import build_report
from nanodet_kp_core.evaluate.summary import summary
from nanodet_kp_core.runtime.poses.pose import Camera

NASTY = '<script>alert(1)</script> & "quoted".png'


@pytest.fixture(scope="module")
def pictured(tmp_path_factory, make_record, plate):
    """Records of three images with two plates each, one of them with a name that is no good HTML."""
    folder, records = tmp_path_factory.mktemp("pictures"), []
    rng = np.random.default_rng(7)
    for k in range(3):
        image = rng.integers(0, 60, (160, 192, 3), np.uint8)
        plates = [plate(20 + 10 * k, 30, 50, 22), plate(110, 90 - 10 * k, 60, 26)]
        for left_top, left_bottom, right_bottom, right_top in np.array(plates).astype(int).tolist():
            cv2.line(image, left_top, left_bottom, (255, 180, 90), 4)
            cv2.line(image, right_top, right_bottom, (255, 180, 90), 4)
        path = folder / f"{k}.png"
        cv2.imwrite(str(path), image)
        name = path.name if k else NASTY
        values = {"number_known": np.array([True, k != 1]), "ignore_boxes": np.array([[0, 140, 30, 160]], np.float32)}
        records.append(make_record(plates, ["B_3", "B_1"], name, path=path, width=192, height=160, **values))
    return records


def noisy(records, **values):
    """Predictions near the labels, one of each image missed, and a false alarm."""
    rng = np.random.default_rng(3)
    found = {}
    for record in records:
        plates = list(zip(record.corners, record.labels))[1:] or list(zip(record.corners, record.labels))
        found[record.name] = [
            Prediction(ARMOR_CLASSES[(label + 1) % 36], 0.8, corners + rng.normal(0, 0.5, (4, 2)), **values)
            for corners, label in plates
        ]
        found[record.name].append(Prediction("R_3", 0.6, record.corners[0] * 0.2 - 60, **values))
    return found


def check_page(path):
    """Well-formed, nothing from elsewhere, every image a real one; returns the text and the number of images."""
    text = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag == "html"
    assert not re.search(r"https?://|url\(|@import|<link|<script", text)
    sources = [element.get("src") for element in root.iter("img")]
    assert {element.tag for element in root.iter()}.isdisjoint({"script", "link", "iframe", "object"})
    for source in sources:
        kind, _, data = source.partition(";base64,")
        assert kind in ("data:image/png", "data:image/jpeg")
        assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR) is not None
    return "".join(root.itertext()), len(sources)


def test_the_page_is_well_formed_self_contained_and_escaped(pictured, tmp_path):
    cameras = {record.name: Camera([[300, 0, 96], [0, 300, 80], [0, 0, 1]], []) for record in pictured}
    found = noisy(pictured, number_score=0.75)
    report = build_report(pictured, found, ARMOR_CLASSES, [0.5, 0.7], cameras, model=NASTY, data="d&d")
    text, pictures = check_page(write_report(report, tmp_path / "out", most=5))
    assert NASTY in text
    assert pictures >= 7 + 3 + 3  # plots, false alarms, and what else went wrong
    for words in ("left-bottom", "sigma 0.05", "Misses", "False alarms", "Worst corners", "yaw median (degrees)"):
        assert words in text
    assert "How sure it is of the number" in text and "0.7 to 0.8" in text
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/index.html"]


def test_json_holds_the_same_figures(pictured):
    report = build_report(pictured, noisy(pictured), ARMOR_CLASSES, [0.5, 0.7])
    values = json.loads(report.to_json())
    assert values["oks_sigma"] == 0.05
    assert set(values["scores"]) == {"0.5", "0.7"}
    assert values["scores"]["0.5"]["false_alarms"] == 3
    assert values["scores"]["0.7"]["false_alarms"] == 0
    assert values["scores"]["0.5"]["mAP"] == pytest.approx(report.coco.mAP)
    assert [row["name"] for row in values["corners"]][-1] == "all"
    assert values["pose"] is None
    assert values["confusion"][0]["names"][-1] == "background"
    lines = summary(report)
    assert "score 0.70: images 3" in lines
    assert (values["number_reliability"]["plates"], values["number_reliability"]["ece"]) == (0, None)
    assert "number score" not in lines
    assert f"box mAP {number(report.coco.mAP)}" in lines


def test_number_scores_in_text_json_and_page(pictured, tmp_path):
    found = noisy(pictured, number_score=0.75)
    report = build_report(pictured, found, ARMOR_CLASSES)
    values = json.loads(report.to_json())["number_reliability"]
    (row,) = [row for row in values["rows"] if row["plates"]]
    assert (row["low"], row["plates"], row["score"]) == (0.7, values["plates"], 0.75)
    assert (row["right"], values["ece"]) == (values["right"], pytest.approx(abs(values["right"] - 0.75)))
    expected = f"number score of {values['plates']} plates: mean 0.750, right {number(values['right'])}"
    assert f"{expected}, expected calibration error {number(values['ece'])}" in summary(report)
    with_scores, pictures = check_page(write_report(report, tmp_path / "a", most=0))
    without, fewer = check_page(write_report(build_report(pictured, noisy(pictured), ARMOR_CLASSES), tmp_path / "b", 0))
    caption = "Number scores against the share of right numbers"
    assert (caption in with_scores, caption in without) == (True, False)
    assert ("How sure it is" in with_scores, "How sure it is" in without) == (True, False)
    assert pictures == fewer + 1


def test_models_and_labels_without_corners(pictured, tmp_path):
    box_only = build_report(pictured, noisy(pictured, has_corners=False), ARMOR_CLASSES)
    values = json.loads(box_only.to_json())
    assert values["coco"]["oks_mAP"] is None
    assert values["scores"]["0.5"]["hits"] > 0
    assert values["scores"]["0.5"]["err"] is None
    assert all(row["mean_px"] is None for row in values["corners"])
    text, _ = check_page(write_report(box_only, tmp_path, most=3))
    assert "Corner error against plate width" not in text
    assert "corner all: mean - px" in summary(box_only)
    nothing = build_report(pictured, {}, ARMOR_CLASSES)
    assert json.loads(nothing.to_json())["scores"]["0.5"]["recall"] == 0
    check_page(write_report(nothing, tmp_path, most=3))
    empty = build_report([], {}, ("armor",))
    check_page(write_report(empty, tmp_path, most=3))


def test_the_gallery_shows_the_worst_first_and_where_a_miss_would_be_found(pictured):
    record = pictured[1]
    low = Prediction("B_3", 0.2, record.corners[0])
    gallery = make_gallery(match([record], {record.name: [low]}, 0.05), 0.5, ARMOR_CLASSES, 2)
    assert "found at score 0.20" in " ".join(picture.note for picture in gallery.misses)
    assert len(gallery.misses) == min(2, len(record.labels))
    found = [Prediction("B_3", 0.9, record.corners[0] + 2), Prediction("R_1", 0.7, record.corners[0] - 150)]
    gallery = make_gallery(match([record], {record.name: found}, 0.05), 0.5, ARMOR_CLASSES, 2)
    assert gallery.false_alarms[0].note == "R_1 0.70"
    assert "2.8 px" in gallery.worst_corners[0].note
    image = cv2.imdecode(np.frombuffer(gallery.worst_corners[0].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (256, 256, 3)
    assert len(make_gallery(match([record], {record.name: found}, 0.05), 0.5, ARMOR_CLASSES, 0).false_alarms) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "-"),
        (3, "3"),
        (0.0, "0"),
        (0.01234, "0.0123"),
        (0.98765, "0.988"),
        (12.345, "12.35"),
        (-1.5, "-1.500"),
    ],
)
def test_numbers_as_text(value, text):
    assert number(value) == text
