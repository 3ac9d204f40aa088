"""Labels of every format in the encodings of Chinese Windows: the same plates, or one sentence."""

import json

import pytest
from format_helpers import write_image

from nanodet_kp_core.labels import read_labels

CORNERS = "0.2 0.25 0.2 0.5 0.6 0.5 0.6 0.25"
ENCODINGS = ["utf-8-sig", "utf-16", "gbk"]


def voc(declared):
    corners = enumerate(((9, 9), (9, 20), (40, 20), (40, 9)), start=1)
    points = "".join(f"<x{k}>{x}</x{k}><y{k}>{y}</y{k}>" for k, (x, y) in corners)
    size = "<size><width>64</width><height>48</height></size>"
    plate = f"<object><name>B_3</name><points>{points}</points></object>"
    return (
        f'<?xml version="1.0" encoding="{declared}"?>\n'
        f"<annotation><filename>图像.png</filename>{size}{plate}</annotation>\n"
    )


def written(folder, name, encoding):
    """A data set of one plate in `folder`; its label path."""
    image = write_image(folder / "images/plain.png")
    image.rename(image.with_name("图像.png"))
    files = {
        "CocoDataset": ("labels.json", json.dumps(
            {
                "images": [{"id": 1, "file_name": "图像.png", "width": 64, "height": 48}],
                "categories": [{"id": 1, "name": "B_3"}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 31, 11],
                                 "keypoints": [9, 9, 2, 9, 20, 2, 40, 20, 2, 40, 9, 2]}],
            }, ensure_ascii=False)),
        "XMLDataset": ("labels/图像.xml", voc({"gbk": "GB2312", "utf-16": "UTF-16"}.get(encoding, "UTF-8"))),
        "LabelRoboMasterDataset": ("images/图像.txt", f"3 {CORNERS}\n"),
        "PyLabelRoboMasterDataset": ("labels/图像.txt", f"3 0.4 0.375 0.4 0.25 {CORNERS}\n"),
        "YoloPoseDataset": ("labels/图像.txt", f"0 0.4 0.375 0.4 0.25 {CORNERS}\n"),
    }  # fmt: skip
    place, text = files[name]
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_bytes(text.replace("\n", "\r\n").encode(encoding))
    if name == "YoloPoseDataset":
        sheet = "# 装甲板\r\nkpt_shape: [4, 2]\r\nnames:\r\n  0: B_3\r\n"
        (folder / "data.yaml").write_bytes(sheet.encode(encoding))
        return folder / "data.yaml"
    return folder / place if name == "CocoDataset" else (folder / place).parent


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "name", ["CocoDataset", "XMLDataset", "LabelRoboMasterDataset", "PyLabelRoboMasterDataset", "YoloPoseDataset"]
)
def test_the_plate_of_every_encoding(tmp_path, name, encoding):
    faults = []
    (image,) = read_labels(name, tmp_path / "images", written(tmp_path, name, encoding), faults)
    assert faults == []
    assert image.name == "图像.png"
    assert [len(plate.corners) for plate in image.plates] == [4]


def test_an_encoding_that_is_not_read_is_told(tmp_path):
    labels = written(tmp_path, "XMLDataset", "utf-8")
    (labels / "图像.xml").write_bytes(voc("Big5").encode("utf-8"))
    faults = []
    read_labels("XMLDataset", tmp_path / "images", labels, faults)
    assert len(faults) == 1 and "multi-byte encodings are not supported; save it as UTF-8" in str(faults[0])
