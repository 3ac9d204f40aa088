"""What the channels of the head mean: the one definition that model, loss, export and the numpy decode share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.classes import class_factors
from nanodet_kp_core.errors import ConfigError, shown

CORNER_SIGNS = (-1, -1, -1, 1, 1, 1, 1, -1)
"""Unsigned codec: direction of x0, y0, .. x3, y3 away from the prior, corners in the order of geometry.CORNER_NAMES."""

CLASS_LAYOUTS = ("joint", "factored")
CORNER_CODECS = ("signed", "unsigned", "none")
REGRESSIONS = ("distribution", "direct")
PRIOR_OFFSETS = (0.0, 0.5)

MAX_COUNT = 1 << 16
"""Of every size and number that a file claims: a file must not take the memory of the robot."""

DIRECT_REACH = 3000.0
"""Direct regression: no box side and no corner lies farther from its prior than this, in strides: nothing overflows."""


@dataclass(frozen=True)
class HeadLayout:
    """Channels of one prior: class logits, then 4 box sides, then 8 corner coordinates.

    class_layout:
        "joint": one logit per class; score = highest sigmoid (NanoDet-Plus).
        "factored": one logit per color, then one per sticker; score = sigmoid of the best color, the sticker is the
        best of a softmax. A plate whose number is hard to read keeps its score. Names that are no COLOR_NUMBER pairs
        have one score, that of a target, and take the place of the stickers.
    reg_max: last bin of a distribution, in strides; unused by direct regression.
    corner_codec:
        "unsigned": bins 0..reg_max strides in a fixed direction per coordinate, as published: a corner on the other
        side of the prior cannot be reached.
        "signed": bins -reg_max..reg_max strides, so that a corner may lie on any side.
        "none": no corner channels; the corners are those of the box.
    regression:
        "distribution": a softmax over bins per coordinate; the distance is its mean (GFL, NanoDet).
        "direct": one channel x per coordinate; a box side is exp(x) strides from the prior (RTMDet), a corner
        coordinate x strides, signed.
    prior_offset: where in its cell a prior lies, in strides: 0.0 at the left-top (NanoDet-Plus, RTMDet), 0.5 in the
        center (the first NanoDet).
    """

    class_names: tuple[str, ...]
    class_layout: str = "joint"
    reg_max: int = 7
    corner_codec: str = "signed"
    regression: str = "distribution"
    prior_offset: float = 0.0

    def __post_init__(self) -> None:
        names = self.class_names
        if not names or not all(isinstance(name, str) and name for name in names):
            raise _wrong("class_names", "a list of at least one non-empty name", list(names))
        if len(set(names)) != len(names):
            raise _wrong("class_names", "names that occur once", list(names))
        problem = count_problem(self.reg_max)
        if problem is not None:
            raise _wrong("reg_max", problem, self.reg_max)
        _check("class_layout", self.class_layout, CLASS_LAYOUTS)
        _check("corner_codec", self.corner_codec, CORNER_CODECS)
        _check("regression", self.regression, REGRESSIONS)
        _check("prior_offset", self.prior_offset, PRIOR_OFFSETS)
        if self.is_direct and self.corner_codec == "unsigned":
            raise ConfigError("corner_codec: expected 'signed' or 'none' for direct regression, got 'unsigned'")

    @property
    def is_direct(self) -> bool:
        """One channel per coordinate instead of a distribution."""
        return self.regression == "direct"

    @property
    def has_corners(self) -> bool:
        """Whether corners are predicted apart from the box."""
        return self.corner_codec != "none"

    @property
    def num_colors(self) -> int:
        """Color logits of the factored layout, 1 where the names are no pairs; 0 in the joint one."""
        return len(class_factors(self.class_names)[0]) if self.class_layout == "factored" else 0

    @property
    def num_numbers(self) -> int:
        """Sticker logits of the factored layout; 0 in the joint one."""
        return len(class_factors(self.class_names)[1]) if self.class_layout == "factored" else 0

    @property
    def num_scores(self) -> int:
        """Leading channels that are a score (QFL): colors of the factored layout, else all classes."""
        return self.num_colors or len(self.class_names)

    @property
    def num_logits(self) -> int:
        """Class channels in all."""
        return self.num_scores + self.num_numbers

    @property
    def box_bins(self) -> int:
        """Channels of one box side."""
        return 1 if self.is_direct else self.reg_max + 1

    @property
    def corner_bins(self) -> int:
        """Channels of one corner coordinate; 0 without corners."""
        if not self.has_corners:
            return 0
        if self.is_direct:
            return 1
        return self.reg_max + 1 if self.corner_codec == "unsigned" else 2 * self.reg_max + 1

    @property
    def num_channels(self) -> int:
        return self.num_logits + 4 * self.box_bins + 8 * self.corner_bins

    @property
    def box_slice(self) -> slice:
        return slice(self.num_logits, self.num_logits + 4 * self.box_bins)

    @property
    def corner_slice(self) -> slice:
        return slice(self.num_logits + 4 * self.box_bins, self.num_channels)

    def box_positions(self) -> np.ndarray:
        """Bin positions [reg_max + 1] of a distribution, in strides: 0..reg_max."""
        return np.arange(self.reg_max + 1, dtype=np.float32)

    def corner_positions(self) -> np.ndarray:
        """Bin positions of a distribution, in strides: 0..reg_max (unsigned), else -reg_max..reg_max."""
        low = 0 if self.corner_codec == "unsigned" else -self.reg_max
        return np.arange(low, self.reg_max + 1, dtype=np.float32)

    def corner_signs(self) -> np.ndarray:
        """Factor [8] of each decoded corner distance: coordinate = prior + sign * distance * stride."""
        signs = CORNER_SIGNS if self.corner_codec == "unsigned" else (1,) * 8
        return np.asarray(signs, dtype=np.float32)


def _check(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise _wrong(name, f"one of {choices}", value)


def _wrong(name: str, expected: str, got: object) -> ConfigError:
    return ConfigError(f"{name}: expected {expected}, got {shown(got)}")


def count_problem(value: object) -> str | None:
    """What was expected instead of `value`, which must be a whole number of 1 to MAX_COUNT; None when it is one."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        return "a whole number of at least 1"
    return f"a whole number of at most {MAX_COUNT}" if value > MAX_COUNT else None
