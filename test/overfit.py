"""Does every system learn? Trains configurations on a few rendered images until they know them by heart.

    python test/overfit.py config/nanodet_plus_four.yaml config/rtmdet_four.yaml

The network is that of the configuration (--small: narrow, with the same head, assigner, losses and codec); the images
are small. Printed are the loss before and after, and the mean corner error of what the robot's own decode finds. Exit
status 1 when a loss does not fall to half, a plate is missed or the error is a pixel or more.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nanodet_kp_core.config import TrainConfig, load_config
from nanodet_kp_core.config.describe import describe
from nanodet_kp_core.data.dataset import sample_targets
from nanodet_kp_core.geometry import BOX_CORNERS
from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.layout import CORNER_SIGNS
from nanodet_kp_core.loss.build import build_criterion
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.runtime.detection.decode import decode
from nanodet_kp_core.runtime.nms import nms
from nanodet_kp_core.synthetic.generator import render

SIZE = 128
PICTURES = 6
LIMIT_PX = 1.0


@dataclass(frozen=True)
class Result:
    """Losses: mean of the first and of the last ten steps. error_px: mean corner distance over all plates, infinite
    when one is missed. seconds: of the processor, all threads.
    """

    first_loss: float
    last_loss: float
    error_px: float
    plates: int
    seconds: float

    @property
    def passed(self) -> bool:
        return self.last_loss < 0.5 * self.first_loss and self.error_px < LIMIT_PX


def shrink(config: TrainConfig, width: int = 64) -> TrainConfig:
    """The same system with few channels and the smallest backbone."""
    small = config.model_copy(deep=True)
    arch = small.model.arch
    if arch.backbone.name == "ShuffleNetV2":
        arch.backbone.model_size = "0.5x"
    elif arch.backbone.name == "PlainNet":
        arch.backbone.channels, arch.backbone.blocks = (16, 32, 32, 48), (1, 1, 1, 1)
    else:
        arch.backbone.width_mult = 0.5
    arch.fpn.in_channels = None
    arch.fpn.out_channels = arch.head.input_channel = arch.head.feat_channels = width
    if arch.aux_head is not None:
        arch.aux_head.input_channel = 2 * width if arch.aux_head.own_fpn else width
        arch.aux_head.feat_channels = width
    return small


def pictures(count: int = PICTURES) -> list[Sample]:
    """Rendered images with plates that every codec can express."""
    found: list[Sample] = []
    seed = 0
    while len(found) < count:
        seed += 1
        sample = render(seed, (SIZE, SIZE), (28.0, 70.0))
        if len(sample.labels) and sample.number_known.all() and _upright(sample):
            found.append(sample)
    return found


def _upright(sample: Sample) -> bool:
    """Whether each corner lies well in its own quadrant, seen from the plate's center: the published codec reaches
    no other."""
    offset = sample.corners - sample.corners.mean(axis=1, keepdims=True)
    outward = offset.reshape(-1, 8) * np.asarray(CORNER_SIGNS)
    inside = (sample.corners > 0).all() and (sample.corners < SIZE - 1).all()
    return bool((outward > 5).all() and inside)


def overfit(config: TrainConfig, samples: list[Sample], steps: int = 600, lr: float = 0.004) -> Result:
    """Train the configured system on all samples at once, and look what it finds in them."""
    torch.manual_seed(config.seed)
    arch, start = config.model.arch, time.process_time()
    model = build_detector(arch, config.class_names).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    criterion = build_criterion(arch, config.class_names)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, fused=True)
    mean, std = (torch.tensor(value).reshape(1, 3, 1, 1) for value in config.data.train.pipeline.normalize)
    images = torch.from_numpy(np.stack([sample.image.transpose(2, 0, 1) for sample in samples])).float()
    images = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    targets = [sample_targets(sample) for sample in samples]
    losses = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 20) * (0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)
        raw, aux = model(images, return_aux=True)
        total, _ = criterion(raw, model.priors(SIZE, SIZE), targets, aux)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()
        losses.append(float(total.detach()))
    with torch.inference_mode():
        found = model.eval()(images).numpy()
    distances = [_distances(config, output, sample) for output, sample in zip(found, samples, strict=True)]
    return Result(
        first_loss=float(np.mean(losses[:10])),
        last_loss=float(np.mean(losses[-10:])),
        error_px=float(np.concatenate(distances).mean()),
        plates=sum(len(sample.labels) for sample in samples),
        seconds=time.process_time() - start,
    )


def _distances(config: TrainConfig, output: np.ndarray, sample: Sample) -> np.ndarray:
    """Mean corner distance of each plate to the nearest detection of its class; infinite without one."""
    metadata = describe(config, (SIZE, SIZE))
    candidates = decode(output, metadata, 0.3)
    kept = nms(candidates.boxes, candidates.scores, 0.5)
    corners = sample.corners if metadata.head.has_corners else sample.boxes[:, BOX_CORNERS].reshape(-1, 4, 2)
    gap = np.linalg.norm(candidates.corners[kept][None] - corners[:, None], axis=-1).mean(axis=-1)  # [G, K]
    gap[candidates.class_ids[kept][None] != sample.labels[:, None]] = np.inf
    return gap.min(axis=1, initial=np.inf)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--small", action="store_true", help="with few channels, as the tests do it")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    samples, failed = pictures(), 0
    print(f"{'configuration':24s} {'loss':>15s} {'plates':>7s} {'error px':>9s} {'seconds':>8s}")
    for path in args.config:
        config = load_config(path)
        result = overfit(shrink(config) if args.small else config, samples, args.steps)
        failed += not result.passed
        fall = f"{result.first_loss:.2f} -> {result.last_loss:.2f}"
        verdict = "PASS" if result.passed else "FAIL"
        row = f"{path.stem:24s} {fall:>15s} {result.plates:7d} {result.error_px:9.3f} {result.seconds:8.1f} {verdict}"
        print(row, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
