"""The second stage: proposals turned upright, read, corrected; what it says replaces what the detector said."""

import json

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_bars, make_tiny_refiner, name_refiner

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.detection.looks import FIRST_SHARE, scores_of_looks
from nanodet_kp_core.runtime.detection.options import DetectOptions
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY, ModelMetadata
from nanodet_kp_core.runtime.refinement.crops import (
    BAR_ENDS,
    BAR_SIZE,
    CROP_CORNERS,
    CROP_SIZE,
    are_usable,
    bar_transforms,
    corners_of,
    cut,
    ends_of,
    plate_transforms,
    to_crop,
    to_image,
)
from nanodet_kp_core.runtime.refinement.refiner import (
    REFINER_KEY,
    USUAL_SIZE,
    Refiner,
    RefinerMetadata,
    number_scores,
)

HALF = np.full(2, 0.5, np.float32)
QUAD = np.array([[10, 20], [10, 36], [46, 36], [46, 20]], np.float32)


def quads():
    """Convex plates: a rectangle, turned by up to 40 degrees, each corner moved by up to a fifth of the height."""
    number = st.floats(-1, 1, allow_nan=False)
    return st.tuples(
        st.floats(8, 60), st.floats(1.2, 4), st.floats(-40, 40), st.lists(number, min_size=8, max_size=8)
    ).map(_quad)


def _quad(drawn):
    height, ratio, degrees, moves = drawn
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) / 2 * (height * ratio, height)
    return (corners @ turn.T + 100 + 0.2 * height * np.reshape(moves, (4, 2))).astype(np.float32)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(quads())
def test_crops_and_image_map_onto_each_other(quad):
    assert are_usable(quad[None])[0]
    bars = bar_transforms(ends_of(quad[None]))
    assert np.allclose(corners_of(to_image(np.stack([BAR_ENDS, BAR_ENDS]), bars))[0], quad, atol=1e-3)
    plates = plate_transforms(quad[None])
    middle = to_image(CROP_CORNERS[None].mean(axis=1, keepdims=True), plates)[0, 0]
    assert np.allclose(middle, quad.mean(axis=0), atol=1e-3)
    assert np.allclose(to_image(to_crop(quad[None], plates), plates)[0], quad, atol=1e-3)
    # No affine transform brings the crop's corners nearer to the plate's: what is left over is orthogonal to them.
    left = (quad - to_image(CROP_CORNERS[None], plates)[0]).astype(float)
    assert np.abs(left.T @ (CROP_CORNERS - CROP_CORNERS.mean(axis=0))).max() < 1e-2 * np.ptp(quad)


def test_a_crop_shows_the_plate_upright():
    """An image whose gray values are coordinates: a crop must show those of the place it was cut from."""
    y, x = np.mgrid[0:200, 0:240]
    image = np.dstack([x, y, 0 * x]).astype(np.uint8)
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for scale in (0.6, 1.0, 1.9, 2.5, 3.5):
        quad = ((CROP_CORNERS - (32, 20)) * scale @ turn.T + (120, 100)).astype(np.float32)
        for transforms, size in (
            (plate_transforms(quad[None]), CROP_SIZE),
            (bar_transforms(ends_of(quad[None]))[:1], BAR_SIZE),
        ):
            crops = cut(image, transforms, size)
            halved = cv2.resize(image, (120, 100), interpolation=cv2.INTER_AREA)
            width, height = size
            across, down = np.arange(width / 4, 3 * width / 4), np.arange(height / 4, 3 * height / 4)
            grid = np.stack(np.meshgrid(across.round(), down.round()), axis=-1).reshape(1, -1, 2)
            expected = to_image(grid, transforms)[0]
            inside = ((expected > 1) & (expected < (238, 198))).all(axis=1)
            for crop in (crops[0], cut(image, transforms, size, halved)[0]):
                shown = crop[grid[0, :, 1].astype(int), grid[0, :, 0].astype(int), :2]
                assert np.abs(shown - expected)[inside].max() < 1.1  # gray values are whole numbers


