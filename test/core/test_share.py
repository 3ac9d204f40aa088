"""Where models, configurations and package.xml are found: one rule for a checkout and for every kind of prefix."""

from pathlib import Path

import pytest

from nanodet_kp_core import share
from nanodet_kp_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("package", "folder"),
    [
        ("tree/nanodet_kp_core", "tree"),  # a checkout, an editable install, colcon --symlink-install
        ("venv/lib/python3.11/site-packages/nanodet_kp_core", "venv/share/nanodet_kp_ros"),
        ("prefix/local/lib/python3.10/dist-packages/nanodet_kp_core", "prefix/share/nanodet_kp_ros"),  # Humble
        ("target/nanodet_kp_core", "target/share/nanodet_kp_ros"),  # pip install --target
    ],
)
def test_the_nearest_folder_with_a_package_xml(tmp_path, monkeypatch, package, folder):
    monkeypatch.setattr(share, "PACKAGE", tmp_path / package)
    with pytest.raises(ConfigError, match="install the package again"):
        share.share_folder()
    for place in (tmp_path / "share" / "nanodet_kp_ros", tmp_path / folder):  # the farther one first
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.xml").write_text("<package/>")
        assert share.share_folder() == place


def test_the_environment_does_not_matter(tmp_path, monkeypatch):
    """A sourced workspace with another version of the package must not lend this one its models."""
    (tmp_path / "share" / "nanodet_kp_ros").mkdir(parents=True)
    (tmp_path / "share" / "nanodet_kp_ros" / "package.xml").write_text("<package/>")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert share.share_folder() == ROOT


def test_a_bundled_file_by_its_name_in_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("models/armor_s.onnx", "config/armor_s.yaml"):
        assert share.own_or_shared(name) == ROOT / name
    own = tmp_path / "models" / "armor_s.onnx"
    own.parent.mkdir()
    own.touch()
    assert share.own_or_shared("models/armor_s.onnx") == Path("models/armor_s.onnx")  # the own one goes first


@pytest.mark.parametrize(
    "path",
    ["README.md", "models/no_such.onnx", "models", "config/../setup.py", "/models/armor_s.onnx", "models/" + "x" * 300],
)
def test_any_other_path_stays_what_it_is(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    assert share.own_or_shared(path) == Path(path)


def test_the_version_is_that_of_package_xml(tmp_path, monkeypatch):
    (tmp_path / "package.xml").write_text('<package format="3">\n  <version>3.20.1</version>\n</package>')
    monkeypatch.setattr(share, "PACKAGE", tmp_path / "nanodet_kp_core")
    assert share.version() == "3.20.1"
    (tmp_path / "package.xml").write_text("<package/>")
    with pytest.raises(ConfigError, match="expected a <version>"):
        share.version()
