"""Render labeled images of a camera and a team that the generator does not draw, to see what an adaptation gains.

    python benchmark/new_camera.py new_camera --images 200 --seed 980000000
    nanodet-kp train --data new_camera/labels.json --images new_camera/images --out runs/adapted
    python benchmark/new_camera.py new_camera_test --images 400 --seed 990000000
    nanodet-kp evaluate runs/adapted/model.onnx --labels new_camera_test/labels.json

An italic font on pale stickers, thin leaning bars of four lamps, a warm sensor that mixes its channels, motion, coarse
JPEG. Parts of the renderer are replaced for it, so that this look never gets into a training by accident.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanodet_kp_core.classes import ARMOR_CLASSES
from nanodet_kp_core.command import open_door
from nanodet_kp_core.labels import write_dataset
from nanodet_kp_core.labels.sample import PLATE_FIELDS, Record
from nanodet_kp_core.synthetic import bars, cameras, generator, plates, prints, sensor, stickers

SIZE, PLATE_PX = (640, 480), (12.0, 150.0)
CAMERA = cameras.CameraKind(
    "new", 1.0, (0.5, 2.2), 0.0, (0.5, 2.2), (1.0, 1.15), (0.02, 0.04), (1.1, 1.9), 0.0, 0.6, 7.0, (1.5, 4.0),
    (0.3, 0.8),
    sensor.Finish(
        bayer=1.0, sharpen=(1.0, 0.8, 1.4), tone=(0.0, 0.0), jpeg=1.0, quality=(18, 45), shrink=(1.0, 0.5, 0.7),
        overlay=0.0, smooth=0.0,
    ),
)  # fmt: skip
MATERIAL = prints.Material(0.35, 0.8, (1.1, 1.0, 0.7), 0.4)
MIXED = np.array([[0.75, 0.12, 0.0], [0.1, 0.8, 0.1], [0.05, 0.25, 1.15]])
"""What the sensor makes of B, G, R."""

_LETTERS = {"G": "S", "O": "P", "Bs": "B", "Bb": "B"}
_draw_bar_look, _expose = bars.draw_bar_look, generator.expose


def sticker_mask(number: str, plate_width: float, scale: float = 2.0, zoom: float = 1.0, cut: int = 0) -> np.ndarray:
    """As stickers.sticker_mask, in an italic font with serifs."""
    shape = stickers.mask_shape(plate_width, scale)
    mask = np.zeros(shape, np.uint8)
    font, thick = cv2.FONT_HERSHEY_COMPLEX | cv2.FONT_ITALIC, max(1, round(7 * scale * zoom))
    height = cv2.getFontScaleFromHeight(font, max(6, int(72 * scale * zoom)), thick)
    text = _LETTERS.get(number, number)
    (width, tall), _ = cv2.getTextSize(text, font, height, thick)
    at = (shape[1] - width) // 2, (shape[0] + tall) // 2
    return cv2.putText(mask, text, at, font, height, 255, thick, cv2.LINE_AA)


def draw_style(rng: np.random.Generator, number: str, exact: bool = False) -> prints.Style:
    return prints.Style("sticker", MATERIAL, 0, True)


def draw_bar_look(rng: np.random.Generator, light: np.ndarray, strength: float, length: float, exact: bool):
    """As bars.draw_bar_look: thin, leaning, four lamps behind the diffuser."""
    usual = _draw_bar_look(rng, light, strength, length, exact)
    white = light + np.float32(0.35) * (1 - light)
    return replace(
        usual, thickness=float(rng.uniform(0.02, 0.028)), lean=float(0.22 + rng.normal(0, 0.02)), round=1.0, leds=4,
        glow=0.15, ramp=(0.3, 0.5), core=(white * np.float32(min(strength, 3.0))).astype(np.float32),
        rim=(light * np.float32(0.5)).astype(np.float32),
    )  # fmt: skip


def install() -> None:
    """Put these parts into the renderer of this process."""
    prints.sticker_mask = sticker_mask
    prints.draw_style = plates.draw_style = draw_style
    bars.draw_bar_look = draw_bar_look
    generator.expose = lambda *arguments: cv2.transform(_expose(*arguments), MIXED)
    cameras._DISCS = cameras._SMEARS = cameras._OVALS = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="new folder for labels.json and images")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seed", type=int, default=980_000_000, help="of the first image (%(default)s)")
    args = parser.parse_args()
    install()
    with TemporaryDirectory() as folder:
        records = []
        for seed in range(args.seed, args.seed + args.images):
            sample = generator.render_scene(seed, SIZE, PLATE_PX, False, CAMERA).sample
            path = Path(folder) / f"frame_{seed - args.seed:05d}.jpg"
            cv2.imwrite(str(path), sample.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            known = {name: getattr(sample, name) for name in (*PLATE_FIELDS, "ignore_boxes")}
            records.append(Record(path=path, name=path.name, width=SIZE[0], height=SIZE[1], **known))
        write_dataset("CocoDataset", args.out, records, ARMOR_CLASSES)
    print(f"{args.out}: {len(records)} images, {sum(len(record.labels) for record in records)} plates")
    return 0


if __name__ == "__main__":
    open_door(main)
