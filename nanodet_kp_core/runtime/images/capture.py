"""OpenCV's videos and cameras, upright: a phone writes into the file how its images are to be turned."""

from __future__ import annotations

import cv2
import numpy as np

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class Capture:
    """cv2.VideoCapture whose images are turned here, the right way with every version of OpenCV."""

    def __init__(self, source: str | int) -> None:
        self._capture = cv2.VideoCapture(source)
        self._turn: int | None = None
        if isinstance(source, int):  # a camera says nothing of that kind
            return
        # Where OpenCV cannot leave it to us, it does not turn either, or has done so before the first image.
        automatic = getattr(cv2, "CAP_PROP_ORIENTATION_AUTO", None)
        if automatic is not None and self._capture.set(automatic, 0):
            self._turn = turn_of(self._capture.get(cv2.CAP_PROP_ORIENTATION_META), cv2.__version__)

    def read(self) -> np.ndarray | None:
        """The next image, uint8 [height, width, 3] BGR; None at the end, or when there is none."""
        if not self._capture.isOpened():
            return None
        ok, image = self._capture.read()
        if not ok or image is None or image.size == 0:
            return None
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return image if self._turn is None else cv2.rotate(image, self._turn)

    @property
    def rate(self) -> float:
        """Images a second, as OpenCV says it: 0, NaN and rubbish are possible."""
        return float(self._capture.get(cv2.CAP_PROP_FPS))

    def release(self) -> None:
        """Close the file or the camera."""
        self._capture.release()


def turn_of(degrees: float, version: str) -> int | None:
    """cv2.rotate's code for what CAP_PROP_ORIENTATION_META says, None for upright.

    OpenCV 4.6.0, which is that of Ubuntu 24.04, gives the angle with the wrong sign (opencv issue 22088).
    """
    if degrees != degrees:
        return None
    angle = round(degrees) % 360
    return _TURNS.get((360 - angle) % 360 if version.split("-")[0] == "4.6.0" else angle)
