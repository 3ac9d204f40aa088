"""Where the models that come with the package lie: source tree, colcon or apt prefix, or pip prefix."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nanodet_kp_core.errors import ModelError

DEFAULT_MODEL = "armor_s.onnx"

_SHARE = Path("share", "nanodet_kp_ros")


def share_folders() -> list[Path]:
    """Where this package's models and configurations may lie: the source tree, then each prefix, best first."""
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    return [Path(__file__).resolve().parents[2], *(prefix / _SHARE for prefix in (*prefixes, Path(sys.prefix)))]


def bundled_model(name: str = DEFAULT_MODEL) -> Path:
    """Path of a bundled model.

    Looks in `models/` of the source tree, then in `share/nanodet_kp_ros/models` of every prefix in
    AMENT_PREFIX_PATH, then of `sys.prefix`; the first hit wins.

    Raises:
        ModelError: it is in none of them; the message names them all.
    """
    folders = [folder / "models" for folder in share_folders()]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    looked = ", ".join(str(folder) for folder in dict.fromkeys(folders))
    raise ModelError(
        f"bundled model {name}: expected it in one of {looked}, got no such file; "
        "install the package again or name a model file"
    )
