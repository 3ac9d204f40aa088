"""What all steps of an adaptation share: the start, the own images in their two parts, and the scorer."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from zlib import crc32

from tqdm import tqdm

from nanodet_kp_core.adapt.coverage import missing, warning
from nanodet_kp_core.adapt.journal import Journal
from nanodet_kp_core.adapt.plan import Plan, check_own, fingerprint, read_own, split_own
from nanodet_kp_core.adapt.recipe import Recipe
from nanodet_kp_core.adapt.sources import Split
from nanodet_kp_core.adapt.start import Start, load_start, rendered_size
from nanodet_kp_core.errors import TrainingError
from nanodet_kp_core.evaluate.standing import Standing, kept_predictions
from nanodet_kp_core.labels import read_records
from nanodet_kp_core.labels.sample import Record
from nanodet_kp_core.synthetic.dataset import RenderOptions, render_dataset

log = logging.getLogger(__name__)

RENDERED_SEED = 930_000_000
"""Of the rendered images that judge; those of the replay are others."""


class Adaptation:
    """What all steps share."""

    def __init__(self, plan: Plan, recipe: Recipe) -> None:
        self.plan, self.recipe = plan, recipe
        self.work = plan.out / "work"
        self.start: Start = load_start(plan.start)
        own, validation = read_own(plan, self.start.class_names)
        model = crc32(self.start.model.read_bytes() + self.start.refiner.read_bytes())
        begun_with = {
            "labels": [fingerprint(own), fingerprint(validation)],
            "start": f"{self.start.model.name} {model:08x}",
            "minutes": plan.minutes, "seed": plan.seed, "recipe": asdict(recipe),
        }  # fmt: skip
        if plan.out.exists() and not self.work.exists() and any(plan.out.iterdir()):
            raise TrainingError(f"{plan.out}: expected an empty or new folder, got one with files; change --out")
        self.journal = Journal(self.work / "journal.json", begun_with)
        for line in self.journal.once("checked", lambda: check_own(plan, self.start.class_names)):
            log.info("%s", line)
        self.split = self._split(own, validation)
        self.own = own
        self.judged = self._rendered()

    def _split(self, own: list[Record], validation: list[Record]) -> Split:
        def make() -> dict[str, object]:
            made = split_own(own, validation)
            names = [record.name for record in made.train], [record.name for record in made.validation]
            return {"train": names[0], "validation": names[1], "source_of": made.source_of, "how": made.how}

        kept = self.journal.once("split", make)
        of_train = {record.name: record for record in own}
        of_validation = {record.name: record for record in validation} or of_train
        split = Split(
            [of_train[name] for name in kept["train"]], [of_validation[name] for name in kept["validation"]],
            kept["source_of"], kept["how"],
        )  # fmt: skip
        log.info("split: %d training and %d validation images: %s", len(split.train), len(split.validation), split.how)
        if lacking := warning(missing(split.train, self.start.class_names)):
            log.warning("warning: %s", lacking)
        return split

    def _rendered(self) -> list[Record]:
        """The fixed rendered images to judge by."""
        count = self.recipe.judged(self.plan.minutes)
        folder, size = self.work / "rendered", rendered_size(self.start.input_size)
        if not (folder / "labels.json").exists():
            log.info("rendering %d images to judge by", count)
            options = RenderOptions(size, (10.0, 0.86 * size[0]))
            with tqdm(total=count, unit=" images", leave=False) as bar:
                for done in render_dataset(folder, count, RENDERED_SEED, options, self.plan.workers):
                    bar.update(done - bar.n)
        return read_records("CocoDataset", folder / "images", folder / "labels.json", self.start.class_names)

    def standings(self, name: str, model: Path) -> tuple[Standing, Standing]:
        """Of a model on own validation and on rendered images."""
        made = []
        for kind, records in (("own", self.split.validation), ("rendered", self.judged)):
            found = kept_predictions(self.work / "scores" / f"{name}_{kind}.json", model, records)
            source_of = self.split.source_of if kind == "own" else {record.name: kind for record in records}
            made.append(Standing(records, found, self.start.class_names, source_of))
        return made[0], made[1]
