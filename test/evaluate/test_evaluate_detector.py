"""`evaluate_detector`: a detector and labels in, a report out."""

import pytest

pytest.importorskip("torch")

from nanodet_kp_core import Detector, evaluate_detector
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.synthetic.dataset import RenderOptions, render_dataset


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    list(render_dataset(folder, 12, 50, RenderOptions((320, 256), (30.0, 80.0), False), workers=1))
    return folder / "labels.json"


def test_the_bundled_model_on_rendered_pictures(labels):
    detector = Detector(score_threshold=0.7)
    report = evaluate_detector(detector, labels, thresholds=(0.5, 0.9))
    assert report.threshold == 0.5 and list(report.scores) == [0.5, 0.9]
    assert report.scores[0.5].recall > 0.5 and report.scores[0.9].recall <= report.scores[0.5].recall
    assert report.pose is not None  # the label file holds the camera
    assert report.curve[0].threshold < 0.1  # the detector ran below the thresholds asked for
    assert (report.model, report.data) == ("armor_s.onnx", "labels.json")
    assert detector.options.score_threshold == 0.7
    named = evaluate_detector(detector, labels, labels.parent / "images", "coco", (0.5, 0.9))
    assert named.to_json() == report.to_json()


@pytest.mark.parametrize("thresholds", [(), (0.0,), (0.5, 1.0), (float("nan"),)])
def test_thresholds_that_are_none(labels, thresholds):
    with pytest.raises(ConfigError, match="thresholds: expected numbers between 0 and 1"):
        evaluate_detector(None, labels, thresholds=thresholds)


def test_an_unknown_format(labels):
    with pytest.raises(ConfigError, match=r"label_format: expected one of coco, .*, got 'csv'"):
        evaluate_detector(None, labels, label_format="csv")
