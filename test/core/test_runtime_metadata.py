import json

import pytest
from tiny_model import tiny_metadata

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.models.metadata import InputSpec, ModelMetadata


def _edited(**changes):
    """The JSON text of a good model with some values replaced; "input.width" reaches inside."""
    data = json.loads(tiny_metadata().to_json())
    for key, value in changes.items():
        place = data
        *outer, last = key.split("__")
        for part in outer:
            place = place[part]
        place[last] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    "metadata",
    [
        tiny_metadata(),
        tiny_metadata(40, 24, class_layout="factored", corner_codec="unsigned"),
        tiny_metadata(regression="direct", prior_offset=0.5, corner_codec="none"),
        tiny_metadata(class_names=("a",), mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0), channel_order="rgb"),
        tiny_metadata(dtype="uint8", batch=3, rows=7),
    ],
)
def test_round_trip(metadata):
    assert ModelMetadata.from_json(metadata.to_json()) == metadata


def test_json_form_is_the_documented_one():
    data = json.loads(tiny_metadata(416, 320).to_json())
    assert list(data) == [
        "format_version", "class_names", "strides", "input", "output",
        "class_layout", "reg_max", "corner_codec", "regression", "prior_offset", "run_id", "metrics", "reader",
    ]  # fmt: skip
    assert data["format_version"] == 1
    assert data["strides"] == [8, 16, 32]
    assert data["input"] == {
        "name": "image", "width": 416, "height": 320, "layout": "NCHW", "dtype": "float32",
        "resize": "letterbox", "pad_value": 114, "channel_order": "bgr", "mean": None, "std": None, "batch": 1,
    }  # fmt: skip
    assert data["output"] == {"name": "output", "layout": "NPC", "scores": "logits", "rows": 0}


def test_shapes_of_the_tensors():
    assert tiny_metadata(40, 24, class_names=("a",)).output_shape == (1, 23, 1 + 4 * 8 + 8 * 15)
    decoded = tiny_metadata(40, 24, batch=2, rows=7)
    assert (decoded.input_shape, decoded.output_shape) == ((2, 3, 24, 40), (2, 7, 14))


