"""How panels look: what they are made of and what is printed on them, rendered to textures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.synthetic.canvas import encode
from nanodet_kp_core.synthetic.stickers import DIGITS, PANEL_HEIGHT, frame_mask, sticker_mask
from nanodet_kp_core.synthetic.targets import VARIANTS, old_mask, target_mask

_SCALES = (0.5, 1.0, 2.0, 4.0)  # texture pixels per mm

_KINDS = {
    "sticker": 0.74, "bare": 0.12, "rings": 0.035, "polygon": 0.014, "framed": 0.018, "cross": 0.01, "cut": 0.015,
    "old": 0.018, "mirrored": 0.006, "turned": 0.004, "letter": 0.012, "code": 0.008,
}  # fmt: skip
"""Share of robots; "bare" has no sticker, "cut" is a digit cut by hand, "turned" stands upside down."""

_READABLE = ("sticker", "cut", "old")
_INVERTED = 0.03  # of the robots whose sticker can be read: dark on white

_MIRRORED, _TURNED = "2345", "34"  # what no longer looks like a sticker then


@dataclass(frozen=True)
class Material:
    """Albedo from `low` to `high`, linear BGR `tint`, how strongly light and dark vary, kind of `grain`."""

    low: float
    high: float
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shade: float = 0.15
    grain: str = ""


_BLACK = Material(0.008, 0.09)
_MATERIALS = (
    (0.26, Material(0.1, 0.5)),  # gray plastic
    (0.18, Material(0.5, 0.95)),  # white
    (0.16, _BLACK),
    (0.08, Material(0.2, 0.5, (0.45, 0.75, 1.1))),  # cardboard, wood
    (0.12, Material(0.15, 0.75, (1.05, 1.0, 0.97), 0.8, "brushed")),  # bare aluminium
    (0.08, Material(0.006, 0.12, shade=1.0)),  # glossy acrylic
    (0.04, Material(0.01, 0.06, shade=0.7, grain="woven")),  # carbon
    (0.04, Material(0.3, 0.85, (0.6, 0.92, 1.02))),  # yellowed
    (0.04, Material(0.2, 0.8, (1.1, 0.96, 0.8))),  # bluish
)


@dataclass(frozen=True)
class Style:
    """What the panels of one robot share. kind: one of `_KINDS`; variant: which drawing of that kind.

    inverted: dark print on a bright ground.
    """

    kind: str
    material: Material
    variant: int
    inverted: bool


@dataclass(frozen=True)
class Print:
    """How one plate is printed: drawn once, whatever size the plate has.

    white, black: albedo of the brighter and of the darker of ground and print. ground, mark: their linear BGR [3].
    frame: albedo of edge and screws, None as the ground. weight: mm the strokes are thicker. matrix: [2, 3] mm to mm.
    light: [3, 4] how bright the panel's parts are.
    """

    white: float
    black: float
    frame: float | None
    style: Style
    weight: float
    matrix: np.ndarray
    ground: np.ndarray
    mark: np.ndarray
    light: np.ndarray

    @property
    def readable(self) -> bool:
        """Whether a near and sharp image shows which sticker it is."""
        return self.style.kind in _READABLE


def draw_style(rng: np.random.Generator, number: str, exact: bool = False) -> Style:
    """A random style of the panels of a robot with the sticker `number`; exact: an official sticker."""
    share = np.cumsum(list(_KINDS.values()))
    kind = list(_KINDS)[int(np.searchsorted(share, rng.random() * share[-1], side="right"))]
    material = _material(rng)
    variant = int(rng.integers(VARIANTS))
    inverted, other_ground = (bool(u < p) for u, p in zip(rng.random(2), (_INVERTED, 0.3)))
    if exact:
        return Style("sticker", _BLACK, 0, False)
    fits = {"mirrored": _MIRRORED, "turned": _TURNED, "cut": "".join(DIGITS), "old": "".join(DIGITS)}
    if number not in fits.get(kind, number):
        kind = "sticker"
    if kind in _READABLE:
        return Style(kind, Material(0.4, 0.95) if inverted else _BLACK, variant, inverted)
    own = kind == "bare" or other_ground
    return Style(kind, material if own else _BLACK, variant, own and material.low >= 0.1)


def _material(rng: np.random.Generator) -> Material:
    share = np.cumsum([part for part, _ in _MATERIALS])
    return _MATERIALS[int(np.searchsorted(share, rng.random() * share[-1], side="right"))][1]


def draw_print(rng: np.random.Generator, style: Style) -> Print:
    """A random print of `style`."""
    zoom, turn = rng.uniform(0.84, 1.06), np.radians(rng.normal(0, 1.5 if style.kind != "cut" else 4.0))
    c, s = zoom * np.cos(turn), zoom * np.sin(turn)
    shift = rng.normal(0, 2.5, 2)
    low, high = style.material.low, style.material.high
    base = log_uniform(rng, low, high)
    other = log_uniform(rng, 0.008, 0.09) if style.inverted else float(rng.uniform(0.3, 0.95))
    if style.kind == "bare":
        other = base * float(rng.uniform(0.4, 0.8))
    elif not style.inverted:
        other = max(other, min(0.95, 2.5 * base))
    tint = np.exp(rng.normal(0, 0.12, 3) * (rng.random() < 0.3))
    flip = {"mirrored": (-1, 1), "turned": (-1, -1)}.get(style.kind, (1, 1))
    matrix = np.array([[c * flip[0], -s * flip[1], shift[0]], [s * flip[0], c * flip[1], shift[1]]])
    framed, frame, weight = rng.random() < 0.15, float(rng.uniform(0.05, 0.6)), float(rng.normal(0, 1.0))
    return Print(
        white=max(base, other),
        black=min(base, other),
        frame=frame if framed else None,
        style=style,
        weight=weight,
        matrix=matrix,
        ground=np.clip(base * np.array(style.material.tint), 0, 1),
        mark=np.clip(other * tint * (style.material.tint if style.kind == "bare" else 1.0), 0, 1),
        light=np.exp(rng.normal(0, style.material.shade, (3, 4))).astype(np.float32),
    )


def panel_texture(printed: Print, number: str, plate_width: float, height_px: float) -> np.ndarray:
    """Canvas codes of a panel, uint8 [h, w, 3], fine enough for a panel that is `height_px` pixels high."""
    scale = next((s for s in _SCALES if s * PANEL_HEIGHT >= 1.2 * height_px), _SCALES[-1])
    mask = _print_mask(printed, number, plate_width, scale)
    low, high = (encode(value).astype(np.float32) for value in (printed.ground, printed.mark))
    table = (low + np.linspace(0, 1, 256, dtype=np.float32)[:, None] * (high - low) + 0.5).astype(np.uint8)
    code = cv2.LUT(cv2.merge((mask, mask, mask)), table[None])
    if printed.style.material is not _BLACK:
        code = _lit(code, printed)
    if printed.frame is not None:
        code = _blend(code, frame_mask(plate_width, scale), encode(printed.frame))
    return np.asarray(code)


def _print_mask(printed: Print, number: str, plate_width: float, scale: float) -> np.ndarray:
    kind, variant = printed.style.kind, printed.style.variant
    if kind in ("sticker", "mirrored", "turned"):
        mask = sticker_mask(number, plate_width, scale)
    elif kind == "cut":
        mask = sticker_mask(number, plate_width, scale, 1.0, 1 + variant)
    elif kind == "old":
        mask = old_mask(number, plate_width, scale, variant)
    else:
        mask = target_mask(kind, number, plate_width, scale, variant)
        if kind == "bare":
            return mask
    return _jittered(mask, printed, scale)


def _lit(code: np.ndarray, printed: Print) -> np.ndarray:
    """Gloss and grain of the material over the panel."""
    h, w = code.shape[:2]
    light = cv2.resize(printed.light, (w, h), interpolation=cv2.INTER_CUBIC)
    grain = printed.style.material.grain
    if grain == "brushed":
        lines = np.random.default_rng(printed.style.variant).normal(0, 0.12, (h, 1)).astype(np.float32)
        light = light * (1 + lines)
    elif grain == "woven":
        cell = max(1, h // 30)
        weave = (np.arange(h)[:, None] // cell + np.arange(w) // cell) % 4 < 2
        light = light * np.where(weave, np.float32(1.4), np.float32(0.7))
    return np.asarray(np.clip(code * np.sqrt(np.maximum(light, 0))[..., None], 0, 250).astype(np.uint8))


def _jittered(mask: np.ndarray, printed: Print, scale: float) -> np.ndarray:
    size = round(abs(printed.weight) * scale)
    if size:
        kernel = np.ones((size + 1, size + 1), np.uint8)
        mask = cv2.dilate(mask, kernel) if printed.weight > 0 else cv2.erode(mask, kernel)
    h, w = mask.shape
    center = np.array([w - 1, h - 1]) / 2
    matrix = printed.matrix.copy()
    matrix[:, 2] = matrix[:, 2] * scale + center - matrix[:, :2] @ center
    return cv2.warpAffine(mask, matrix, (w, h))


def _blend(code: np.ndarray, mask: np.ndarray, value: np.ndarray) -> np.ndarray:
    weight = mask.astype(np.float32)[..., None] / 255
    return (code + weight * (np.float32(value) - code) + 0.5).astype(np.uint8)
