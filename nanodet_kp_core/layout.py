"""What the channels of the head mean: the one definition that model, loss, export and the numpy decode share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.classes import factors
from nanodet_kp_core.errors import ConfigError

CORNER_SIGNS = (-1, -1, -1, 1, 1, 1, 1, -1)
"""Unsigned codec: direction of x0, y0, .. x3, y3 away from the prior, corners in the order of geometry.CORNER_NAMES."""

CLASS_LAYOUTS = ("joint", "factored")
CORNER_CODECS = ("signed", "unsigned")


@dataclass(frozen=True)
class HeadLayout:
    """Channels of one prior: class logits, then 4 box distributions, then 8 corner distributions.

    class_layout:
        "joint": one logit per class; score = highest sigmoid (NanoDet-Plus).
        "factored": one logit per colour, then one per sticker; score = sigmoid of the best colour, the sticker is the
        best of a softmax. A plate whose number is hard to read keeps its score. Needs COLOUR_NUMBER classes.
    corner_codec:
        "unsigned": bins 0..reg_max strides in a fixed direction per coordinate, as published: a corner on the other
        side of the prior cannot be reached.
        "signed": bins -reg_max..reg_max strides, so that a corner may lie on any side.
    """

    class_names: tuple[str, ...]
    class_layout: str = "joint"
    reg_max: int = 7
    corner_codec: str = "signed"

    def __post_init__(self) -> None:
        if self.class_layout not in CLASS_LAYOUTS:
            raise ConfigError(f"class_layout: expected one of {CLASS_LAYOUTS}, got {self.class_layout!r}")
        if self.corner_codec not in CORNER_CODECS:
            raise ConfigError(f"corner_codec: expected one of {CORNER_CODECS}, got {self.corner_codec!r}")
        if self.class_layout == "factored" and factors(self.class_names) is None:
            raise ConfigError(
                "class_layout: 'factored' needs class names that are every COLOUR_NUMBER pair, colour by colour "
                f"(B_G, B_1, ...), got {list(self.class_names)[:4]}...; use 'joint'"
            )

    @property
    def num_colors(self) -> int:
        """Colour logits of the factored layout; 0 in the joint one."""
        pair = factors(self.class_names) if self.class_layout == "factored" else None
        return len(pair[0]) if pair else 0

    @property
    def num_numbers(self) -> int:
        """Sticker logits of the factored layout; 0 in the joint one."""
        pair = factors(self.class_names) if self.class_layout == "factored" else None
        return len(pair[1]) if pair else 0

    @property
    def num_scores(self) -> int:
        """Leading channels that are a score (QFL): colours of the factored layout, else all classes."""
        return self.num_colors or len(self.class_names)

    @property
    def num_logits(self) -> int:
        """Class channels in all."""
        return self.num_scores + self.num_numbers

    @property
    def box_bins(self) -> int:
        return self.reg_max + 1

    @property
    def corner_bins(self) -> int:
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
        """Bin positions [box_bins] in strides: 0..reg_max."""
        return np.arange(self.box_bins, dtype=np.float32)

    def corner_positions(self) -> np.ndarray:
        """Bin positions [corner_bins] in strides: 0..reg_max (unsigned) or -reg_max..reg_max (signed)."""
        low = 0 if self.corner_codec == "unsigned" else -self.reg_max
        return np.arange(low, self.reg_max + 1, dtype=np.float32)

    def corner_signs(self) -> np.ndarray:
        """Factor [8] of each decoded corner distance: coordinate = prior + sign * distance * stride."""
        signs = CORNER_SIGNS if self.corner_codec == "unsigned" else (1,) * 8
        return np.asarray(signs, dtype=np.float32)
