"""A model with its second stage inside gives the same plates, wherever it is copied."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_bars, make_tiny_refiner, name_refiner

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.models.one_file import FILE_KEY, files_inside, with_files

ROOT = Path(__file__).resolve().parents[2]
CORNERS = np.array([[20, 20], [20, 40], [76, 40], [76, 20]], np.float32)
IMAGE = np.random.default_rng(3).integers(0, 255, (128, 128, 3), np.uint8)


@pytest.fixture
def parts(tmp_path):
    """A folder with m.onnx, refiner.onnx and bars.onnx."""
    folder = tmp_path / "parts"
    folder.mkdir()
    make_tiny_bars(folder / "bars.onnx", shift=(1.5, 0.5), per_blue=0.01)
    make_tiny_refiner(folder / "refiner.onnx", shift=(1.0, 0.0), per_blue=0.01, logit=1.0, bars="bars.onnx")
    plate = TinyPlate("R_3", 0.5, CORNERS)
    name_refiner(make_tiny_model(folder / "m.onnx", [plate], tiny_metadata(128, 128)), "refiner.onnx")
    return folder


def one_of(parts, target):
    """m.onnx with the others inside, written without the exporter."""
    files = {name: (parts / name).read_bytes() for name in ("refiner.onnx", "bars.onnx")}
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(with_files((parts / "m.onnx").read_bytes(), files))
    return target


def answer(model):
    found = Detector(model, scout=False)(IMAGE)
    return [found.labels, found.scores.tolist(), found.corners.tolist(), found.number_scores.tolist()]


def test_the_same_plates_from_a_folder_of_its_own(parts, tmp_path):
    expected = answer(parts / "m.onnx")
    assert len(expected[0]) == 1
    assert answer(one_of(parts, tmp_path / "alone/one.onnx")) == expected
    assert [path.name for path in (tmp_path / "alone").iterdir()] == ["one.onnx"]


def test_what_is_inside_counts_and_not_what_lies_beside(parts, tmp_path):
    one = one_of(parts, tmp_path / "alone/one.onnx")
    expected = answer(one)
    make_tiny_refiner(tmp_path / "alone/refiner.onnx", label="B_1", logit=9.0)
    assert answer(one) == expected


def test_the_file_is_still_an_onnx_model_with_all_it_had(parts, tmp_path):
    model = onnx.load(one_of(parts, tmp_path / "one.onnx"))
    onnx.checker.check_model(model)
    before = onnx.load(parts / "m.onnx")
    assert model.graph == before.graph
    assert [entry.key for entry in model.metadata_props] == [
        *(entry.key for entry in before.metadata_props), f"{FILE_KEY}refiner.onnx", f"{FILE_KEY}bars.onnx",
    ]  # fmt: skip


def test_any_bytes_come_back():
    parts = {"a.onnx": bytes(range(256)) * 700, "b": b"", "ü.onnx": b"\0"}
    model = onnx.ModelProto.FromString(with_files(b"", parts))
    assert files_inside({entry.key: entry.value for entry in model.metadata_props}, Path("m.onnx")) == parts


@pytest.mark.parametrize("name", ["", "../r.onnx", "a/b.onnx", "a\\b.onnx"])
def test_a_name_with_a_folder_is_refused(name):
    with pytest.raises(ModelError, match=r"model m\.onnx: expected a file of the second stage in its entry"):
        files_inside({FILE_KEY + name: ""}, Path("m.onnx"))


def test_a_text_that_is_no_base64_is_refused(parts):
    model = onnx.load(parts / "m.onnx")
    entry = model.metadata_props.add()
    entry.key, entry.value = f"{FILE_KEY}refiner.onnx", "no base64!"
    onnx.save(model, parts / "m.onnx")
    with pytest.raises(ModelError, match="expected a file of the second stage"):
        Detector(parts / "m.onnx")


def test_what_is_inside_is_looked_through_as_a_file_is(parts, tmp_path):
    """A tensor of the refiner that names a file of the machine."""
    refiner = onnx.load(parts / "refiner.onnx")
    tensor = refiner.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    (parts / "refiner.onnx").write_bytes(refiner.SerializeToString())
    with pytest.raises(ModelError, match=r"one\.onnx/refiner\.onnx: .*tensors in other files"):
        Detector(one_of(parts, tmp_path / "one.onnx"))


def test_a_file_inside_that_is_no_model_is_named_with_its_place(parts, tmp_path):
    (parts / "bars.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"one\.onnx/bars\.onnx: expected an ONNX model, got a Git LFS pointer"):
        Detector(one_of(parts, tmp_path / "one.onnx"))


def join(*words):
    return subprocess.run(
        [sys.executable, str(ROOT / "training/join.py"), *map(str, words)], capture_output=True, text=True, timeout=120
    )


def test_the_script_makes_one_file(parts, tmp_path):
    out = tmp_path / "alone/one.onnx"
    done = join(parts / "m.onnx", out)
    assert done.returncode == 0, done.stderr
    assert "m.onnx with refiner.onnx and bars.onnx" in done.stdout
    expected = answer(parts / "m.onnx")
    shutil.rmtree(parts)
    assert answer(out) == expected
    again = join(out, tmp_path / "again.onnx")
    assert again.returncode == 0 and (tmp_path / "again.onnx").read_bytes() == out.read_bytes()


def test_a_model_that_was_copied_alone_names_both_ways_out(parts, tmp_path):
    shutil.copy(parts / "m.onnx", tmp_path)
    with pytest.raises(ModelError, match=r"copy refiner\.onnx there too, .* one file of all with `nanodet-kp join"):
        Detector(tmp_path / "m.onnx")
    done = join(tmp_path / "m.onnx", tmp_path / "one.onnx")
    assert done.returncode == 2 and not (tmp_path / "one.onnx").exists()
    assert done.stderr.startswith(f"error: model {tmp_path / 'refiner.onnx'}: expected the second stage")


def test_models_of_several_files_stay_readable(parts):
    found = Detector(parts / "m.onnx").refiner
    assert found is not None and found.path == parts / "refiner.onnx"
    values = json.loads(next(e.value for e in onnx.load(parts / "m.onnx").metadata_props if e.key == "nanodet_kp"))
    assert values["reader"] == "refiner.onnx"