def test_which_quadrilaterals_can_be_turned_upright():
    mirrored, crossed, point = QUAD[[3, 2, 1, 0]], QUAD[[0, 2, 1, 3]], np.zeros((4, 2), np.float32)
    broken, dented = QUAD.copy(), QUAD.copy()
    broken[1, 0], dented[0] = np.nan, (40, 34)
    assert are_usable(np.stack([QUAD, mirrored, crossed, point, broken, dented])).tolist() == [True] + [False] * 5


def test_readings_of_proposals(tmp_path):
    refiner = Refiner(make_tiny_refiner(tmp_path / "r.onnx", "N_Bs", shift=(2.0, -1.0), logit=1.0))
    mirrored = QUAD[[3, 2, 1, 0]]
    found = refiner(np.zeros((64, 64, 3), np.uint8), np.stack([QUAD, mirrored]), HALF)
    assert found.scores.tolist() == pytest.approx([1 / (1 + np.exp(-1.0)), 0.0], abs=1e-6)
    assert ARMOR_CLASSES[found.class_ids[0]] == "N_Bs"
    assert np.allclose(found.corners[0], QUAD + (2.0, -1.0), atol=1e-3)  # this quadrilateral is as large as the crop
    assert np.array_equal(found.corners[1], mirrored)
    assert len(refiner(np.zeros((64, 64, 3), np.uint8), np.zeros((0, 4, 2), np.float32), HALF[:0]).scores) == 0


def test_what_the_detector_said_counts_too(tmp_path):
    text = RefinerMetadata(ARMOR_CLASSES, 0.2, detector_weight=2.0, offset=-0.5).to_json()
    refiner = Refiner(make_tiny_refiner(tmp_path / "r.onnx", logit=1.0, metadata=text))
    proposed = np.array([0.5, 0.9], np.float32)
    scores = refiner(np.zeros((64, 64, 3), np.uint8), np.stack([QUAD, QUAD + 5]), proposed).scores
    assert np.log(scores / (1 - scores)) == pytest.approx([0.5, 0.5 + 2 * np.log(9)], abs=1e-3)


@pytest.mark.parametrize(("label", "expected"), [("N_3", -0.5), ("R_3", 1.0)])
def test_a_plate_without_light_needs_more(tmp_path, label, expected):
    text = RefinerMetadata(ARMOR_CLASSES, 0.2, unlit_offset=-1.5).to_json()
    refiner = Refiner(make_tiny_refiner(tmp_path / "r.onnx", label, logit=1.0, metadata=text))
    (score,) = refiner(np.zeros((64, 64, 3), np.uint8), QUAD[None], HALF[:1]).scores
    assert np.log(score / (1 - score)) == pytest.approx(expected, abs=1e-3)


def test_a_large_plate_needs_more(tmp_path):
    text = RefinerMetadata(ARMOR_CLASSES, 0.2, size_weight=-0.8).to_json()
    refiner = Refiner(make_tiny_refiner(tmp_path / "r.onnx", logit=1.0, metadata=text))
    quads = np.stack([QUAD, 2 * QUAD])
    factors = np.hypot(*(QUAD[2] - QUAD[0])) * np.array([1, 2]) / USUAL_SIZE
    scores = refiner(np.zeros((64, 64, 3), np.uint8), quads, HALF).scores
    assert np.log(scores / (1 - scores)) == pytest.approx(1 - 0.8 * np.log(factors), abs=1e-3)


def test_both_looks_count_for_the_score():
    first, second = np.array([0.5, 0.9, 1.0, 0.9]), np.array([0.9, 0.9, 0.0, 1.0])
    scores = scores_of_looks(first, second, 0.25)
    assert scores.dtype == np.float32
    assert np.log(scores[0] / (1 - scores[0])) == pytest.approx(0.75 * np.log(9), abs=1e-5)
    assert scores[1:3].tolist() == pytest.approx([0.9, 0.0])
    assert 0.999 < scores[3] <= 1


