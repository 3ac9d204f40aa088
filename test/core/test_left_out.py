"""What cannot be read in a folder is told and not left out silently."""

import os

import cv2
import numpy as np
import pytest

from nanodet_kp_core.labels import read_labels
from nanodet_kp_core.paths import names_below
from nanodet_kp_core.runtime.images.frame_sources import open_source


@pytest.fixture
def folder(tmp_path):
    """images/ with a.png and b.png, a link to a file that is not there."""
    (tmp_path / "images").mkdir()
    assert cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "images/b.png").symlink_to("../store/b.png")
    return tmp_path


def test_a_link_to_no_image_is_warned_of(folder, capfd):
    source = open_source(str(folder / "images"))
    assert [frame.name for frame in source] == ["a.png"]
    assert source.unreadable == ["b.png"]
    assert "b.png: not a readable image, skipped" in capfd.readouterr().err


def test_a_link_to_no_image_is_a_fault_of_a_data_set(folder):
    (folder / "labels").mkdir()
    (folder / "labels/b.txt").write_text("3 0.4 0.4 0.4 0.2 0.2 0.3 0.2 0.5 0.6 0.5 0.6 0.3\n")
    faults = []
    images = read_labels("PyLabelRoboMasterDataset", folder / "images", folder / "labels", faults)
    assert [image.name for image in images] == ["a.png"]
    assert len(faults) == 1 and "b.png: expected an image, got: No such file" in str(faults[0])


def test_a_link_to_no_label_is_a_fault(folder):
    (folder / "labels").mkdir()
    (folder / "labels/a.txt").symlink_to("gone.txt")
    faults = []
    read_labels("PyLabelRoboMasterDataset", folder / "images", folder / "labels", faults)
    assert any("a.txt: expected labels, got: No such file" in str(fault) for fault in faults)


def test_a_folder_that_may_not_be_entered_is_warned_of(folder, monkeypatch, capsys):
    (folder / "images/secret").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert names_below(folder / "images", (".png",)) == ["a.png", "b.png"]
    assert "images/secret: permission denied, left out" in capsys.readouterr().err
