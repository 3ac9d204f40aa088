"""The last look: each bar of a plate alone, upright and large, for where exactly it ends.

In the refiner's crop a bar is 16 pixels long, whatever the camera has of it. A corner is the end of a bar, and nothing
far from the bar helps to find it: so a second, smaller image with the bar alone shows more in the same time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nanodet_kp_core.errors import ModelError
from nanodet_kp_core.runtime.models.json_entry import JsonEntry
from nanodet_kp_core.runtime.refinement.crop_network import CropNetwork
from nanodet_kp_core.runtime.refinement.crops import (
    BAR_ENDS,
    BAR_SIZE,
    are_usable,
    bar_transforms,
    corners_of,
    cut,
    ends_of,
    to_image,
)

BARS_KEY = "nanodet_kp_bars"
"""Key in the ONNX `metadata_props` that holds the JSON text of BarsMetadata."""

_ENTRY = JsonEntry("bars", version=1)

END_SCALE = 4.0
"""Crop pixels of an output of 1."""

MOVED = 0.5
"""Crop pixels. A bar of which the first look moves an end by less is not looked at again: that leaves out a quarter of
the second looks, and the median error of a corner grows by a hundredth."""

AGREED = 1.0
"""Crop pixels. A second look that moves an end farther contradicts the first, which then counts."""

NUM_VALUES = 4
"""x and y of the upper end, then of the lower one, minus BAR_ENDS, over END_SCALE."""


@dataclass(frozen=True)
class BarsMetadata:
    """What the file says about itself.

    run_id: of the training.
    """

    run_id: str = ""

    def to_json(self) -> str:
        """The text for `metadata_props`."""
        return _ENTRY.write({"patch": BAR_SIZE, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> BarsMetadata:
        """Raises ModelError, see JsonEntry.read."""
        values = _ENTRY.read(text, ("patch", "run_id"), {})
        _ENTRY.check_constant("patch", values["patch"], BAR_SIZE)
        if not isinstance(values["run_id"], str):
            raise _ENTRY.wrong("run_id", "a text", values["run_id"])
        return cls(values["run_id"])


class Bars:
    """Corrects corners by looking at the bars; one thread at a time. network: of the crops. data: see CropNetwork.

    Raises ModelError when the file is missing, is another network, or its tensors are not those of one.
    """

    def __init__(self, path: str | Path, data: bytes | None = None) -> None:
        self.network = CropNetwork(path, BARS_KEY, BAR_SIZE, data)
        try:
            self.metadata = BarsMetadata.from_json(self.network.text)
        except ModelError as error:
            raise ModelError(f"model {path}: {error}") from None
        self.network.check(NUM_VALUES)

    @property
    def path(self) -> Path:
        """The file that was loaded."""
        return self.network.path

    def __call__(
        self, image: np.ndarray, corners: np.ndarray, channel_order: str = "bgr", halved: np.ndarray | None = None
    ) -> np.ndarray:
        """Corners float32 [K, 4, 2] of usable quadrilaterals, corrected; where that breaks one, as they were.

        Args:
            image: uint8 [height, width, 3], or [height, width] for "mono".
            halved: the image at half its size, see crops.cut.
        """
        if not len(corners):
            return corners
        with np.errstate(invalid="ignore", over="ignore"):  # infinite ends are not usable
            ends, moved = self._look(image, ends_of(corners), channel_order, halved)
            again = np.flatnonzero(moved >= MOVED)
            if len(again):
                better, moved = self._look(image, ends[again], channel_order, halved)
                ends[again] = np.where((moved < AGREED)[:, None, None], better, ends[again])
            found = corners_of(ends).astype(np.float32)
            return np.where(are_usable(found)[:, None, None], found, corners)

    def _look(
        self, image: np.ndarray, ends: np.ndarray, channel_order: str, halved: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where bars with ends [N, 2, 2] end, float64 [N, 2, 2], and by how many crop pixels an end moved, [N]."""
        transforms = bar_transforms(ends)
        values = self.network(cut(image, transforms, BAR_SIZE, halved), channel_order)
        offsets = END_SCALE * values.reshape(-1, 2, 2)
        return to_image(BAR_ENDS + offsets, transforms), np.abs(offsets.reshape(-1, 4)).max(axis=1)