def test_the_first_look_stays_in_the_score(model, tmp_path):
    """It sees nothing; the second sees the blue that it has moved to."""
    image = np.zeros((128, 128, 3), np.uint8)
    image[:, 50:, 0] = 200
    make_tiny_refiner(tmp_path / "refiner.onnx", shift=(8.0, 0.0), per_blue=0.08, logit=-1.0)
    refiner = Refiner(tmp_path / "refiner.onnx")
    first, second = (refiner(image, QUAD[None] + (x, 0), HALF[:1]).scores for x in (0, 8))
    assert second > first + 0.1
    assert Detector(model)(image).scores == pytest.approx(scores_of_looks(first, second, FIRST_SHARE), abs=1e-4)


def test_a_correction_that_breaks_the_corners_is_no_plate(tmp_path):
    refiner = Refiner(make_tiny_refiner(tmp_path / "r.onnx", shift=(float("nan"), 0.0)))
    found = refiner(np.zeros((64, 64, 3), np.uint8), QUAD[None], HALF[:1])
    assert found.scores.tolist() == [0.0]
    assert np.array_equal(found.corners[0], QUAD)


@pytest.mark.parametrize(("order", "blue"), [("bgr", 40.0), ("rgb", 200.0), ("mono", 100.0)])
def test_the_refiner_sees_blue_where_it_is(tmp_path, order, blue):
    refiner = Refiner(make_tiny_refiner(tmp_path / "r.onnx", per_blue=0.01, logit=0.0))
    image = np.full((64, 64), 100, np.uint8) if order == "mono" else np.full((64, 64, 3), (40, 90, 200), np.uint8)
    score = refiner(image, QUAD[None], HALF[:1], order).scores[0]
    assert np.log(score / (1 - score)) == pytest.approx(0.01 * blue, abs=1e-3)


@pytest.fixture
def model(tmp_path):
    """A detector that proposes one plate with score 0.3 and another far from it with 0.1, and names refiner.onnx."""
    far = (QUAD + (70, 60)).tolist()
    plates = [TinyPlate("B_1", 0.3, QUAD), TinyPlate("B_1", 0.1, far)]
    return name_refiner(make_tiny_model(tmp_path / "m.onnx", plates, tiny_metadata(128, 128)), "refiner.onnx")


def test_the_detector_says_what_the_refiner_says(model, tmp_path):
    make_tiny_refiner(tmp_path / "refiner.onnx", "R_3", shift=(2.0, 0.0), logit=3.0)
    image = np.zeros((128, 128, 3), np.uint8)
    found = Detector(model)(image)
    assert found.labels == ["R_3"]  # the other one lies below the refiner's proposal_score
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-3.0)), abs=1e-5)
    assert np.allclose(found.corners[0], QUAD + (4.0, 0.0), atol=0.05)  # moved by each of the two looks
    assert np.allclose(found.boxes[0], [14, 20, 50, 36], atol=0.05)
    assert len(Detector(model, score_threshold=0.96)(image)) == 0
    alone = Detector(model, second_stage=False, score_threshold=0.2)
    assert alone(image).labels == ["B_1"]
    assert alone.times["refiner"] == pytest.approx(0, abs=1)


def sure(logit, temperature=1.0):
    """The softmax of a number with this logit beside eight with 0."""
    return 1 / (1 + 8 * np.exp(-logit / temperature))


@pytest.mark.parametrize("temperature", [None, 0.5, 2.0])
def test_the_number_score_is_the_softmax_of_the_numbers_at_the_temperature(model, tmp_path, temperature):
    """A refiner from before there was a temperature has 1."""
    values = json.loads(RefinerMetadata(ARMOR_CLASSES, 0.2).to_json())
    assert values.pop("number_temperature") == 1
    if temperature is not None:
        values["number_temperature"] = temperature
    make_tiny_refiner(tmp_path / "refiner.onnx", metadata=json.dumps(values), number_logit=2.0)
    detector = Detector(model)
    found = detector(np.zeros((128, 128, 3), np.uint8))
    assert found.number_scores.dtype == np.float32
    assert found.number_scores == pytest.approx([sure(2.0, temperature or 1.0)], abs=1e-6)
    assert detector.number_logits.tolist() == [[0, 0, 0, 2, 0, 0, 0, 0, 0]]


