"""What a reader of the documentation has: images with labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.labels import py_label_robomaster, write_dataset
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.synthetic.generator import render


def make_user_data(folder: Path, count: int) -> list[Record]:
    """Rendered images in `SOURCE`, and the same with labels of PyLabelRoboMaster in `my_data`."""
    records = []
    (folder / "SOURCE").mkdir()
    for seed in range(count):
        sample = render(seed, (160, 128), (30.0, 60.0))
        known = [ARMOR_CLASSES[label] in py_label_robomaster.IDS for label in sample.labels]
        sample = replace(sample, **sample.fields_of_plates(known))
        path = folder / "SOURCE" / f"{seed}.png"
        cv2.imwrite(str(path), sample.image)
        records.append(
            Record(path=path, name=path.name, width=160, height=128, corners=sample.corners, labels=sample.labels)
        )
    assert 2 * sum(len(record.labels) for record in records) > count
    write_dataset("PyLabelRoboMasterDataset", folder / "my_data", records, ARMOR_CLASSES)
    return records
