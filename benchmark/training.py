"""Training speed in one run: label assignment against the published algorithm, and a step of several configurations.

    python benchmark/training.py                        # both parts
    python benchmark/training.py assigner --plates 5 20 60
    python benchmark/training.py step --config config/nanodet_plus_m_four.yaml config/nanodet_plus_four.yaml

Assigner: ours on a batch of 8, by the published and by our own rules, against both versions of
benchmark/published_assigner.py on the same predictions: all pairs of an image in one table and a loop over the plates
for their cheapest candidates, as published, and everything plate by plate. The ratios are to the first and the second.
It stops when the assignments by the published rules differ. A turn is as many calls in a row as take 20 ms, at least
one, and their mean. Step: forward, loss, backward and optimizer on one batch that all configurations share; the first
one is what the others are compared with. All take turns; medians of the processor time of this process (with --threads
1, the default) or of the wall clock (more threads). The spread is from the 10th to the 90th percentile. Compare within
one run only.
"""

from __future__ import annotations

import argparse
import runpy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from published_assigner import assign_image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.assign.dsla import DynamicSoftLabelAssigner
from nanodet_kp_core.assign.targets import GroundTruths, Matches, Targets, center_distance
from nanodet_kp_core.command import open_door
from nanodet_kp_core.config import load_config
from nanodet_kp_core.errors import NanodetKpError
from nanodet_kp_core.geometry import BOX_CORNERS
from nanodet_kp_core.loss.build import build_criterion
from nanodet_kp_core.model.build import build_detector
from nanodet_kp_core.model.codec import prior_tensor
from nanodet_kp_core.train.schedule import build_optimizer

SIZE, STRIDES, NUM_CLASSES = 416, (8, 16, 32, 64), 36
GRAD_CLIP = 35.0
TURN = 0.02
"""Seconds that an assigner is called for before the next one's turn comes."""
CONFIGS = ("config/nanodet_plus_m_four.yaml", "config/nanodet_plus_four.yaml", "config/armor_s.yaml")


