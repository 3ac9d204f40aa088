"""Turn a checkpoint of NanoDet, NanoDet-Plus or its four-point fork into one of ours, to export or to train on.

    nanodet-kp import-weights model_last.ckpt runs/imported/start.pt
    nanodet-kp import-weights nanodet-plus-m_416.ckpt runs/imported/start.pt --target config/my_armor.yaml

Architecture, classes and corners are read off the tensors. Nothing inside the file is executed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import yaml

from nanodet_kp_core.config import TrainConfig, load_config
from nanodet_kp_core.errors import ConfigError
from nanodet_kp_core.files import write_atomically
from nanodet_kp_core.importer.configs import CORNER_CHOICES, ImportOptions
from nanodet_kp_core.importer.import_weights import import_weights, save_imported
from nanodet_kp_core.importer.weights_file import CHOICES
from nanodet_kp_core.labels.labels import read_text
from nanodet_kp_core.paths import FILE, resolved, what_is


def names(text: str) -> tuple[str, ...]:
    """Class names: a file with one a line, or a list with commas."""
    file = resolved(text)
    if what_is(file) == FILE:
        listed = read_text(file, "a text file with one class name a line", 1 << 20).splitlines()
    else:
        listed = text.split(",")
    found = tuple(name.strip() for name in listed if name.strip())
    if not found or len(set(found)) != len(found):
        raise argparse.ArgumentTypeError(f"expected different class names, in a file or with commas, got {text!r}")
    return found


def write_training_config(path: Path, checkpoint: Path, config: TrainConfig) -> None:
    """The imported configuration as YAML, starting from the imported weights."""
    raw = json.loads(config.model_dump_json())
    raw["schedule"]["load_model"] = str(checkpoint)
    raw["save_dir"] = str(path.with_suffix(""))
    text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
    write_atomically(path, f"# Set data.train and data.val, then: nanodet-kp train {path}\n{text}".encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=resolved, help=".ckpt or .pth of the published training code")
    parser.add_argument("out", type=resolved, help="our checkpoint (.pt) to write")
    parser.add_argument(
        "--weights",
        choices=CHOICES,
        default="average",
        help="of a .ckpt: the moving average or the weights that were trained (default: %(default)s)",
    )
    parser.add_argument(
        "--classes",
        type=names,
        metavar="NAMES",
        help="class names of the checkpoint, in order (default: armor names for 36, COCO's for 80)",
    )
    parser.add_argument("--config", type=resolved, metavar="YAML", help="the configuration it was trained with")
    parser.add_argument(
        "--keep-ratio",
        action=argparse.BooleanOptionalAction,
        help="the checkpoint was trained on letterboxed images, not on stretched ones (default: as --config says, else "
        "stretched for NanoDet-Plus, letterboxed for the first NanoDet)",
    )
    parser.add_argument(
        "--new-classes",
        type=names,
        metavar="NAMES",
        help="class names of the result: equal names keep their weights, others start fresh",
    )
    parser.add_argument(
        "--corners",
        choices=CORNER_CHOICES,
        default="keep",
        help="corner codec of the result; corners that the checkpoint lacks start as those of the box (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--target",
        type=resolved,
        metavar="YAML",
        help="training configuration to start with the result; gives classes and corners",
    )
    args = parser.parse_args()
    if args.out.suffix != ".pt":
        parser.error(f"out: expected a path that ends in .pt, got {args.out}")
    imported = import_weights(
        args.checkpoint,
        ImportOptions(
            weights=args.weights,
            class_names=args.classes,
            config=load_config(args.config) if args.config else None,
            keep_ratio=args.keep_ratio,
            new_classes=args.new_classes,
            corners=args.corners,
            target=load_config(args.target) if args.target else None,
        ),
    )
    for note in imported.notes:
        print(note)
    recipe = args.out.with_suffix(".yaml")
    try:
        save_imported(args.out, imported)
        if args.target is None:
            write_training_config(recipe, args.out, imported.config)
    except OSError as error:
        raise ConfigError(f"{args.out}: expected a place to write to, got: {error.strerror}") from None
    if args.target:
        print(f"{args.out}: to train on, set schedule.load_model in {args.target} to it")
    else:
        print(f"{args.out}: next nanodet-kp export {args.out} OUT.onnx --images PICTURES")
        print(f"{recipe}: to train on, set data.train and data.val in it")
    return 0
