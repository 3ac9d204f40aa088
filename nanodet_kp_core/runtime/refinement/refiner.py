"""The second stage: a small network that looks at each proposal of the detector again, upright and at the resolution of
the camera. It says whether that is a plate, of which color and number, and where exactly its corners are.

The detector sees a reduced image, and a corner there is a guess from a wide view; two plates whose inner bars look
like a third are told apart only close by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nanodet_kp_core.classes import UNLIT, brief, class_factors
from nanodet_kp_core.errors import ModelError, shown
from nanodet_kp_core.geometry import diagonals
from nanodet_kp_core.numerics import finite_logit, sigmoid
from nanodet_kp_core.runtime.models.json_entry import JsonEntry, field_defaults, field_names
from nanodet_kp_core.runtime.models.metadata import is_file_name
from nanodet_kp_core.runtime.refinement.bars import Bars
from nanodet_kp_core.runtime.refinement.crop_network import CropNetwork
from nanodet_kp_core.runtime.refinement.crops import (
    CROP_CORNERS,
    CROP_SIZE,
    are_usable,
    cut,
    plate_transforms,
    to_image,
)

REFINER_KEY = "nanodet_kp_reader"
"""Key in the ONNX `metadata_props` that holds the JSON text of RefinerMetadata."""

_ENTRY = JsonEntry("refiner", version=2)  # 1: crops cut with perspective

_RANGES = (
    ("proposal_score", 0, 1), ("detector_weight", 0, 10), ("offset", -100, 100), ("scout_score", 0, 1),
    ("number_temperature", 0.01, 100), ("unlit_offset", -100, 100), ("size_weight", -10, 10),
)  # fmt: skip

USUAL_SIZE = 64.0
"""Diagonal in pixels of a plate to whose score `size_weight` adds nothing."""

CORNER_SCALE = 4.0
"""Crop pixels of a corner output of 1."""

MOST_PROPOSALS = 16
"""Of the network, best first. With those of the scout they bound the refiner's time."""