@dataclass(frozen=True)
class Scene:
    """Predictions of half-trained networks: logits [N, P, C], boxes [N, P, 4], corners [N, P, 8]; and their targets."""

    priors: Tensor
    targets: list[Targets]
    logits: Tensor
    boxes: Tensor
    corners: Tensor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("assigner", "step"), help="only this part")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plates", type=int, nargs="+", default=[5, 20, 60], help="plates an image, assigner's part")
    parser.add_argument("--config", nargs="+", default=list(CONFIGS), help="configurations, step's part")
    parser.add_argument("--rounds", type=int, default=20, help="turns of the assigners (default %(default)s)")
    parser.add_argument(
        "--original", type=Path, help="Python file with a class Training of another implementation, see class Training"
    )
    parser.add_argument("--steps", type=int, default=5, help="turns of the steps (default %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    if args.part != "step":
        print(
            f"assigner, ms for a batch of {args.batch}, {SIZE}x{SIZE}, {NUM_CLASSES} classes, {args.threads} thread(s)"
        )
        print("plates  published         plate by plate        ours, same rules      ratios       own rules    ratios")
        for plates in args.plates:
            compare_assigners(args.batch, plates, args.rounds, clock)
    if args.part != "assigner":
        print(f"step, s for a batch of {args.batch} at {SIZE}x{SIZE} with 6 plates each, {args.threads} thread(s)")
        trainings = {Path(path).name: Training(path) for path in args.config}
        if args.original:
            trainings["original"] = runpy.run_path(str(args.original))["Training"]()
        compare_steps(trainings, args.batch, args.steps, clock)
    return 0


def compare_assigners(batch: int, plates: int, rounds: int, clock: Callable[[], float]) -> None:
    """One line of the table. Raises NanodetKpError when the assignments by the published rules differ."""
    scene = make_scene(batch, plates)
    same_rules = DynamicSoftLabelAssigner(corner_cost="published", inside_own_gt=False)
    own_rules = DynamicSoftLabelAssigner(corner_cost="normalised")
    runs = (
        lambda: published(scene, plate_by_plate=False),
        lambda: published(scene, plate_by_plate=True),
        lambda: ours(scene, same_rules),
        lambda: ours(scene, own_rules),
    )
    same = ours(scene, same_rules)
    for run in runs[:2]:
        check_equal(scene, run(), same)
    times = np.zeros((rounds, len(runs)))
    for turn in range(rounds):
        for k, run in enumerate(runs):
            times[turn, k] = 1e3 * mean_time(run, clock)
    median, spread = np.median(times, axis=0), np.quantile(times, (0.1, 0.9), axis=0)
    columns = [f"{median[k]:7.2f} ({spread[0, k]:.2f}..{spread[1, k]:.2f})" for k in range(len(runs))]
    ratios = [f"{median[0] / median[k]:5.1f} {median[1] / median[k]:5.1f}" for k in (2, 3)]
    print(f"{plates:6d}  {columns[0]}  {columns[1]}  {columns[2]}  {ratios[0]}  {columns[3]}  {ratios[1]}")


def mean_time(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds a call, of as many calls in a row as TURN seconds take, at least one."""
    start, calls = clock(), 0
    while not calls or clock() - start < TURN:
        run()
        calls += 1
    return (clock() - start) / calls


def published(scene: Scene, plate_by_plate: bool) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Assignment of every image, one after the other."""
    return [
        assign_image(
            scene.logits[i],
            scene.priors,
            scene.boxes[i],
            scene.corners[i],
            target.boxes,
            target.labels,
            target.corners.flatten(1),
            plate_by_plate,
        )
        for i, target in enumerate(scene.targets)
    ]


@torch.no_grad()
def ours(scene: Scene, assigner: DynamicSoftLabelAssigner) -> Matches:
    """The whole batch at once, the joining of its ground truths included."""
    gts = GroundTruths.join(scene.targets)
    found = assigner.candidates(scene.priors, gts)
    return assigner.match(found, gts, *(found.gather(values) for values in (scene.logits, scene.boxes, scene.corners)))


def check_equal(scene: Scene, expected: list[tuple[Tensor, Tensor, Tensor]], found: Matches) -> None:
    """Raises NanodetKpError unless both chose the same ground truth for every prior, with the same IoU."""
    counts = torch.tensor([len(target.boxes) for target in scene.targets])
    first = counts.cumsum(0) - counts
    gt_index = torch.zeros(scene.logits.shape[:2], dtype=torch.long)
    gt_index[found.image, found.prior] = found.gt - first[found.image] + 1
    wanted = torch.stack([gt for gt, _, _ in expected])
    ious = torch.stack([iou for _, _, iou in expected])[found.image, found.prior]
    differ = int((gt_index != wanted).sum())
    if differ or not torch.allclose(ious, found.iou, atol=1e-5):
        raise NanodetKpError(f"assigner: expected the published assignment, got another at {differ} priors")


def make_scene(batch: int, plates: int) -> Scene:
    """Random plates 30 to 105 px wide; every prior predicts the nearest one, some pixels off."""
    generator = torch.Generator().manual_seed(plates)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    priors = prior_tensor(SIZE, SIZE, STRIDES)
    targets, nearest = [], []
    for _ in range(batch):
        width = 30 + 75 * uniform(plates, 1)
        half = torch.cat((width, width * (0.5 + 0.35 * uniform(plates, 1))), dim=1) / 2
        center = SIZE * uniform(plates, 2)
        boxes = torch.cat((center - half, center + half), dim=1).clamp(0, SIZE)
        corners = (boxes[:, list(BOX_CORNERS)] + 2 * uniform(plates, 8) - 1).unflatten(1, (4, 2))
        labels = torch.randint(NUM_CLASSES, (plates,), generator=generator)
        known = torch.ones(plates, dtype=torch.bool)
        targets.append(Targets(boxes, labels, corners, known[:, None].expand(-1, 4), known, torch.zeros(0, 4)))
        nearest.append(center_distance(boxes, priors[:, :2]).argmin(dim=0))
    logits = uniform(batch, len(priors), NUM_CLASSES) - 4
    for i, (target, gt) in enumerate(zip(targets, nearest)):
        logits[i, torch.arange(len(priors)), target.labels[gt]] += 3 * uniform(len(priors))
    boxes = torch.stack([target.boxes[gt] for target, gt in zip(targets, nearest)])
    corners = torch.stack([target.corners.flatten(1)[gt] for target, gt in zip(targets, nearest)])
    return Scene(
        priors,
        targets,
        logits,
        boxes + 8 * uniform(*boxes.shape) - 4,
        corners + 8 * uniform(*corners.shape) - 4,
    )


def compare_steps(trainings: dict[str, Training], batch: int, steps: int, clock: Callable[[], float]) -> None:
    """A line a training: forward, loss, backward, optimizer and their sum, and the ratio to the first one's."""
    torch.manual_seed(0)
    images, targets = torch.randn(batch, 3, SIZE, SIZE), make_scene(batch, 6).targets
    times: dict[str, list[list[float]]] = {name: [] for name in trainings}
    for turn in range(steps + 1):
        for name, training in trainings.items():
            measured = training.step(images, targets, clock)
            if turn:  # the first one warms up
                times[name].append(measured)
    reference = float(np.median(np.sum(next(iter(times.values())), axis=1)))
    print(f"{'configuration':28s} forward    loss  backward  optimizer    step  (spread)        times faster")
    for name, rows in times.items():
        columns = " ".join(f"{value:8.3f}" for value in np.median(rows, axis=0))
        whole = np.sum(rows, axis=1)
        low, high = np.quantile(whole, (0.1, 0.9))
        median = float(np.median(whole))
        print(f"{name:28s} {columns} {median:9.3f}  ({low:.3f}..{high:.3f}) {reference / median:10.2f}")


class Training:
    """What one training step needs, as the training loop has it.

    --original names a file with a class of the same name and step(), made without arguments.
    """

    def __init__(self, path: str) -> None:
        config = load_config(path)
        arch = config.model.arch
        torch.manual_seed(0)
        model = build_detector(arch, config.class_names).train()
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.criterion = build_criterion(arch, config.class_names)
        self.optimizer = build_optimizer(self.model, config.schedule)

    def step(self, images: Tensor, targets: list[Targets], clock: Callable[[], float]) -> list[float]:
        """Seconds of forward, loss, backward and optimizer (with the clipping of gradients)."""
        images = images.contiguous(memory_format=torch.channels_last)
        moments = [clock()]
        raw, aux = self.model(images, return_aux=True)
        moments.append(clock())
        total, _ = self.criterion(raw, self.model.priors(*images.shape[-2:]), targets, aux)
        moments.append(clock())
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        moments.append(clock())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRAD_CLIP)
        self.optimizer.step()
        moments.append(clock())
        return np.diff(moments).tolist()


if __name__ == "__main__":
    open_door(main)
