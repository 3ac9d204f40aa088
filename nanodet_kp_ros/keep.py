"""The parameter `keep`: of what is found, the colors or classes that are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nanodet_kp_core.classes import split_label
from nanodet_kp_core.errors import ConfigError, shown
from nanodet_kp_core.runtime.detection.detector import Detections


def wanted_classes(text: str, class_names: Sequence[str]) -> frozenset[int] | None:
    """Ids of the classes that the text names, one by one or by their color; None (all) when it is empty.

    text: names separated by spaces or commas. Raises ConfigError for a name that the model does not have.
    """
    names = text.replace(",", " ").split()
    if not names:
        return None
    colors = [split_label(label)[0] for label in class_names]
    wanted: set[int] = set()
    for name in names:
        ids = [index for index, label in enumerate(class_names) if name in (label, colors[index])]
        if not ids:
            known = [*dict.fromkeys(color for color in colors if color), *class_names]
            raise ConfigError(f"parameter keep: expected names out of {' '.join(known)}, got {shown(name)}")
        wanted.update(ids)
    return frozenset(wanted)


def select(detections: Detections, threshold: float, wanted: frozenset[int] | None, most: int) -> Detections:
    """The best `most` of the wanted classes with a score of at least `threshold`, in their order.

    A plate of unknown number is wanted where its color is, with every number.
    """
    fits = detections.scores >= threshold
    if wanted is not None:
        fits &= np.isin(detections.class_ids, list(wanted))
        for row in np.flatnonzero(fits & ~detections.number_known):
            fits[row] = _wants_color(detections.labels[row], detections.class_names, wanted)
    rows = np.flatnonzero(fits)[:most]
    if len(rows) == len(detections):
        return detections
    return detections.part(rows)


def _wants_color(color: str, class_names: Sequence[str], wanted: frozenset[int]) -> bool:
    return all(index in wanted for index, name in enumerate(class_names) if name.partition("_")[0] == color)
