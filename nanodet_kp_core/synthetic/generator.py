"""One labeled image from one seed: scene, robots, lights, sensor, and labels of what can really be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanodet_kp_core.labels.sample import Sample
from nanodet_kp_core.numerics import log_uniform
from nanodet_kp_core.synthetic.arena import arena, floor_markings
from nanodet_kp_core.synthetic.background import background
from nanodet_kp_core.synthetic.cameras import CameraKind, draw_exposure
from nanodet_kp_core.synthetic.canvas import Canvas
from nanodet_kp_core.synthetic.floor import reflect, underglow
from nanodet_kp_core.synthetic.geometry import Camera, rotation_xz
from nanodet_kp_core.synthetic.hud import hud
from nanodet_kp_core.synthetic.indoor import indoor
from nanodet_kp_core.synthetic.labels import label
from nanodet_kp_core.synthetic.lights import stray_lights
from nanodet_kp_core.synthetic.occluders import broadcast_overlay, paint_occluders
from nanodet_kp_core.synthetic.robot import PlateView, draw_robot
from nanodet_kp_core.synthetic.row import draw_row
from nanodet_kp_core.synthetic.sensor import Exposure, compress, expose
from nanodet_kp_core.synthetic.trim import chassis_strips

VERSION = 10
"""Changes whenever a seed gives another image or other labels."""

PLATE_PX = (8.0, 200.0)
"""Range of the width of a small plate seen from the front, pixels, in an image of SIZE."""

SIZE = (256, 256)

_ROBOTS = np.cumsum([0.05, 0.29, 0.32, 0.22, 0.12])  # of 0, 1, .. robots in an image
_PLATES_A_ROBOT, _PLATES_A_ROW = 4, 16
_ROWS = 0.05  # share of images with robots side by side
_MARKINGS, _HUD = 0.2, 0.05


@dataclass(frozen=True)
class KnownPose:
    """Where a plate is in the camera's frame (x right, y down, z forward).

    position: [3] middle of the plate, metres. rotation: [3, 3], columns are the plate's right, down and inward axes.
    large: 230 mm between the bars instead of 135 mm.
    """

    position: np.ndarray
    rotation: np.ndarray
    large: bool


@dataclass(frozen=True)
class Scene:
    """A sample, the camera that saw it, and a pose for each of its plates.

    camera_matrix: [3, 3]. distortion: [5], OpenCV's k1, k2, p1, p2, k3.
    """

    sample: Sample
    camera_matrix: np.ndarray
    distortion: np.ndarray
    poses: list[KnownPose]


def random_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """A camera of 14 to 64 degrees that looks slightly up or down or from high above, at times rolled.

    Its optical axis may leave the image, since images are also cut out of larger ones.
    """
    w, h = size
    focal = w * log_uniform(rng, 0.8, 4.0)
    roll = float(rng.normal(0, 0.06) if rng.random() < 0.8 else rng.uniform(-0.8, 0.8))
    shift = rng.uniform(-1, 1, 2) * 0.3 * (w, h)
    corner = (np.abs(shift) + np.array([w, h]) / 2) / focal
    edge = float(corner @ corner)  # squared radius of the farthest corner
    barrel = float(rng.uniform(-0.16, 0.04)) if rng.random() < 0.8 else 0.0
    skew = rng.normal(0, 0.001, 2) * float(rng.random() < 0.3)
    distortion = (
        barrel / edge,
        float(rng.uniform(-0.2, 0.4)) * -barrel / edge**2,
        float(skew[0]),
        float(skew[1]),
        0.0,
    )
    center = (w / 2 + float(shift[0]), h / 2 + float(shift[1]))
    pitch = float(rng.uniform(0.2, 0.7) if rng.random() < 0.25 else rng.normal(-0.06, 0.18))
    return Camera(focal, center, rotation_xz(pitch, roll), distortion, 2.0 * edge)


def render(seed: int, size: tuple[int, int] = SIZE, plate_px: tuple[float, float] = PLATE_PX) -> Sample:
    """Image of `size` (width, height) with labels; the same arguments give the same image.

    plate_px: range of the width of a small plate seen from the front, log-uniform, pixels.
    """
    return render_scene(seed, size, plate_px).sample


def render_scene(
    seed: int,
    size: tuple[int, int] = SIZE,
    plate_px: tuple[float, float] = PLATE_PX,
    exact: bool = False,
    kind: CameraKind | None = None,
) -> Scene:
    """What `render` gives, with the camera and the poses.

    exact: every plate has the size that its sticker demands, upright bars of 56 mm and no practice target; without it
    robots are built as loosely as real ones, and a pose from the corners inherits that. kind: of camera, None any.
    """
    rng = np.random.default_rng(seed)
    canvas = background(rng, size)
    if rng.random() < _MARKINGS:
        floor_markings(rng, canvas)
    indoor(rng, canvas)
    arena(rng, canvas)
    stray_lights(rng, canvas)
    camera = random_camera(rng, size)
    exposure = draw_exposure(rng, size[0] / SIZE[0], kind)
    plates = _robots(rng, canvas, camera, plate_px, exposure, exact)
    paint_occluders(rng, canvas)
    light = underglow(rng, canvas, camera, plates, exposure.ambient)
    image = expose(rng, canvas, exposure, light)
    if rng.random() < exposure.finish.overlay:
        broadcast_overlay(rng, image, canvas.owner)
    if rng.random() < _HUD:
        hud(rng, image, canvas.owner)
    image = compress(image, exposure)
    sample, kept = label(image, canvas.owner, plates, exposure, str(seed))
    poses = [KnownPose(*plate.pose.in_camera(camera), plate.large) for plate in kept]
    return Scene(sample, camera.matrix, np.array(camera.distortion), poses)


def _robots(
    rng: np.random.Generator,
    canvas: Canvas,
    camera: Camera,
    plate_px: tuple[float, float],
    exposure: Exposure,
    exact: bool,
) -> list[PlateView]:
    """Paint the robots, far ones first, at times with a row of them; their plates have owners of their own."""
    w, h = canvas.size
    count = int(np.searchsorted(_ROBOTS, rng.random() * _ROBOTS[-1], side="right"))
    widths = np.exp(rng.uniform(np.log(plate_px[0]), np.log(plate_px[1]), count))
    jobs = [(float(px), False) for px in widths]
    if rng.random() < _ROWS:
        high = max(min(plate_px[1], 0.16 * w), plate_px[0])
        jobs.append((log_uniform(rng, plate_px[0], high), True))
    plates: list[PlateView] = []
    owner = 1
    for px, row in sorted(jobs):
        margin = min(0.06 + 0.4 * px / w, 0.4)
        at = rng.uniform(margin, 1 - margin, 2) * (w, h)
        draw = draw_row if row else draw_robot
        fresh = draw(rng, canvas, camera, at, px, owner, exposure, exact=exact)
        owner += _PLATES_A_ROW if row else _PLATES_A_ROBOT
        chassis_strips(rng, canvas, fresh)
        reflect(rng, canvas, fresh)
        plates += fresh
    return plates
