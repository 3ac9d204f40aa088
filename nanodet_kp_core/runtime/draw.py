"""Detections drawn into an image: the four corners as they are, their order marked, label and score."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.runtime.detector import Detections
from nanodet_kp_core.runtime.preprocess import check_image

# BGR. Neither is a colour of the plates' lights, so that a line on a bar is still seen.
LINE_COLOR = (80, 255, 80)
CORNER_COLOR = (0, 200, 255)

_SHIFT = 4  # OpenCV draws in sixteenths of a pixel
_FAR = 1e6  # corners outside the image are drawn up to here; OpenCV's integers end soon after


def draw(image: np.ndarray, detections: Detections) -> np.ndarray:
    """An annotated copy of the image.

    A large dot marks the first corner (left-top), a small one the second (left-bottom), so that a wrong
    order is seen at once. Thickness and text grow with the image.

    Args:
        image: uint8 [height, width, 3], BGR; it is not changed.
        detections: in pixels of this image.

    Raises:
        ImageError: the image is empty or of another type or shape.
    """
    canvas = check_image(image).copy()
    size = max(canvas.shape[:2])
    thickness = max(1, round(size / 640))
    for corners, label, score in zip(detections.corners, detections.labels, detections.scores, strict=True):
        points = np.round(np.clip(corners, -_FAR, _FAR) * 2**_SHIFT).astype(np.int32)
        cv2.polylines(canvas, [points.reshape(-1, 1, 2)], True, LINE_COLOR, thickness, cv2.LINE_AA, _SHIFT)
        for (x, y), radius in zip(points[:2].tolist(), (2.5 * thickness, 1.5 * thickness), strict=True):
            cv2.circle(canvas, (x, y), round(radius * 2**_SHIFT), CORNER_COLOR, -1, cv2.LINE_AA, _SHIFT)
        _write(canvas, f"{label} {score:.2f}", corners, max(0.4, size / 1600), thickness)
    return canvas


def _write(canvas: np.ndarray, text: str, corners: np.ndarray, scale: float, thickness: int) -> None:
    """Text above the plate, moved into the image where it would leave it, dark rim for bright grounds."""
    height, width = canvas.shape[:2]
    font = cv2.FONT_HERSHEY_SIMPLEX
    (text_width, text_height), below = cv2.getTextSize(text, font, scale, thickness)
    x = int(np.clip(corners[:, 0].min(), 0, max(0, width - text_width)))
    y = int(np.clip(corners[:, 1].min() - 3 * thickness, text_height, max(text_height, height - below)))
    cv2.putText(canvas, text, (x, y), font, scale, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.putText(canvas, text, (x, y), font, scale, LINE_COLOR, thickness, cv2.LINE_AA)
