"""Detections drawn into an image: the four corners as they are, their order marked, label and score."""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.runtime.detection.detector import Detections
from nanodet_kp_core.runtime.detection.preprocess import check_image

# BGR. Neither is a color of the plates' lights, so that a line on a bar is still seen.
LINE_COLOR = (80, 255, 80)
CORNER_COLOR = (0, 200, 255)

SHIFT = 4  # OpenCV draws in sixteenths of a pixel
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
    for corners, label, score in zip(detections.corners, detections.labels, detections.scores, strict=True):
        draw_corners(canvas, corners)
        write_text(canvas, f"{label} {score:.2f}", corners.min(axis=0))
    return canvas


def line_width(canvas: np.ndarray) -> int:
    """Thickness of a line that is seen in an image of this size, pixels."""
    return max(1, round(max(canvas.shape[:2]) / 640))


def draw_corners(canvas: np.ndarray, corners: np.ndarray) -> None:
    """Draw the corners [4, 2] of one plate into the canvas."""
    thickness, points = line_width(canvas), fixed_point(corners)
    cv2.polylines(canvas, [points.reshape(-1, 1, 2)], True, LINE_COLOR, thickness, cv2.LINE_AA, SHIFT)
    for (x, y), radius in zip(points[:2].tolist(), (2.5 * thickness, 1.5 * thickness), strict=True):
        cv2.circle(canvas, (x, y), round(radius * 2**SHIFT), CORNER_COLOR, -1, cv2.LINE_AA, SHIFT)


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Pixels as OpenCV takes them with `shift=SHIFT`."""
    return np.round(np.clip(points, -_FAR, _FAR) * 2**SHIFT).astype(np.int32)


def write_text(canvas: np.ndarray, text: str, at: np.ndarray) -> None:
    """Text above the point `at`, moved into the image where it would leave it, dark rim for bright grounds."""
    height, width = canvas.shape[:2]
    thickness, scale = line_width(canvas), max(0.4, max(height, width) / 1600)
    font = cv2.FONT_HERSHEY_SIMPLEX
    (text_width, text_height), below = cv2.getTextSize(text, font, scale, thickness)
    x = int(np.clip(at[0], 0, max(0, width - text_width)))
    y = int(np.clip(at[1] - 3 * thickness, text_height, max(text_height, height - below)))
    cv2.putText(canvas, text, (x, y), font, scale, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.putText(canvas, text, (x, y), font, scale, LINE_COLOR, thickness, cv2.LINE_AA)
