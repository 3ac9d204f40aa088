"""The models that come with the package."""

from __future__ import annotations

from pathlib import Path

from nanodet_kp_core.errors import ConfigError, ModelError
from nanodet_kp_core.share import share_folder

DEFAULT_MODEL = "armor_s.onnx"


def bundled_model(name: str = DEFAULT_MODEL) -> Path:
    """Path of a bundled model, in `models/` of `share.share_folder`.

    Raises:
        ModelError: it is not there, or that folder is not.
    """
    try:
        path = share_folder() / "models" / name
    except ConfigError as error:
        raise ModelError(f"bundled model {name}: {error}") from None
    if not path.is_file():
        raise ModelError(
            f"bundled model {name}: expected it in {path.parent}, got no such file; install the package again or name "
            "a model file"
        )
    return path
