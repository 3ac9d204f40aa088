"""Labeled images for the tests of the formats."""

from pathlib import Path

import cv2
import numpy as np
from hypothesis import strategies as st

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.labels import FORMATS
from nanodet_kp_core.labels.labels import LabeledImage, Plate, corners_of_box, hull

SIZE = (64, 48)


def write_image(path, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), np.uint8))
    return path


coordinate = st.floats(-150, 140, allow_nan=False, allow_infinity=False)


@st.composite
def plates(draw, names, with_visibility, with_boxes, with_ignores):
    corners = tuple((draw(coordinate), draw(coordinate)) for _ in range(4))
    box = hull(corners)
    if with_boxes and draw(st.booleans()):
        left, top = draw(coordinate), draw(coordinate)
        box = (left, top, left + draw(st.floats(0, 50)), top + draw(st.floats(0, 50)))
    if with_ignores and draw(st.integers(0, 4)) == 0:
        return Plate("", "", corners_of_box(box), box, (0, 0, 0, 0), ignore=True)
    visible = draw(st.tuples(*[st.integers(0, 2)] * 4)) if with_visibility else (2, 2, 2, 2)
    corners = tuple(c if v else b for c, v, b in zip(corners, visible, corners_of_box(box)))
    return Plate("", draw(st.sampled_from(names)), corners, box, visible)


def plates_for(name):
    """Lists of plates that the format can hold."""
    held = FORMATS[name]
    return st.lists(plates(held.ids or (*ARMOR_CLASSES, "P_?"), held.visibility, held.boxes, held.ignores), max_size=4)


def labeled(folder: Path, plates_by_image: dict[str, list[Plate]]) -> list[LabeledImage]:
    return [LabeledImage(name, folder / name, *SIZE, name, found) for name, found in plates_by_image.items()]


def assert_same(written, read, tolerance=1e-9):
    """The same images with the same plates; coordinates to `tolerance` pixels."""
    read = {image.name: image for image in read}
    assert sorted(read) == sorted(image.name for image in written)
    for image in written:
        other = read[image.name]
        assert (image.width, image.height) == (other.width, other.height)
        assert len(image.plates) == len(other.plates)
        for a, b in zip(image.plates, other.plates):
            assert (a.ignore or a.name == b.name) and a.ignore == b.ignore and a.visible == b.visible
            np.testing.assert_allclose(b.corners, a.corners, rtol=0, atol=tolerance)
            np.testing.assert_allclose(b.box, a.box, rtol=0, atol=tolerance)