def test_the_last_look_says_how_sure_the_number_is(model, tmp_path):
    """The first look moves to where there is more blue, which makes the number sure here."""
    image = np.zeros((128, 128, 3), np.uint8)
    image[:, 50:, 0] = 200
    make_tiny_refiner(tmp_path / "refiner.onnx", shift=(8.0, 0.0), number_logit=0.0, number_per_blue=0.1)
    refiner = Refiner(tmp_path / "refiner.onnx")
    (first,) = refiner(image, QUAD[None], HALF[:1]).number_logits[:, 3]
    (second,) = refiner(image, QUAD[None] + (8, 0), HALF[:1]).number_logits[:, 3]
    assert second > first + 1
    assert Detector(model)(image).number_scores == pytest.approx([sure(second)], rel=1e-2)


def test_below_the_threshold_the_number_is_unknown(model, tmp_path):
    make_tiny_refiner(tmp_path / "refiner.onnx", number_logit=2.0)
    image = np.zeros((128, 128, 3), np.uint8)
    detector = Detector(model, number_threshold=sure(2.0) - 0.01)
    assert detector(image).labels == ["R_3"]
    detector.options = DetectOptions(number_threshold=sure(2.0) + 0.01)
    found = detector(image)
    assert found.labels == ["R"]
    assert found.class_labels == ["R_3"] and found.class_ids.tolist() == [ARMOR_CLASSES.index("R_3")]
    assert len(Detector(model, number_threshold=1.0, second_stage=False, score_threshold=0.2)(image).labels[0]) == 3


def test_number_scores_of_any_logits():
    logits = np.array([[0, 0, 0], [1000, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0], [-np.inf, 0, -np.inf]], np.float32)
    assert number_scores(logits, 1.0) == pytest.approx([1 / 3, 1, 0, 0, 1])
    assert number_scores(logits[:2], 0.01) == pytest.approx([1 / 3, 1])
    assert number_scores(logits[:0], 1.0).shape == (0,)


def test_a_proposal_beside_a_plate_gets_a_second_chance(model, tmp_path):
    """The first look sees little of the blue that makes a plate here, and moves to where there is more."""
    image = np.zeros((128, 128, 3), np.uint8)
    image[:, 50:, 0] = 200
    for logit, moved, labels in ((-4.0, 8.0, ["R_3"]), (-4.0, 0.0, []), (-7.0, 8.0, [])):
        make_tiny_refiner(tmp_path / "refiner.onnx", shift=(moved, 0.0), per_blue=0.08, logit=logit)
        assert Detector(model)(image).labels == labels


@pytest.mark.parametrize(("moved", "looks"), [(7.0, 1), (9.0, 2)])
def test_a_sure_plate_gets_a_second_look_where_the_first_moved_far(model, tmp_path, moved, looks):
    make_tiny_bars(tmp_path / "bars.onnx")
    make_tiny_refiner(tmp_path / "refiner.onnx", shift=(moved, 0.0), logit=6.0, bars="bars.onnx")
    (corners,) = Detector(model)(np.zeros((128, 128, 3), np.uint8)).corners
    np.testing.assert_allclose(corners, QUAD + (looks * moved, 0), atol=0.2)


def test_a_proposal_that_the_refiner_refuses(model, tmp_path):
    make_tiny_refiner(tmp_path / "refiner.onnx", logit=-3.0)
    assert len(Detector(model)(np.zeros((128, 128, 3), np.uint8))) == 0


def test_a_refiner_that_is_not_there(model):
    with pytest.raises(ModelError, match=r"refiner\.onnx: expected the second stage .* got no such"):
        Detector(model)


@pytest.mark.parametrize("name", ["../refiner.onnx", "a/b.onnx", "/etc/passwd", "..\\b.onnx", 3])
def test_a_refiner_outside_the_folder_is_refused(model, name):
    with pytest.raises(ModelError, match="reader: expected the name of a file in the model's folder"):
        Detector(name_refiner(model, name))


