"""Paths as people write them, and what lies there, without ever raising."""

import os
from pathlib import Path

import pytest

from nanodet_kp_core import paths
from nanodet_kp_core.errors import ConfigError, ModelError, SourceError
from nanodet_kp_core.paths import FILE, FOLDER, brief, names_below, resolved, what_is
from nanodet_kp_core.runtime.images.frame_sources import open_source
from nanodet_kp_core.runtime.images.rosbag_reader import is_bag
from nanodet_kp_core.runtime.models.session import load_session
from nanodet_kp_core.runtime.poses.calibration import read_calibration


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~/a.onnx", "{home}/a.onnx"),
        ("~", "{home}"),
        ("file:///data/a%20b.yaml", "/data/a b.yaml"),
        ("FILE://localhost/data/a.yaml", "/data/a.yaml"),
        (Path("file:///data/a.yaml"), "/data/a.yaml"),
        ("package://own_package/config/a.yaml", "{share}/config/a.yaml"),
        (Path("package://own_package/config/a.yaml"), "{share}/config/a.yaml"),
        ("relative/a.yaml", "relative/a.yaml"),
        ("./~/a", "~/a"),
        ("C:\\a.onnx", "C:\\a.onnx"),
    ],
)
def test_a_path_is_written_out(tmp_path, monkeypatch, written, meant):
    share = tmp_path / "prefix" / "share" / "own_package"
    share.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/no/such{os.pathsep}{tmp_path / 'prefix'}")
    assert resolved(written) == Path(meant.format(home=tmp_path, share=share))


@pytest.mark.parametrize("written", ["package://no_such_package/a", "package:///a", "~no_such_user_at_all/a"])
def test_what_cannot_be_written_out_is_named(written):
    with pytest.raises(ConfigError, match=r"expected .* got none"):
        resolved(written)


LONG = "a" * 5000


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a_file", FILE),
        ("a_folder", FOLDER),
        ("none", "no such file"),
        ("a_file/below", "not a directory"),
        (LONG, "file name too long"),
        ("a\0b", "a name that no file can have"),
        ("\udcff\ud800", "a name that no file can have"),
        ("link", "a link to a file that is not there"),
        ("loop", "too many levels of symbolic links"),
        ("/dev/null", "a device or a pipe"),
        ("http://host/a.onnx", "a URL (http), which is not read here"),
        ("D:\\models\\a.onnx", "no such file (a path of Windows, unknown to this system)"),
    ],
)
def test_what_lies_there(tmp_path, monkeypatch, path, found):
    monkeypatch.chdir(tmp_path)
    Path("a_file").touch()
    Path("a_folder").mkdir()
    Path("link").symlink_to("gone")
    Path("loop").symlink_to("loop")
    assert what_is(Path(path)) == found


def test_a_folder_that_may_not_be_entered(monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", refuse)
    assert what_is(Path("closed/a")) == "permission denied"


@pytest.mark.parametrize("path", [LONG, f"folder/{LONG}", "a\nb\x1b[31m", "\udcff", "a\0b"])
@pytest.mark.parametrize(
    ("read", "error"),
    [
        (lambda path: load_session(path, 1), ModelError),
        (open_source, SourceError),
        (read_calibration, ConfigError),
    ],
    ids=["model", "source", "calibration"],
)
def test_every_refiner_answers_with_one_short_sentence(path, read, error):
    assert not is_bag(path)
    with pytest.raises(error) as raised:
        read(path)
    text = str(raised.value)
    assert "expected" in text and len(text) < 600
    assert text.isprintable() and text.isascii()


def test_a_long_path_is_shortened_in_the_middle():
    assert brief(f"/{LONG}/model.onnx").endswith("aaa/model.onnx")
    assert len(brief(LONG)) < 210


def test_linked_folders_are_entered_and_circles_end(tmp_path):
    for name in ("all/one.png", "all/.hidden/two.png", "store/deep/three.PNG", "store/four.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "all/linked").symlink_to("../store")
    (tmp_path / "all/single.png").symlink_to("../store/deep/three.PNG")
    (tmp_path / "store/circle").symlink_to("../all")
    (tmp_path / "all/self").symlink_to(".")
    (tmp_path / "all/gone.png").symlink_to("nowhere")
    assert sorted(names_below(tmp_path / "all", (".png",))) == [
        ".hidden/two.png", "gone.png", "linked/deep/three.PNG", "one.png", "single.png",
    ]  # fmt: skip
    assert sorted(names_below(tmp_path / "all", (".png",), lambda name: name.startswith("."))) == [
        "gone.png", "linked/deep/three.PNG", "one.png", "single.png",
    ]  # fmt: skip


def test_folders_that_link_to_each_other_do_not_take_for_ever(tmp_path, monkeypatch):
    assert paths._MOST_FOLDERS <= 1 << 15  # some seconds
    monkeypatch.setattr(paths, "_MOST_FOLDERS", 1 << 11)
    for one in range(12):
        (tmp_path / f"{one}").mkdir()
        for other in range(12):
            (tmp_path / f"{one}/{other}").symlink_to(f"../{other}")
    with pytest.raises(ConfigError, match="links to folders that hold each other"):
        names_below(tmp_path, (".png",))
