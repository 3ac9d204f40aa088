"""Sheets and boards in a room: calibration patterns, squared codes, writing, frames in any color. Never labeled.

To a network that has seen no board, a pale one between two colored sides looks like a lit plate.
"""

from __future__ import annotations

import cv2
import numpy as np

from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.synthetic.canvas import Canvas, Code, paint, paint_texture, reach, surface
from nanodet_kp_core.synthetic.lights import bar_quad
from nanodet_kp_core.synthetic.stickers import letters

_CELL = 12
"""Texture pixels of a cell of the pattern."""


def board(rng: np.random.Generator, canvas: Canvas) -> None:
    """One board, seen from anywhere, up to larger than the image."""
    columns, rows = (int(n) for n in rng.integers(3, 14, 2))
    pattern = (_dots, _squares, _codes, _writing)[int(rng.integers(4))]
    ink, sheet = surface(rng, 0.004, 0.12), surface(rng, 0.4, 0.95)
    if rng.random() < 0.15:
        ink, sheet = sheet, ink
    texture: np.ndarray = np.full((rows * _CELL, columns * _CELL, 3), sheet, np.uint8)
    pattern(rng, texture, ink)
    margin = int(rng.integers(0, 3 * _CELL))
    texture = cv2.copyMakeBorder(texture, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=sheet)
    height, width = texture.shape[:2]
    scale = reach(rng, canvas, 0.08, 1.1) / width
    quad = bar_quad(rng.uniform(0, 1, 2) * canvas.size, height * scale, width * scale, float(rng.normal(0, 0.15)))
    quad += rng.normal(0, 0.06, (4, 2)) * width * scale
    if rng.random() < 0.6:
        _frame(rng, canvas, quad)
    paint_texture(canvas, texture, quad, 0)


def _frame(rng: np.random.Generator, canvas: Canvas, quad: np.ndarray) -> None:
    """What holds the board: an edge all around, or at its left and right only; half of them blue or red."""
    middle = quad.mean(0)
    grown = 1 + rng.uniform(0.02, 0.15) * np.array([1.0, float(rng.random() < 0.6)])
    across, down = quad[3] + quad[2] - quad[0] - quad[1], quad[1] + quad[2] - quad[0] - quad[3]
    axes = np.stack([across, down], axis=1)
    around = middle + (np.linalg.solve(axes, (quad - middle).T).T * grown) @ axes.T
    paint(canvas, around, _frame_code(rng), 0)


def _frame_code(rng: np.random.Generator) -> Code:
    """Of any surface, or strongly blue or red."""
    if rng.random() < 0.5:
        return surface(rng, 0.01, 0.8)
    strong, other, weak = (int(level) for level in rng.uniform((120, 20, 10), (255, 120, 60)))
    return (strong, other, weak) if rng.random() < 0.5 else (weak, min(other, 60), strong)


def _dots(rng: np.random.Generator, texture: np.ndarray, ink: Code) -> None:
    """A grid of discs, every second row moved by half a step or not."""
    radius, moved = int(_CELL * rng.uniform(0.2, 0.42)), _CELL // 2 if rng.random() < 0.5 else 0
    for row in range(texture.shape[0] // _CELL):
        for column in range(texture.shape[1] // _CELL):
            at = (column * _CELL + _CELL // 2 + (row % 2) * moved, row * _CELL + _CELL // 2)
            cv2.circle(texture, at, radius, ink, -1, cv2.LINE_AA)


def _squares(rng: np.random.Generator, texture: np.ndarray, ink: Code) -> None:
    """A chessboard."""
    rows, columns = np.indices(texture.shape[:2]) // _CELL
    texture[(rows + columns) % 2 == rng.integers(2)] = ink


def _codes(rng: np.random.Generator, texture: np.ndarray, ink: Code) -> None:
    """Squared codes of 6 x 6 cells in dark frames, some cells apart."""
    step = int(rng.integers(7, 10))
    sheet = texture[0, 0].copy()
    small = np.full((texture.shape[0] // 2, texture.shape[1] // 2, 3), sheet, np.uint8)
    for top in range(0, small.shape[0], step):
        for left in range(0, small.shape[1], step):
            code = small[top : top + 6, left : left + 6]
            code[:] = ink
            inside = code[1:-1, 1:-1]
            inside[rng.random(inside.shape[:2]) < 0.5] = sheet
    texture[:] = cv2.resize(small, texture.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def _writing(rng: np.random.Generator, texture: np.ndarray, ink: Code) -> None:
    """Nothing, lines of writing, or some large letters."""
    height, width = texture.shape[:2]
    for _ in range(int(rng.integers(0, 7))):
        text = letters(rng, "0123456789ABRGKMNE", 1, 12)
        size = log_uniform(rng, 0.2, 2.5)
        at = (int(rng.uniform(0, 0.8) * width), int(rng.uniform(0.1, 1.0) * height))
        cv2.putText(texture, text, at, 0, size, ink, max(1, round(2 * size)), cv2.LINE_AA)