def test_a_file_that_is_no_refiner(model, tmp_path):
    make_tiny_model(tmp_path / "refiner.onnx", [])
    with pytest.raises(ModelError, match=f"expected an ONNX model with a '{REFINER_KEY}' metadata entry"):
        Detector(model)


GOOD = json.loads(RefinerMetadata(ARMOR_CLASSES, 0.2).to_json())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({**GOOD, "class_names": ["a", "a"]}), r"class_names: expected different names, got \('a', 'a'\)"),
        (json.dumps({**GOOD, "class_names": []}), "class_names: expected different names"),
        (json.dumps({**GOOD, "size_weight": 11}), r"size_weight: expected a number in -10\.\.10, got 11"),
        (json.dumps({**GOOD, "light_bars": 1}), "light_bars: expected true or false, got 1"),
        ("no json", "refiner: expected a JSON object"),
        ("[1]", "refiner: the entry: expected a JSON object"),
        (json.dumps({**GOOD, "format_version": 1}), r"reads version 2, the model has 1"),
        (json.dumps({**GOOD, "patch": [32, 32]}), r"patch: expected \[64, 40\], got \[32, 32\]"),
        (json.dumps({**GOOD, "class_names": [1, 2]}), "class_names: expected different names"),
        (json.dumps({**GOOD, "class_names": "B_1"}), "class_names: expected a list"),
        (json.dumps({**GOOD, "proposal_score": 2}), "proposal_score: expected a number in 0..1"),
        (json.dumps({**GOOD, "offset": "1"}), r"offset: expected a number in -100..100, got '1'"),
        (json.dumps({**GOOD, "number_temperature": 0}), "number_temperature: expected a number in 0.01..100, got 0"),
        (json.dumps({**GOOD, "number_temperature": None}), "number_temperature: expected a number"),
        (json.dumps({**GOOD, "more": 2}), r"refiner: the entry: .*unknown keys \['more'\]"),
    ],
)
def test_wrong_metadata_of_a_refiner(tmp_path, text, message):
    path = make_tiny_refiner(tmp_path / "r.onnx", metadata=text)
    with pytest.raises(ModelError, match=message):
        Refiner(path)


def test_a_refiner_with_other_values(tmp_path):
    with pytest.raises(ModelError, match="expected 22 values a crop"):
        Refiner(make_tiny_refiner(tmp_path / "r.onnx", values=30))


@pytest.mark.parametrize("change", ["name", "type", "size"])
def test_a_refiner_of_other_crops(tmp_path, change):
    proto = onnx.load(make_tiny_refiner(tmp_path / "r.onnx"))
    (crops,) = proto.graph.input
    if change == "name":
        crops.name = proto.graph.node[0].input[0] = "pictures"
    elif change == "type":
        crops.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    else:
        crops.type.tensor_type.shape.dim[3].dim_value = 32
    onnx.save(proto, tmp_path / "r.onnx")
    with pytest.raises(ModelError, match=r"expected a network of uint8 crops of 64x40, got one that fails on them"):
        Refiner(tmp_path / "r.onnx")


def test_a_refiner_for_other_classes(model, tmp_path):
    names = tuple(f"{color}_{number}" for color in "BR" for number in "12345678")
    make_tiny_refiner(tmp_path / "refiner.onnx", metadata=RefinerMetadata(names, 0.2).to_json(), values=19)
    with pytest.raises(ModelError, match=r"refiner.onnx: .*classes of .*m.onnx \(36: B_G, .*\), got one for 16: B_1, "):
        Detector(model)


def test_models_from_before_there_was_a_refiner(tmp_path):
    path = make_tiny_model(tmp_path / "m.onnx", [])
    proto = onnx.load(path)
    values = json.loads(next(entry.value for entry in proto.metadata_props if entry.key == METADATA_KEY))
    del values["reader"]
    assert ModelMetadata.from_json(json.dumps(values)).reader == ""
