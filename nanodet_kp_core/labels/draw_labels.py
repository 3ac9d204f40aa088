"""Labels drawn into their image, as the robot draws what it finds."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from nanodet_kp_core.labels.labels import Plate, has_hull_box
from nanodet_kp_core.runtime.detection.draw import SHIFT, draw_corners, fixed_point, line_width, write_text

# BGR
BOX_COLOR = (255, 160, 60)
IGNORE_COLOR = (255, 0, 255)
HIDDEN_COLOR = (0, 0, 255)


def draw_labels(image: np.ndarray, plates: Sequence[Plate], scale: float = 1.0) -> np.ndarray:
    """A copy of the image, `scale` times as large, with its plates.

    Green: the corners with their class; the large dot is the left-top one, the small one the left-bottom one. Blue:
    a box that is not their hull, or all that is known. Red rings: corners marked as hidden, or not labeled where
    others are. Magenta: ignore boxes.
    """
    canvas = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale != 1 else image.copy()
    thickness = line_width(canvas)
    for plate in plates:
        # The center of the left-top pixel is (0, 0) before and after.
        corners, box = ((np.array(values) + 0.5) * scale - 0.5 for values in (plate.corners, plate.box))
        if plate.ignore or not all(plate.visible) or not has_hull_box(plate):
            color = IGNORE_COLOR if plate.ignore else BOX_COLOR
            low, high = fixed_point(box[:2]).tolist(), fixed_point(box[2:]).tolist()
            cv2.rectangle(canvas, low, high, color, thickness, cv2.LINE_AA, SHIFT)
        if any(plate.visible) and not plate.ignore:
            draw_corners(canvas, corners)
            for center in fixed_point(corners[np.array(plate.visible) < 2]).tolist():
                cv2.circle(canvas, center, (4 * thickness) << SHIFT, HIDDEN_COLOR, thickness, cv2.LINE_AA, SHIFT)
        write_text(canvas, plate.name, box[:2])
    return canvas
