"""How a model is adapted: every number of it in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from nanodet_kp_core.train.crop_training import CropRecipe


@dataclass(frozen=True)
class SecondStage:
    """How the second stage is trained.

    steps, batch, rate, warmup: of AdamW. decay: of the averaged weights. own_share: share of own crops in a batch, the
    others are rendered. distill: weight of the distance to the start's answers on rendered crops. frozen:
    blocks of the network, counted from its input, that stay as they are. variants: times that
    an own image is looked at, each after the first under another warp and light. replay: rendered images; the crops of
    a share `calibrated` of them fit the scores. blends: shares of the way from the start to the trained weights; each
    is a candidate. time: share of the minutes for its steps.
    """

    steps: int = 1000
    batch: int = 128
    rate: float = 0.001
    warmup: int = 50
    decay: float = 0.99
    own_share: float = 0.5
    distill: float = 1.0
    frozen: int = 5
    variants: int = 6
    replay: int = 3500
    calibrated: float = 0.1
    blends: tuple[float, ...] = (0.5, 1.0)
    time: float = 0.35
    save_every: int = 50

    def crops(self, steps: int) -> CropRecipe:
        """The recipe of its training for so many steps; no crop is held out by share."""
        warmup = min(self.warmup, steps)
        return CropRecipe(steps, self.batch, self.rate, warmup=warmup, decay=self.decay, held_out=0)


@dataclass(frozen=True)
class DetectorStage:
    """How the detector is trained, where there is time: batch norm frozen, beside rendered images.

    rate: of AdamW for a batch. rendered: rendered images for one own image. decay: of the averaged weights. epochs: at
    most. blends: as in SecondStage. least: minutes below which the detector is left as it is. reserve: minutes that are
    kept for scoring.
    """

    rate: float = 0.0001
    batch: int = 16
    rendered: float = 2.0
    decay: float = 0.99
    epochs: int = 30
    blends: tuple[float, ...] = (0.5, 1.0)
    least: float = 3.0
    reserve: float = 2.0


@dataclass(frozen=True)
class Scoring:
    """How candidates are compared.

    judged: rendered images to compare on, fewer below `quick` minutes. tolerance: share of the rendered plates that a
    candidate may lose, in each figure of decide.judge. corner_tolerance: factor of the corner error on
    rendered plates that both find.
    """

    judged: int = 800
    quick: float = 5.0
    tolerance: float = 0.01
    corner_tolerance: float = 1.05


@dataclass(frozen=True)
class Recipe:
    """The whole. full_minutes: from this budget on the amounts are as they stand; below they shrink with it."""

    second: SecondStage = field(default_factory=SecondStage)
    detector: DetectorStage = field(default_factory=DetectorStage)
    scoring: Scoring = field(default_factory=Scoring)
    full_minutes: float = 15.0

    def replay(self, minutes: float) -> int:
        """Rendered images for a budget of minutes."""
        return max(20, round(self.second.replay * min(1.0, minutes / self.full_minutes)))

    def judged(self, minutes: float) -> int:
        """Rendered images to compare on for a budget of minutes."""
        wanted = self.scoring.judged
        return max(min(20, wanted), round(wanted * min(1.0, minutes / self.scoring.quick)))
