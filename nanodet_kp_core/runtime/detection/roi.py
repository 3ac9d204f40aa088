"""Region of interest: with plates in the last frame, look at the part of the image around them at full resolution."""

from __future__ import annotations

import numpy as np

from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.runtime.detection.detector import Detections, Detector
from nanodet_kp_core.runtime.detection.options import DetectOptions

MARGIN = 1.5
"""Room around the plates on every side, in the longer side of the largest one: a frame's motion and its robot."""

LARGEST_SHARE = 0.7
"""A part wider and higher than this share of the image gains nothing: the whole image is taken."""


class RoiDetector:
    """Follows the plates of one video with a detector, which several of these may share.

    The network's input has a fixed size, so one part costs what a whole image costs. What is gained is resolution: a
    far plate has as many pixels in the input as in the image. What is lost: a plate that appears elsewhere is seen
    with the next whole image only. Several cameras need one RoiDetector each.

    Attributes:
        detector: finds the plates of each image or part.
        every: every so many images is taken whole; at least 1.
        region: (x_min, y_min, x_max, y_max) of the part that the last call looked at, in whole pixels of the image;
            None when it took all of it.
    """

    def __init__(self, detector: Detector, every: int) -> None:
        """Raises ConfigError when every is below 1."""
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ConfigError(f"every: expected a whole number of at least 1, got {every!r}")
        self.detector = detector
        self.every = every
        self.region: tuple[int, int, int, int] | None = None
        self._shape: tuple[int, ...] = ()
        self._boxes = np.zeros((0, 4), np.float32)
        self._since_whole = 0

    def forget(self) -> None:
        """Take the next image whole: it does not follow the last one."""
        self._boxes = self._boxes[:0]

    def __call__(
        self, image: np.ndarray, options: DetectOptions | None = None, channel_order: str = "bgr"
    ) -> Detections:
        """Detect the plates of the next image; arguments, results and errors as for Detector.

        Plates of unwanted classes are followed too: where they are, wanted ones are near.
        """
        options = options or self.detector.options
        shape = np.shape(image)[:2]
        self.region = None
        if shape == self._shape and len(self._boxes) and self._since_whole < self.every - 1:
            spec = self.detector.metadata.input
            self.region = region_around(self._boxes, (shape[1], shape[0]), (spec.width, spec.height))
        if self.region is None:
            found = self.detector(image, options.of_all_classes(), channel_order)
            self._since_whole = 0
        else:
            x_min, y_min, x_max, y_max = self.region
            part = self.detector(image[y_min:y_max, x_min:x_max], options.of_all_classes(), channel_order)
            found = part.shifted(x_min, y_min)
            self._since_whole += 1
        self._shape, self._boxes = shape, found.boxes
        return found[options.select(found)]


def region_around(
    boxes: np.ndarray, image_size: tuple[int, int], input_size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """The part of an image around all boxes [K, 4], K above 0, in the input's ratio; None for nearly all of it.

    Sizes are (width, height). Never smaller than the input, as far as the image reaches: enlarged pixels hold nothing
    new.
    """
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    room = MARGIN * float((boxes[:, 2:] - boxes[:, :2]).max())
    center, size = (low + high) / 2, high - low + 2 * room
    image, least = np.array(image_size), np.array(input_size)
    size = np.minimum(np.ceil(max(1.0, *(size / least).tolist()) * least), image)
    if (size > LARGEST_SHARE * image).all():
        return None
    start = np.clip(np.round(center - size / 2), 0, image - size).astype(int)
    end = start + size.astype(int)
    return int(start[0]), int(start[1]), int(end[0]), int(end[1])
