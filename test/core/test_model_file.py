"""What is looked for in a model file before onnxruntime gets it."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.models import model_file
from nanodet_kp_core.runtime.models.metadata import METADATA_KEY
from nanodet_kp_core.runtime.models.model_file import has_outside_tensors, read_model
from nanodet_kp_core.runtime.models.session import load_session


def outside(location="../secret.bin", count=4):
    tensor = TensorProto(name="value", data_type=TensorProto.FLOAT, dims=[count], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def model_of(nodes, tensors=(), **more):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("image", TensorProto.FLOAT, [1])], [value("output", TensorProto.FLOAT, [4])], list(tensors)
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **more)
    helper.set_model_props(model, {METADATA_KEY: tiny_metadata().to_json()})
    return model


def branch(tensor):
    """A graph inside a node."""
    node = helper.make_node("Constant", [], ["inner"], value=tensor)
    return helper.make_graph([node], "inside", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [4])])


def sparse(values, indices):
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[9])


def models_with(tensor):
    """A model for each place in which a tensor can lie."""
    number = helper.make_tensor("indices", TensorProto.INT64, [4], [0, 1, 2, 3])
    copy = helper.make_node("Identity", ["value"], ["output"])
    yield "weights", model_of([copy], [tensor])
    yield "constant", model_of([helper.make_node("Constant", [], ["output"], value=tensor)])
    yield "constants", model_of([helper.make_node("Strange", [], ["output"], values=[tensor])])
    yield "branch", model_of([helper.make_node("If", ["image"], ["output"], then_branch=branch(tensor))])
    yield "branches", model_of([helper.make_node("Strange", [], ["output"], graphs=[branch(tensor)])])
    yield "sparse", model_of([helper.make_node("Constant", [], ["output"], sparse_value=sparse(tensor, number))])
    several = [sparse(number, tensor)]
    yield "sparse ones", model_of([helper.make_node("Strange", [], ["output"], values=several)])
    made = model_of([copy])
    made.graph.sparse_initializer.append(sparse(tensor, number))
    yield "sparse weights", made
    call = helper.make_node("Constant", [], ["y"], value=tensor)
    function = helper.make_function("own", "F", [], ["y"], [call], [helper.make_opsetid("", 17)])
    yield "function", model_of([copy], functions=[function])
    function = helper.make_function("own", "F", [], ["y"], [], [helper.make_opsetid("", 17)])
    function.attribute_proto.append(helper.make_attribute("a", tensor))
    yield "default of a function", model_of([copy], functions=[function])
    made = model_of([copy])
    made.training_info.add().algorithm.initializer.append(tensor)
    yield "training", made
    made = model_of([copy])
    made.training_info.add().initialization.initializer.append(tensor)
    yield "start of a training", made


@pytest.mark.parametrize("place", [place for place, _ in models_with(outside())])
def test_a_tensor_in_another_file_is_found_wherever_it_is(place):
    inside = onnx.numpy_helper.from_array(np.arange(4, dtype=np.float32), "value")
    assert has_outside_tensors(dict(models_with(outside()))[place].SerializeToString())
    assert not has_outside_tensors(dict(models_with(inside))[place].SerializeToString())


@pytest.mark.parametrize("what", ["only the mark", "only the place"])
def test_half_of_what_makes_a_tensor_one_of_another_file_is_enough(what):
    tensor = outside()
    tensor.ClearField("external_data" if what == "only the mark" else "data_location")
    assert has_outside_tensors(model_of([], [tensor]).SerializeToString())


@pytest.mark.parametrize("location", ["../secret.bin", "{folder}/secret.bin", "link.bin", "beside.bin", "/dev/zero"])
def test_a_model_that_names_another_file_is_refused(tmp_path, location):
    """onnxruntime 1.16.3 takes the first and the third, which lead out of the model's folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (tmp_path / "secret.bin", folder / "beside.bin"):
        path.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    os.symlink(tmp_path / "secret.bin", folder / "link.bin")
    node = helper.make_node("Identity", ["value"], ["output"])
    model = model_of([node], [outside(location.format(folder=tmp_path))])
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"expected an ONNX model in one file, got one with tensors in other files"):
        load_session(folder / "m.onnx", 1)


def test_the_bytes_that_were_looked_through_are_those_that_run(tmp_path, monkeypatch):
    """A file that is exchanged after the look is not loaded."""
    good = make_tiny_model(tmp_path / "m.onnx", [TinyPlate("R_4", 0.9, [[10, 10], [11, 20], [30, 22], [29, 12]])])
    look = model_file.has_outside_tensors

    def look_and_exchange(data):
        answer = look(data)
        good.write_bytes(b"something else")
        return answer

    monkeypatch.setattr(model_file, "has_outside_tensors", look_and_exchange)
    assert load_session(good, 1).metadata == tiny_metadata()
    assert good.read_bytes() == b"something else"


def test_the_other_format_of_onnxruntime_is_not_taken(tmp_path):
    """It was not looked through; its mark stands in the bytes 4 to 8, where a text of an ONNX file can stand, too."""
    data = b"\x12\x06\x00\x00ORTM" + make_tiny_model(tmp_path / "m.onnx").read_bytes()
    assert not has_outside_tensors(data)
    (tmp_path / "m.onnx").write_bytes(data)
    assert load_session(tmp_path / "m.onnx", 1).metadata == tiny_metadata()


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on the disk
    with pytest.raises(ModelError, match=f"an ONNX file of at most {model_file.MAX_BYTES} bytes, got {1 << 40}"):
        read_model(path)


def test_a_file_of_endless_fields_is_given_up(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x01" * (model_file.MAX_FIELDS + 1))
    with pytest.raises(ModelError, match=f"more than {model_file.MAX_FIELDS} fields"):
        read_model(path)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x3b", "not a field of protobuf"),  # a group, which ONNX does not have
        (b"\x00\x00", "not a field of protobuf"),
        (b"\x3a\x7f", "a field that ends beyond its message"),
        (b"\x09\x00", "a field that ends beyond its message"),
        (b"\x08" + b"\xff" * 20, "a number without an end"),
        (b"\x08\xff", "a number without an end"),
        (b"\xba\x80\x80\x80\x10\x00", "not a field of protobuf"),  # field 7, to a parser that keeps 32 bits of it
    ],
)
def test_bytes_that_are_no_messages(data, fault):
    with pytest.raises(ValueError, match=fault):
        has_outside_tensors(data)