@dataclass(frozen=True)
class RefinerMetadata:
    """What a refiner says about itself.

    class_names: as the detector's. Where they are every COLOR_NUMBER pair, color by color, the network gives logits
        of colors and of numbers; any other names are the numbers of one color (classes.class_factors).
    proposal_score: detections of the first stage from this score on are looked at again, in 0..1.
    detector_weight, offset: the final logit is the refiner's, plus detector_weight times the detector's, plus offset.
        The detector has seen more of the surroundings; the offset makes 0.5 the threshold to use.
    number_temperature: divides the logits of the numbers, so that their softmax says how often a number is right.
    run_id: of the training.
    bars: file name of the last look (runtime.refinement.bars), which lies in the same folder; "" without one.
    scout_score: stands for the detector's score of what only the scout (runtime.refinement.scout) proposes, in 0..1.
    unlit_offset: added to the final logit of plates whose lights are off (color N). Among rendered images they are
        more frequent than on a field.
    size_weight: added to the final logit for each factor e by which the plate's diagonal is longer than 64 pixels. A
        small plate shows little of itself and gets a low logit; a negative weight makes up for that.
    light_bars: whether the left and right sides of a target are lit bars, as those of armor plates: only then the scout
        proposes pairs of bars, and the rules of runtime.refinement.bar_rules hold.
    Raises ModelError for other values.
    """

    class_names: tuple[str, ...]
    proposal_score: float
    detector_weight: float = 0.0
    offset: float = 0.0
    run_id: str = ""
    bars: str = ""
    number_temperature: float = 1.0
    scout_score: float = 0.3
    unlit_offset: float = 0.0
    size_weight: float = 0.0
    light_bars: bool = True

    def __post_init__(self) -> None:
        texts = all(isinstance(name, str) and name for name in self.class_names)
        if not texts or not 0 < len(set(self.class_names)) == len(self.class_names):
            raise ModelError(f"refiner: class_names: expected different names, got {shown(self.class_names[:4])}")
        if not isinstance(self.light_bars, bool):
            raise ModelError(f"refiner: light_bars: expected true or false, got {shown(self.light_bars)}")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
                raise ModelError(f"refiner: {name}: expected a number in {low}..{high}, got {shown(value)}")
        if not isinstance(self.run_id, str):
            raise ModelError(f"refiner: run_id: expected a text, got {shown(self.run_id)}")
        if not is_file_name(self.bars):
            raise ModelError(f"refiner: bars: expected the name of a file in the same folder, got {shown(self.bars)}")

    def to_json(self) -> str:
        """The text for `metadata_props`."""
        return _ENTRY.write({"patch": CROP_SIZE, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> RefinerMetadata:
        """Raises ModelError, see JsonEntry.read; a key that an older file lacks has its default."""
        values = _ENTRY.read(text, ("patch", *field_names(cls)), field_defaults(cls))
        _ENTRY.check_constant("patch", values.pop("patch"), CROP_SIZE)
        values["class_names"] = _ENTRY.as_tuple("class_names", values["class_names"])
        return cls(**values)


@dataclass(frozen=True)
class Refinements:
    """What the refiner makes of K proposals: scores float32 [K] in 0..1 that each is a plate, class_ids int64 [K],
    corners float32 [K, 4, 2] in pixels of the image, number_logits float32 [K, numbers]. proposed: float32 [K], the
    detector's scores. moved: float32 [K], how far the corners are from the proposed ones, the mean of the four in
    pixels of the crop."""

    scores: np.ndarray
    class_ids: np.ndarray
    corners: np.ndarray
    proposed: np.ndarray
    number_logits: np.ndarray
    moved: np.ndarray

    def part(self, chosen: np.ndarray) -> Refinements:
        """Those with the indices `chosen`."""
        return Refinements(*(rows[chosen] for rows in vars(self).values()))

    def replace(self, chosen: np.ndarray, others: Refinements) -> None:
        """Put others where the indices `chosen` say."""
        for name, rows in vars(self).items():
            rows[chosen] = getattr(others, name)


class Refiner:
    """Reads proposals; one thread at a time.

    network: of the crops. bars: the last look at what was found; None where the metadata name none.
    inside: files that the detector's file keeps, by name; a file that is there is not looked for in the folder.
    Raises ModelError when a file is missing, is no refiner, or its tensors are not those of one.
    """

    def __init__(self, path: str | Path, inside: Mapping[str, bytes] | None = None) -> None:
        inside = inside or {}
        self.network = CropNetwork(path, REFINER_KEY, CROP_SIZE, inside.get(Path(path).name))
        try:
            self.metadata = RefinerMetadata.from_json(self.network.text)
        except ModelError as error:
            raise ModelError(f"model {path}: {error}") from None
        pair = class_factors(self.metadata.class_names)
        self._colors, self._numbers = len(pair[0]), len(pair[1])
        self._unlit = pair[0].index(UNLIT) if UNLIT in pair[0] else -1
        self.network.check(1 + self._colors + self._numbers + 8)  # plate, colors, numbers, corners
        self.bars: Bars | None = None
        if self.metadata.bars:
            self.bars = Bars(self.path.parent / self.metadata.bars, inside.get(self.metadata.bars))

    @property
    def path(self) -> Path:
        """The file that was loaded."""
        return self.network.path

    def check_classes(self, detector: Path, class_names: Sequence[str]) -> None:
        """Raises ModelError when it reads other classes than those of the detector, the file `detector`."""
        own = self.metadata.class_names
        if own != tuple(class_names):
            raise ModelError(
                f"model {self.path}: expected a second stage for the classes of {detector} ({brief(class_names)}), got "
                f"one for {brief(own)}; train one for them with nanodet-kp train-refiner, or leave the second stage out"
            )

    def colors(self, class_ids: np.ndarray) -> np.ndarray:
        """The colors of classes [K], int64 [K]: two of the same color are equal."""
        return np.asarray(class_ids // self._numbers)

    def are_unlit(self, class_ids: np.ndarray) -> np.ndarray:
        """Which classes [K] are plates with their lights off, bool [K]."""
        return np.asarray(self.colors(class_ids) == self._unlit)

    def __call__(
        self,
        image: np.ndarray,
        corners: np.ndarray,
        proposed: np.ndarray,
        channel_order: str = "bgr",
        halved: np.ndarray | None = None,
    ) -> Refinements:
        """Read the proposals of an image.

        Args:
            image: uint8 [height, width, 3], or [height, width] for "mono".
            corners: float32 [K, 4, 2], pixels of the image. Proposals that cannot be turned upright score 0.
            proposed: float32 [K], the detector's scores in 0..1.
            halved: the image at half its size, see crops.cut.
        """
        usable = are_usable(corners)
        upright = np.where(usable[:, None, None], corners, CROP_CORNERS)  # the others are looked at in vain
        transforms = plate_transforms(upright)
        values = self.network(cut(image, transforms, CROP_SIZE, halved), channel_order)
        found = read_values(values, self._colors, self._numbers)
        refined = to_image(found.corners, transforms).astype(np.float32)
        usable &= are_usable(refined)
        logits = found.logits + self.metadata.detector_weight * finite_logit(proposed) + self.metadata.offset
        logits += self.metadata.size_weight * log_sizes(refined)
        logits += self.metadata.unlit_offset * self.are_unlit(found.class_ids)
        return Refinements(
            scores=np.where(usable, sigmoid(logits), 0).astype(np.float32),
            class_ids=found.class_ids,
            corners=np.where(usable[:, None, None], refined, corners),
            proposed=proposed,
            number_logits=found.number_logits,
            moved=np.hypot(*(found.corners - CROP_CORNERS).transpose(2, 0, 1)).mean(axis=1),
        )


def log_sizes(corners: np.ndarray) -> np.ndarray:
    """What `size_weight` is a factor of, [K]: the logarithm of the diagonal of corners [K, 4, 2] over USUAL_SIZE."""
    return np.asarray(np.log(np.maximum(diagonals(corners), 1) / USUAL_SIZE))


@dataclass(frozen=True)
class Values:
    """The network's output in words: logits float64 [K], class_ids int64 [K], corners [K, 4, 2] of the crop,
    number_logits float32 [K, numbers]."""

    logits: np.ndarray
    class_ids: np.ndarray
    corners: np.ndarray
    number_logits: np.ndarray


def read_values(values: np.ndarray, colors: int, numbers: int) -> Values:
    """What the network's output [K, 1 + colors + numbers + 8] says."""
    color = values[:, 1 : 1 + colors].argmax(axis=1)
    number_logits = values[:, 1 + colors : 1 + colors + numbers]
    class_ids = (color * numbers + number_logits.argmax(axis=1)).astype(np.int64)
    corners = CROP_CORNERS + CORNER_SCALE * values[:, 1 + colors + numbers :].reshape(-1, 4, 2)
    return Values(values[:, 0].astype(np.float64), class_ids, corners, number_logits)


def number_scores(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Float32 [K] in 0..1: the softmax of each row's best logit, logits [K, numbers]; 0 where they are no numbers."""
    with np.errstate(invalid="ignore", over="ignore"):  # a broken network may say anything
        below = (logits - logits.max(axis=1, keepdims=True)) / temperature
        scores = 1 / np.exp(below).sum(axis=1)
    return np.where(np.isfinite(scores), scores, 0).astype(np.float32)
