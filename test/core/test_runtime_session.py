import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_model import TinyPlate, decoded_rows, encode, make_tiny_model, tiny_metadata

from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY
from nanodet_kp_core.runtime.models.session import load_session, usable_cores

PLATE = TinyPlate("R_4", 0.9, [[10, 10], [11, 20], [30, 22], [29, 12]])


def _refused(path, threads=1):
    with pytest.raises(ModelError) as error:
        load_session(path, threads)
    text = str(error.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_a_good_model_runs(tmp_path):
    metadata = tiny_metadata()
    loaded = load_session(make_tiny_model(tmp_path / "m.onnx", [PLATE], metadata), 1)
    output = loaded.run(np.zeros((1, 3, 64, 64), np.float32))
    np.testing.assert_array_equal(output, [encode(metadata, [PLATE])])
    assert loaded.metadata == metadata


@pytest.mark.parametrize("rows", [0, 5])
def test_bytes_a_batch_and_decoded_rows(tmp_path, rows):
    metadata = tiny_metadata(dtype="uint8", batch=2, rows=rows)
    loaded = load_session(make_tiny_model(tmp_path / "m.onnx", [PLATE], metadata), 1)
    blob = np.zeros((2, 3, 64, 64), np.uint8)
    wanted = decoded_rows(metadata, [PLATE]) if rows else encode(metadata, [PLATE])
    np.testing.assert_array_equal(loaded.run(blob), [wanted, wanted])


def test_numbers_where_bytes_are_promised(tmp_path):
    entry = tiny_metadata(dtype="uint8").to_json()
    text = _refused(make_tiny_model(tmp_path / "m.onnx", entry=entry))
    assert "expected tensor(uint8) [1, 3, 64, 64], got tensor(float) [1, 3, 64, 64]" in text


def test_rows_that_do_not_fit(tmp_path):
    output = decoded_rows(tiny_metadata(rows=5), [])
    text = _refused(make_tiny_model(tmp_path / "m.onnx", metadata=tiny_metadata(rows=6), output=output))
    assert "expected tensor(float) [1, 6, 14], got tensor(float) [1, 5, 14]" in text


def test_threads_are_set_and_do_not_spin(tmp_path):
    options = load_session(make_tiny_model(tmp_path / "m.onnx"), 3).session.get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_threads_that_spin_do_so_within_a_run_only(tmp_path):
    model = make_tiny_model(tmp_path / "m.onnx")
    options = load_session(model, usable_cores(), spin=True).session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    with pytest.raises(ConfigError, match=rf"threads: expected at most {usable_cores()} with spin.*got 1000"):
        load_session(model, 1000, spin=True)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_wrong_threads(tmp_path, threads):
    with pytest.raises(ConfigError, match="threads: expected a whole number of at least 1"):
        load_session(make_tiny_model(tmp_path / "m.onnx"), threads)


def test_missing_file(tmp_path):
    assert "got no such file" in _refused(tmp_path / "none.onnx")


def test_folder(tmp_path):
    assert "got a folder" in _refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"this is no model " * 50, b"\x89PNG\r\n\x1a\n" + bytes(200)])
def test_not_onnx(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    text = _refused(path)
    assert "expected an ONNX model, got a" in text


def test_truncated_model(tmp_path):
    path = make_tiny_model(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-200])
    assert "got a file that is no ONNX" in _refused(path)


def test_newer_ir_version_names_both_versions(tmp_path):
    path = make_tiny_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.ir_version = 99
    path.write_bytes(model.SerializeToString())
    text = _refused(path)
    assert "99" in text
    assert "onnxruntime" in text


def test_without_our_entry(tmp_path):
    text = _refused(make_tiny_model(tmp_path / "m.onnx", with_entry=False))
    assert "through `nanodet-kp export`" in text


def test_with_a_broken_entry(tmp_path):
    assert "no JSON" in _refused(make_tiny_model(tmp_path / "m.onnx", entry="{"))


def test_with_an_endless_entry(tmp_path):
    text = _refused(make_tiny_model(tmp_path / "m.onnx", entry="[" * (1 << 20) + "]"))
    assert "metadata entry of at most 1048576 characters, got 1048577" in text


def test_channels_that_do_not_fit(tmp_path):
    # 36 joint logits + 32 + 120 = 188 channels wanted; the factored layout writes 4 + 9 logits.
    output = encode(tiny_metadata(class_layout="factored"), [])
    text = _refused(make_tiny_model(tmp_path / "m.onnx", output=output))
    assert "expected tensor(float) [1, 84, 188], got tensor(float) [1, 84, 165]" in text


def test_priors_that_do_not_fit(tmp_path):
    assert "[1, 84, 188], got tensor(float) [1, 80, 188]" in _refused(
        make_tiny_model(tmp_path / "m.onnx", output=encode(tiny_metadata(), [])[:80])
    )


def test_input_size_that_does_not_fit(tmp_path):
    # 64x57 and 64x64 have equally many priors, so only the input tells them apart.
    entry = tiny_metadata(64, 57).to_json()
    path = make_tiny_model(tmp_path / "m.onnx", metadata=tiny_metadata(64, 64), entry=entry)
    assert "input does not fit its metadata: expected tensor(float) [1, 3, 57, 64]" in _refused(path)


def test_names_that_do_not_fit(tmp_path):
    entry = tiny_metadata(name="camera").to_json()
    assert "expected ['camera'], got ['image']" in _refused(make_tiny_model(tmp_path / "m.onnx", entry=entry))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_computes_no_numbers(tmp_path, value):
    output = encode(tiny_metadata(), [])
    output[3, 100] = value
    assert "NaN or infinity" in _refused(make_tiny_model(tmp_path / "m.onnx", output=output))


def test_dynamic_shapes_are_checked_by_running(tmp_path):
    """Symbolic dimensions tell nothing; what the model really gives must fit."""
    metadata = tiny_metadata()
    value = encode(metadata, [])[:80]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["value"], ["output"])],
        "dynamic",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", "p", "c"])],
        [onnx.numpy_helper.from_array(value[None], "value")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert "[1, 84, 188], got" in _refused(tmp_path / "m.onnx")
