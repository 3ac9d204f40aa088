"""Hand-made labels that the tests of evaluation and adaptation share, as fixtures."""

from pathlib import Path

import numpy as np
import pytest

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.labels.sample import Record


def corners_of(x, y, width, height):
    """An upright plate with its left-top corner at (x, y)."""
    return np.array([[x, y], [x, y + height], [x + width, y + height], [x + width, y]], np.float32)


@pytest.fixture(scope="session")
def plate():
    return corners_of


@pytest.fixture(scope="session")
def make_record():
    def make(plates, labels, name="a.png", **values):
        return Record(
            path=Path(values.pop("path", name)), name=name, width=values.pop("width", 400),
            height=values.pop("height", 300), corners=np.array(plates, np.float32).reshape(-1, 4, 2),
            labels=np.array([ARMOR_CLASSES.index(label) for label in labels], np.int64), **values,
        )  # fmt: skip

    return make
