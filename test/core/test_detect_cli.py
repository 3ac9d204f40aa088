"""The command line as a user runs it: a process of its own, its exit code, its sentences and its files."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_model import TinyPlate, make_tiny_model, tiny_metadata
from tiny_refiner import make_tiny_refiner, name_refiner

from nanodet_kp_core import detect
from nanodet_kp_core.runtime.detection.detector import Detector
from nanodet_kp_core.runtime.images.frame_sources import Frame, open_source

ROOT = Path(__file__).resolve().parents[2]
PLATES = [
    TinyPlate("B_3", 0.9, [[10, 10], [11, 20], [30, 22], [29, 12]]),
    TinyPlate("R_1", 0.3, [[40, 40], [40, 50], [58, 51], [59, 41]]),
]


def _detect(*arguments, env=None):
    clean = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "nanodet_kp_core.detect", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _refused(*arguments, env=None):
    """The one sentence on stderr of a call that must end with 2."""
    done = _detect(*arguments, env=env)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def model(tmp_path):
    return make_tiny_model(tmp_path / "m.onnx", PLATES)


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "sub/a.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((100, 140, 3), 60, np.uint8))
    return tmp_path / "in"


def test_folder_to_json_and_pictures(tmp_path, model, folder):
    out, pictures = tmp_path / "out.json", tmp_path / "pictures"
    done = _detect(folder, "--model", model, "--json", out, "--save", pictures, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "sub/a.jpg: B_3 0.90" in done.stdout
    assert "2 frames, 2 plates; median ms per frame: preprocess" in done.stdout
    result = json.loads(out.read_text())
    assert list(result) == ["b.png", "sub/a.jpg"]  # relative, forward slashes
    (entry,) = result["sub/a.jpg"]  # 0.3 is below the default threshold of 0.5
    assert set(entry) == {"label", "score", "number_score", "corners", "box"}
    wanted = Detector(model, threads=1)(next(iter(open_source(str(folder)))).image)
    assert entry["label"] == "B_3"
    assert entry["score"] == pytest.approx(0.9, abs=1e-5)
    assert entry["number_score"] == 1
    np.testing.assert_allclose(entry["corners"], wanted.corners[0], atol=1e-3)
    np.testing.assert_allclose(entry["box"], wanted.boxes[0], atol=1e-3)
    for name in ("b.png", "sub/a.jpg"):
        picture = cv2.imread(str(pictures / name))
        assert picture.shape == (100, 140, 3)
        assert (picture != 60).any(), "nothing was drawn"
    assert [path.name for path in tmp_path.glob(".*.part")] == []


def test_options_reach_the_detector(tmp_path, model, folder):
    out = tmp_path / "out.json"
    _detect(folder, "--model", model, "--json", out, "--score", 0.2)
    assert [entry["label"] for entry in json.loads(out.read_text())["b.png"]] == ["B_3", "R_1"]
    _detect(folder, "--model", model, "--json", out, "--score", 0.2, "--max-detections", 1)
    assert [entry["label"] for entry in json.loads(out.read_text())["b.png"]] == ["B_3"]


def test_an_unsure_number_is_left_out_of_the_label(tmp_path, model, folder):
    out = tmp_path / "out.json"
    make_tiny_refiner(tmp_path / "refiner.onnx", "R_3", number_logit=2.0)
    for threshold, label in ((0.47, "R_3"), (0.49, "R")):  # 1 / (1 + 8 exp(-2)) is 0.48015
        _detect(folder, "--model", name_refiner(model, "refiner.onnx"), "--json", out, "--number-score", threshold)
        (entry,) = json.loads(out.read_text())["b.png"][:1]
        assert (entry["label"], entry["number_score"]) == (label, 0.48015)
    assert "expected a number in 0..1, got 2" in _refused(folder, "--number-score", 2)


def test_single_image_is_named_by_its_file(tmp_path, model, folder):
    out = tmp_path / "out.json"
    assert _detect(folder / "sub" / "a.jpg", "--model", model, "--json", out).returncode == 0
    assert list(json.loads(out.read_text())) == ["a.jpg"]


def test_frames_without_plates_are_listed(tmp_path, folder):
    out = tmp_path / "out.json"
    done = _detect(folder, "--model", make_tiny_model(tmp_path / "none.onnx"), "--json", out)
    assert json.loads(out.read_text()) == {"b.png": [], "sub/a.jpg": []}
    assert "b.png: nothing" in done.stdout


def test_video(tmp_path, model):
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
    for _ in range(3):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    out, pictures = tmp_path / "out.json", tmp_path / "pictures"
    done = _detect(tmp_path / "v.avi", "--model", model, "--json", out, "--save", pictures)
    assert done.returncode == 0, done.stderr
    names = ["frame_000000", "frame_000001", "frame_000002"]
    assert list(json.loads(out.read_text())) == names
    assert sorted(path.name for path in pictures.iterdir()) == [f"{name}.jpg" for name in names]


def test_following_plates_takes_the_frames_between_in_part(tmp_path, monkeypatch, capsys):
    """Every second of four frames is looked at around the plate, which comes out where it was found in the part."""
    looked_at = []
    regions = detect.RoiDetector.__call__

    def spy(self, *arguments):
        found = regions(self, *arguments)
        looked_at.append(self.region)
        return found

    monkeypatch.setattr(detect.RoiDetector, "__call__", spy)
    model = make_tiny_model(tmp_path / "m.onnx", PLATES[:1], tiny_metadata(256, 256))
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((1024, 1024, 3), np.uint8))
    out = tmp_path / "out.json"
    assert detect.main([str(tmp_path), "--model", str(model), "--roi-every", "2", "--json", str(out)]) == 0
    assert [region is None for region in looked_at] == [True, False, True, False]
    assert [len(plates) for plates in json.loads(out.read_text()).values()] == [1, 1, 1, 1]
    assert "4 frames" in capsys.readouterr().out


def test_unreadable_images_are_counted_and_not_fatal(tmp_path, model, folder):
    (folder / "broken.png").write_bytes(b"no image")
    done = _detect(folder, "--model", model)
    assert done.returncode == 0
    assert "warning:" in done.stderr
    assert "2 frames, 2 plates, 1 unreadable" in done.stdout


def test_missing_source(model, tmp_path):
    error = _refused(tmp_path / "none", "--model", model)
    assert error.startswith("detect: source")
    assert error.count("\n") == 1


def test_missing_model(folder, tmp_path):
    error = _refused(folder, "--model", tmp_path / "none.onnx")
    assert "none.onnx: expected an ONNX file, got no such file" in error
    assert error.count("\n") == 1


def test_model_that_is_no_onnx(folder, tmp_path):
    (tmp_path / "g.onnx").write_bytes(b"garbage" * 100)
    assert _refused(folder, "--model", tmp_path / "g.onnx").count("\n") == 1


def test_file_that_is_no_video(model, tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"neither image nor video")
    assert "film.mp4" in _refused(tmp_path / "film.mp4", "--model", model)


def test_no_result_is_written_after_an_error(model, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out.json"
    out.write_text("old")
    _refused(tmp_path / "in", "--model", model, "--json", out)
    assert out.read_text() == "old"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--score", "1.5"),
        ("--score", "nan"),
        ("--score", "high"),
        ("--nms", "-0.1"),
        ("--threads", "0"),
        ("--threads", "2.5"),
        ("--max-detections", "0"),
    ],
)
def test_wrong_values_name_the_option_and_the_value(model, folder, option, value):
    error = _refused(folder, "--model", model, option, value)
    assert f"argument {option}: expected" in error
    assert value in error


def test_outputs_are_checked_before_the_work(model, folder, tmp_path):
    assert "--json: expected a file" in _refused(folder, "--model", model, "--json", tmp_path / "no" / "o.json")
    assert "--json: expected a file" in _refused(folder, "--model", model, "--json", tmp_path)
    assert "--save: expected a folder" in _refused(folder, "--model", model, "--save", model)


@pytest.mark.parametrize("source", [".", "b.png"])
def test_source_images_are_never_overwritten(model, folder, source):
    before = (folder / "b.png").read_bytes()
    assert "would be overwritten" in _refused(folder / source, "--model", model, "--save", folder)
    assert (folder / "b.png").read_bytes() == before


def test_show_without_a_display(model, folder):
    assert "--show: expected a display" in _refused(folder, "--model", model, "--show")


def test_show_with_a_headless_opencv(model, folder):
    if not re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        pytest.skip("this OpenCV opens windows")
    assert "opencv-python-headless" in _refused(folder, "--model", model, "--show", env={"DISPLAY": ":99"})


class _Interrupted:
    """A source at which the user presses Ctrl-C after the first frame."""

    unreadable = ()

    def __init__(self, live):
        self.live = live
        self.closed = False

    def __iter__(self):
        yield Frame("frame_000000", np.zeros((64, 64, 3), np.uint8))
        raise KeyboardInterrupt

    def close(self):
        self.closed = True


@pytest.mark.parametrize(("live", "code"), [(True, 0), (False, 130)])
def test_control_c_ends_a_camera_and_breaks_off_a_folder(model, tmp_path, monkeypatch, capsys, live, code):
    source = _Interrupted(live)
    monkeypatch.setattr(detect, "open_source", lambda _: source)
    out = tmp_path / "out.json"
    assert detect.main(["0", "--model", str(model), "--json", str(out)]) == code
    assert source.closed
    assert out.exists() == live  # half a folder is no result
    assert ("1 frames, 1 plates" in capsys.readouterr().out) == live


@pytest.mark.parametrize(("key", "frames"), [(ord("q"), 1), (27, 1), (ord(" "), 2), (-1, 2)])
def test_show_waits_at_images_and_ends_at_q(model, folder, monkeypatch, key, frames):
    shown, waits = [], []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda milliseconds: waits.append(milliseconds) or key)
    assert detect.main([str(folder), "--model", str(model), "--show"]) == 0
    assert len(shown) == frames
    assert set(waits) == {0}


def test_importing_the_command_loads_neither_torch_nor_ros():
    code = (
        "import sys, nanodet_kp_core, nanodet_kp_core.detect\n"
        "heavy = {'torch', 'torchvision', 'onnx', 'pydantic', 'rclpy', 'cv_bridge', 'sensor_msgs'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
