"""Files that are given as a model and are none of ours: each is named for what it is, with the way out."""

import pickle
import shutil
import zipfile

import onnx
import pytest
from onnx import TensorProto, helper

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.bundled import bundled_model


def torch_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", b"\x80\x02}.")
        archive.writestr("best/data/0", bytes(100_000))


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.onnx", b"onnx")


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5000000\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch_zip, "a checkpoint of torch; export it with `nanodet-kp export CHECKPOINT OUT.onnx`"),
        (other_zip, "an archive; unpack it"),
        (pickle.dumps({"state_dict": 1}, 2), "a pickle, as older checkpoints of torch are; export it"),
        (pickle.dumps({"state_dict": 1}, 5), "a pickle"),
        (LFS, "a Git LFS pointer, which stands for the file itself; run `git lfs pull`"),
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><html>Not found", "a web page instead of the file"),
        (b"<?xml version='1.0'?><net name='m'>", "a model of OpenVINO; this package runs the ONNX files"),
        (b"\x1c\0\0\0TFL3" + bytes(50), "a model of TensorFlow Lite"),
        (b"\x89HDF\r\n\x1a\n", "a model of Keras"),
        (b"7767517\n75 83\n", "a model of ncnn"),
        (b"RKNN\0\0\0\0" + bytes(60), "a model of RKNN"),
        (b"\x40\0\0\0\0\0\0\0" + b'{"weight":', "weights in safetensors"),
        (b"\xff\xd8\xff\xe0", "an image"),
    ],
)
def test_another_kind_of_file(tmp_path, content, words):
    path = tmp_path / "best.onnx"
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    with pytest.raises(ModelError) as raised:
        Detector(path)
    assert str(raised.value).startswith(f"model {path}: expected an ONNX model, got {words}")


def foreign_onnx(path, **entries):
    shape = [1, 3, 32, 32]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("images", "output0")]
    graph = helper.make_graph([helper.make_node("Identity", ["images"], ["output0"])], "g", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="pytorch")
    helper.set_model_props(model, entries)
    onnx.save(model, str(path))
    return path


def test_an_onnx_of_another_framework(tmp_path):
    path = foreign_onnx(tmp_path / "yolo.onnx", task="pose", names="{0: 'armor'}")
    with pytest.raises(ModelError, match=r"a model of another program .made by 'pytorch', inputs 'images") as raised:
        Detector(path)
    assert str(raised.value).count(str(path)) == 1
    assert "nanodet-kp import-weights" in str(raised.value)


def test_the_second_stage_given_as_the_model():
    with pytest.raises(ModelError, match="name the detector, and leave this file beside it"):
        Detector(bundled_model("armor_reader.onnx"))


@pytest.mark.parametrize("kept", [(), ("armor_reader.onnx",)])
def test_a_bundled_model_that_was_copied_alone(tmp_path, kept):
    for name in ("armor_s.onnx", *kept):
        shutil.copy(bundled_model(name), tmp_path / name)
    missing = "armor_bars.onnx" if kept else "armor_reader.onnx"
    with pytest.raises(ModelError, match=rf"{missing}: expected the second stage .* got no such file"):
        Detector(tmp_path / "armor_s.onnx")