def test_number_of_priors_rounds_up():
    assert tiny_metadata(40, 24).num_priors == 5 * 3 + 3 * 2 + 2 * 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format_version": 2}, "reads version 1, the model has 2"),
        ({"format_version": True}, "reads version 1, the model has True"),
        ({"format_version": "1"}, "reads version 1, the model has '1'"),
        ({"extra": 1}, "unknown keys ['extra']"),
        ({"input__extra": 1}, "input: missing keys [], unknown keys ['extra']"),
        ({"input": [1]}, "input: expected a JSON object, got [1]"),
        ({"output": None}, "output: expected a JSON object, got None"),
        ({"class_names": "abc"}, "class_names: expected a list, got 'abc'"),
        ({"class_names": []}, "class_names: expected a list of at least one"),
        ({"class_names": ["a", 3]}, "class_names: expected"),
        ({"class_names": ["a", "a"]}, "class_names: expected names that occur once"),
        ({"class_layout": "other"}, "class_layout: expected one of"),
        ({"class_layout": 3}, "class_layout: expected one of"),
        ({"corner_codec": "other"}, "corner_codec: expected one of"),
        ({"regression": "other"}, "regression: expected one of"),
        ({"regression": "direct", "corner_codec": "unsigned"}, "expected 'signed' or 'none' for direct regression"),
        ({"prior_offset": 0.25}, "prior_offset: expected one of (0.0, 0.5), got 0.25"),
        ({"reg_max": 0}, "reg_max: expected a whole number of at least 1, got 0"),
        ({"reg_max": 7.0}, "reg_max: expected a whole number of at least 1, got 7.0"),
        ({"reg_max": 65537}, "reg_max: expected a whole number of at most 65536, got 65537"),
        ({"reg_max": 10**400}, "expected a whole number of at most 65536, got a number of more than 20 digits"),
        ({"input__batch": 60000}, "input: expected at most 67108864 pixels a run, got '60000 x 64x64'"),
        ({"input__mean": [1, 2, 10**400], "input__std": [1, 2, 3]}, "input.mean: expected three finite numbers"),
        ({"class_layout": "x" * 9999}, "class_layout: expected one of ('joint', 'factored'), got 'xxxx"),
        ({"strides": []}, "strides: expected"),
        ({"strides": [8, True]}, "strides: expected"),
        ({"strides": 8}, "strides: expected a list, got 8"),
        ({"input__width": 0}, "input.width: expected"),
        ({"input__height": "416"}, "input.height: expected"),
        ({"input__name": ""}, "input.name: expected"),
        ({"input__layout": "NHWC"}, "input.layout: expected 'NCHW', got 'NHWC'"),
        ({"input__dtype": "int8"}, "input.dtype: expected 'float32' or 'uint8', got 'int8'"),
        (
            {"input__dtype": "uint8", "input__mean": [1, 2, 3], "input__std": [1, 2, 3]},
            "expected null for uint8, whose graph normalises",
        ),
        ({"input__batch": 0}, "input.batch: expected a whole number of at least 1, got 0"),
        ({"output__layout": "NKD", "output__rows": 5}, "output.scores: expected 'sigmoid', got 'logits'"),
        ({"output__layout": "NKD", "output__scores": "sigmoid"}, "output.rows: expected 0 for NPC"),
        ({"output__rows": 5}, "output.rows: expected 0 for NPC"),
        ({"output__rows": -1}, "output.rows: expected 0 for NPC"),
        ({"input__resize": "crop"}, "input.resize: expected 'letterbox' or 'stretch', got 'crop'"),
        ({"input__resize": ["letterbox"]}, "input.resize: expected"),
        ({"input__channel_order": "grb"}, "input.channel_order: expected"),
        ({"input__pad_value": 256}, "input.pad_value: expected"),
        ({"input__pad_value": 1.5}, "input.pad_value: expected"),
        ({"input__mean": [1, 2, 3]}, "both null or both three numbers"),
        ({"input__mean": [1, 2], "input__std": [1, 2]}, "input.mean: expected three finite numbers"),
        ({"input__mean": [1, 2, 3], "input__std": [1, 2, "3"]}, "input.std: expected three finite numbers"),
        ({"input__mean": [1, 2, 3], "input__std": [1, 0, 3]}, "input.std: expected three numbers above 0"),
        ({"input__mean": 3, "input__std": [1, 1, 1]}, "input.mean: expected a list or null"),
        ({"output__layout": "NCP"}, "output.layout: expected"),
        ({"output__scores": "softmax"}, "output.scores: expected"),
        ({"output__name": 3}, "output.name: expected"),
        ({"run_id": 3}, "run_id: expected a text"),
        ({"metrics": []}, "metrics: expected an object"),
    ],
)
def test_wrong_values_are_named(changes, sentence):
    with pytest.raises(ModelError) as error:
        ModelMetadata.from_json(_edited(**changes))
    assert sentence in str(error.value)
    assert len(str(error.value)) < 700


def test_brackets_without_end():
    with pytest.raises(ModelError, match="got text that is no JSON"):
        ModelMetadata.from_json("[" * 100_000)


@pytest.mark.parametrize("key", ["format_version", "class_names", "input", "metrics"])
def test_missing_keys_are_named(key):
    data = json.loads(tiny_metadata().to_json())
    del data[key]
    with pytest.raises(ModelError, match=rf"(version|missing keys).*{key}|{key}.*None"):
        ModelMetadata.from_json(json.dumps(data))


def test_a_model_from_before_the_later_keys_is_read_with_their_defaults():
    data = json.loads(tiny_metadata().to_json())
    del data["regression"], data["prior_offset"], data["input"]["batch"], data["output"]["rows"]
    assert ModelMetadata.from_json(json.dumps(data)) == tiny_metadata()


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[1]", "null"])
def test_text_that_is_no_object(text):
    with pytest.raises(ModelError, match="expected a JSON object"):
        ModelMetadata.from_json(text)


def test_values_are_checked_when_made_not_only_when_read():
    with pytest.raises(ModelError, match=r"input\.resize"):
        InputSpec(width=64, height=64, resize="crop")
